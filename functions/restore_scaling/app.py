"""A rollout or a rollback is over: what was registered with Application Auto Scaling before it is registered again.

In   {fence}   events/restore_scaling/*.json
Out  {"restored": {endpoint: [slots]}}; FencedOff after a rollback
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoTraffic, client
from understudy.adapters.scaling import ScalingNotes, restore_endpoint
from understudy.contracts.rollout import RestoreScalingEvent
from understudy.domain.rollout import check_fence
from understudy.ports import TrafficStore
from understudy.settings import RestoreScalingSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: RestoreScalingSettings
    traffic: TrafficStore
    notes: ScalingNotes
    sagemaker: Any
    autoscaling: Any


@cache
def world() -> World:
    s, dynamodb = RestoreScalingSettings.from_env(), client("dynamodb")
    stores = DynamoTraffic(dynamodb, s.traffic_table), ScalingNotes(dynamodb, s.state_table)
    return World(s, *stores, client("sagemaker"), client("application-autoscaling"))


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, asked = world(), RestoreScalingEvent.model_validate(event)
    check_fence(w.traffic.current(), asked.fence)
    names = (w.settings.two_tower_endpoint, w.settings.ranker_endpoint)
    restored = {name: restore_endpoint(w.sagemaker, w.autoscaling, w.notes, name) for name in names}
    logger.info("scaling restored", restored=restored)
    return {"restored": restored}
