"""A rollback takes the stage over: the lease of a rollout that was stopped, and a fence that no earlier writer has.

In   {release_id, rollout_id, reason, execution_arn, at}   events/seize_stage/*.json
Out  SeizedStage: {action, fence, reason}; LeaseHeld while the rollout itself still runs
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoLeases, DynamoTraffic, client
from understudy.adapters.descent import seize_stage
from understudy.contracts.rollback import SeizeStageEvent
from understudy.ports import LeaseStore, TrafficStore
from understudy.settings import SeizeStageSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: SeizeStageSettings
    traffic: TrafficStore
    leases: LeaseStore
    states: Any


@cache
def world() -> World:
    s, dynamodb = SeizeStageSettings.from_env(), client("dynamodb")
    stores = DynamoTraffic(dynamodb, s.traffic_table), DynamoLeases(dynamodb, s.lease_table)
    return World(s, *stores, client("stepfunctions"))


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, asked = world(), SeizeStageEvent.model_validate(event)
    seized = seize_stage(w.traffic, w.leases, w.states, asked, ttl_s=w.settings.stage_ttl_s, now=datetime.now(UTC))
    logger.info("stage seized", release_id=asked.release_id, rollout_id=asked.rollout_id, **seized.model_dump())
    return seized.model_dump()
