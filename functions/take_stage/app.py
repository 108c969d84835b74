"""A rollout's turn: hold the stage's lease, and say through which stages the release goes, and in which slot.

In   {release_id, execution_arn}   events/take_stage/*.json
Out  RolloutPlan; LeaseHeld or NotReady while another rollout, or the rollback of one, has the stage
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoLeases, DynamoReleases, DynamoTraffic, client
from understudy.adapters.stage import hold_stage, mark
from understudy.contracts.rollout import RolloutPlan, TakeStageEvent
from understudy.domain.rollout import newest_waiting, plan_rollout, superseded
from understudy.domain.stages import StagePlan, shares_of, stages_of
from understudy.errors import InvalidInput
from understudy.ports import LeaseStore, ReleaseStore, TrafficStore
from understudy.settings import TakeStageSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: TakeStageSettings
    leases: LeaseStore
    traffic: TrafficStore
    releases: ReleaseStore


@cache
def world() -> World:
    s, dynamodb = TakeStageSettings.from_env(), client("dynamodb")
    return World(
        s,
        DynamoLeases(dynamodb, s.lease_table),
        DynamoTraffic(dynamodb, s.traffic_table),
        DynamoReleases(dynamodb, s.releases_table),
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, asked = world(), TakeStageEvent.model_validate(event)
    s, record = w.settings, w.releases.get(asked.release_id)
    if record is None:
        raise InvalidInput(f"there is no release {asked.release_id}", "the id of a registered release")
    shares = shares_of(s.rollout_stages)
    stages = stages_of(StagePlan(shares, s.bake_seconds, s.shadow_seconds, s.shadow_bp, s.holdback_bp))
    lease, traffic = hold_stage(
        w.leases, w.traffic, owner=asked.execution_arn, ttl_s=s.stage_ttl_s, now=datetime.now(UTC)
    )
    newer = newest_waiting(record, w.releases.list())
    if newer is not None:
        mark(w.releases, record, "retired", lease.fence)
        plan: RolloutPlan = superseded(record, newer, fence=lease.fence)
    else:
        plan = plan_rollout(record, traffic, stages, fence=lease.fence)
    logger.info("stage taken", **plan.model_dump(include={"release_id", "action", "slot", "fence", "reason"}))
    return plan.model_dump(mode="json")
