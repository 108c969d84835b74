"""A rollout's turn: hold the stage's lease, and say through which stages the release goes, and in which slot.

In   {release_id, execution_arn, by_hand?}   events/take_stage/*.json
Out  RolloutPlan; LeaseHeld or NotReady while another rollout, or the rollback of one, has the stage
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.stage import StageStores, Turn, stage_stores, take_turn
from understudy.contracts.rollout import TakeStageEvent
from understudy.domain.stages import StagePlan, shares_of, stages_of
from understudy.errors import InvalidInput
from understudy.settings import TakeStageSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: TakeStageSettings
    stage: StageStores


@cache
def world() -> World:
    s = TakeStageSettings.from_env()
    return World(s, stage_stores(s.lease_table, s.traffic_table, s.releases_table))


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, asked = world(), TakeStageEvent.model_validate(event)
    s, record = w.settings, w.stage.releases.get(asked.release_id)
    if record is None:
        raise InvalidInput(f"there is no release {asked.release_id}", "the id of a registered release")
    shares = shares_of(s.rollout_stages)
    stages = stages_of(StagePlan(shares, s.bake_seconds, s.shadow_seconds, s.shadow_bp, s.holdback_bp))
    turn = Turn(asked.execution_arn, s.stage_ttl_s, datetime.now(UTC), asked.by_hand)
    plan = take_turn(w.stage, record, stages, turn)
    logger.info("stage taken", **plan.model_dump(include={"release_id", "action", "slot", "fence", "reason"}))
    return plan.model_dump(mode="json")
