"""An approval that will not come: whoever nobody approved in time, or a person refused in the registry, is rejected and cleared away.

In   anything: every call looks at all releases that wait   events/settle_approvals/*.json
Out  {"rejected": {release_id: reason}, "cleared": [index]}
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.approvals import Settling, settle
from understudy.adapters.aws import DynamoReleases, DynamoTraffic, client
from understudy.adapters.aws_wire import SignedHttp
from understudy.adapters.leftovers import Indices
from understudy.settings import SettleApprovalsSettings

logger = Logger()


@cache
def world() -> Settling:
    s, dynamodb = SettleApprovalsSettings.from_env(), client("dynamodb")
    return Settling(
        DynamoTraffic(dynamodb, s.traffic_table),
        DynamoReleases(dynamodb, s.releases_table),
        client("sagemaker"),
        client("stepfunctions"),
        client("lambda"),
        Indices(SignedHttp(), s.opensearch_url),
        s.roll_out_machine_arn,
        s.notify_function,
        s.approval_days,
    )


@logger.inject_lambda_context
def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    settled = settle(world(), datetime.now(UTC))
    logger.info("approvals settled", **settled)
    return settled
