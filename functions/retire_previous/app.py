"""Nobody stays on the release before: traffic names it no more, and after draining its slot may be emptied.

In   {rollout_id, fence, at}   events/retire_previous/*.json
Out  Traffic as written; TrafficMoved, FencedOff or StageLost if another change came first
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoTraffic, client
from understudy.adapters.gauges import tell_shares
from understudy.adapters.staging import retire_previous
from understudy.contracts.rollout import RetirePreviousEvent
from understudy.ports import TrafficStore
from understudy.settings import RetirePreviousSettings

logger = Logger()


@cache
def world() -> TrafficStore:
    return DynamoTraffic(client("dynamodb"), RetirePreviousSettings.from_env().traffic_table)


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    asked = RetirePreviousEvent.model_validate(event)
    written = retire_previous(world(), asked)
    tell_shares(written)
    logger.info("previous retired", rollout_id=asked.rollout_id, version=written.version, reason=written.reason)
    return written.model_dump(mode="json")
