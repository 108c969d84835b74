"""A rollout begins: hold the stage's lease and say which slot the release may fill.

In   {release_id, execution_arn}   events/take_stage/*.json
Out  Stage: {action, release_id, slot, fence, reason}; LeaseHeld names the rollout that runs already
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoLeases, DynamoReleases, DynamoTraffic, client
from understudy.adapters.night import hold
from understudy.contracts.rollout import TakeStageEvent
from understudy.domain.rollout import STAGE_LEASE, decide_stage
from understudy.errors import InvalidInput
from understudy.settings import TakeStageSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: TakeStageSettings
    leases: DynamoLeases
    traffic: DynamoTraffic
    releases: DynamoReleases
    states: Any


@cache
def world() -> World:
    s, dynamodb = TakeStageSettings.from_env(), client("dynamodb")
    stores = (
        DynamoLeases(dynamodb, s.lease_table),
        DynamoTraffic(dynamodb, s.traffic_table),
        DynamoReleases(dynamodb, s.releases_table),
    )
    return World(s, *stores, client("stepfunctions"))


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, asked = world(), TakeStageEvent.model_validate(event)
    record = w.releases.get(asked.release_id)
    if record is None:
        raise InvalidInput(f"there is no release {asked.release_id}", "the id of a registered release")
    lease = hold(
        w.leases, w.states, STAGE_LEASE, owner=asked.execution_arn, ttl_s=w.settings.stage_ttl_s, now=datetime.now(UTC)
    )
    stage = decide_stage(record, w.traffic.current(), fence=lease.fence)
    logger.info(
        "stage taken",
        release_id=stage.release_id,
        action=stage.action,
        slot=stage.slot,
        fence=stage.fence,
        reason=stage.reason,
    )
    return stage.model_dump()
