"""A rollout has ended without its release: the release's last status, its packages rejected, the champion's word restored.

In   {release_id, rollout_id, cause, reason, fence}   events/close_rollout/*.json
Out  {"release_id", "status", "rejected": [package arns]}
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoReleases, DynamoTraffic, client
from understudy.adapters.descent import close
from understudy.contracts.rollback import CloseRolloutEvent
from understudy.ports import ReleaseStore, TrafficStore
from understudy.settings import CloseRolloutSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    traffic: TrafficStore
    releases: ReleaseStore
    sagemaker: Any


@cache
def world() -> World:
    s, dynamodb = CloseRolloutSettings.from_env(), client("dynamodb")
    stores = DynamoTraffic(dynamodb, s.traffic_table), DynamoReleases(dynamodb, s.releases_table)
    return World(*stores, client("sagemaker"))


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, asked = world(), CloseRolloutEvent.model_validate(event)
    status, rejected = close(w.releases, w.sagemaker, w.traffic.current(), asked)
    logger.info(
        "rollout closed", release_id=asked.release_id, rollout_id=asked.rollout_id, status=status, cause=asked.cause
    )
    return {"release_id": asked.release_id, "status": status, "rejected": rejected}
