"""The next stage of a rollout: one conditional write of traffic; at the last share it promotes.

In   {release_id, slot, fence, rollout_id, at, stage}   events/put_on_stage/*.json
Out  Traffic as written; TrafficMoved or StageLost if another change came first
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoReleases, DynamoTraffic, client
from understudy.adapters.gauges import tell_shares
from understudy.adapters.staging import put_on_stage
from understudy.contracts.rollout import PutOnStageEvent
from understudy.ports import ReleaseStore, TrafficStore
from understudy.settings import PutOnStageSettings

logger = Logger()


@cache
def world() -> tuple[TrafficStore, ReleaseStore]:
    s, dynamodb = PutOnStageSettings.from_env(), client("dynamodb")
    return DynamoTraffic(dynamodb, s.traffic_table), DynamoReleases(dynamodb, s.releases_table)


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    asked = PutOnStageEvent.model_validate(event)
    written = put_on_stage(*world(), asked)
    tell_shares(written)
    logger.info(
        "on stage",
        release_id=asked.release_id,
        slot=asked.slot,
        share_bp=asked.stage.share_bp if asked.stage else None,
        version=written.version,
        fence=written.fence,
    )
    return written.model_dump(mode="json")
