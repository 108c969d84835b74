"""Weights and instance counts for the shares to come, or, without a release, for those that traffic names now.

In   {release_id, slot, share_bp, fence}   events/raise_capacity/*.json
Out  AskedSlot with the counts that must run; NotReady while an endpoint is changing, FencedOff after a rollback
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoTraffic, client
from understudy.adapters.capacity import bring_capacity, mirror_weights
from understudy.contracts.rollout import AskedSlot, RaiseCapacityEvent
from understudy.domain.capacity import shares_asked
from understudy.domain.rollout import check_fence
from understudy.ports import TrafficStore
from understudy.settings import RaiseCapacitySettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: RaiseCapacitySettings
    traffic: TrafficStore
    sagemaker: Any


@cache
def world() -> World:
    s = RaiseCapacitySettings.from_env()
    return World(s, DynamoTraffic(client("dynamodb"), s.traffic_table), client("sagemaker"))


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, asked = world(), RaiseCapacityEvent.model_validate(event)
    traffic = w.traffic.current()
    check_fence(traffic, asked.fence)
    by_slot = shares_asked(traffic, asked)
    names = (w.settings.two_tower_endpoint, w.settings.ranker_endpoint) if by_slot else ()
    bring = mirror_weights if asked.release_id is None else bring_capacity
    found = [bring(w.sagemaker, name, by_slot) for name in names]
    endpoints = [one for one in found if one is not None]
    logger.info("capacity asked for", shares=by_slot, counts=[one.counts for one in endpoints])
    return AskedSlot(endpoints=endpoints).model_dump()
