"""What nobody serves from any more is deleted: configurations, models, indices. What is referenced stays.

In   {fence, leaving?: the release that is rolled back}   events/collect_leftovers/*.json
Out  Leftovers: the names that were deleted; NotReady while an endpoint is changing, FencedOff after a rollback
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoReleases, DynamoTraffic, client
from understudy.adapters.aws_wire import SignedHttp
from understudy.adapters.leftovers import Indices, collect_endpoint, collect_indices
from understudy.contracts.rollback import CollectLeftoversEvent, Leftovers
from understudy.domain.rollout import check_fence
from understudy.ports import ReleaseStore, TrafficStore
from understudy.settings import CollectLeftoversSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: CollectLeftoversSettings
    traffic: TrafficStore
    releases: ReleaseStore
    sagemaker: Any
    indices: Indices


@cache
def world() -> World:
    s, dynamodb = CollectLeftoversSettings.from_env(), client("dynamodb")
    stores = DynamoTraffic(dynamodb, s.traffic_table), DynamoReleases(dynamodb, s.releases_table)
    return World(s, *stores, client("sagemaker"), Indices(SignedHttp(), s.opensearch_url))


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, asked = world(), CollectLeftoversEvent.model_validate(event)
    traffic = w.traffic.current()
    check_fence(traffic, asked.fence)
    names = (w.settings.two_tower_endpoint, w.settings.ranker_endpoint)
    found = [collect_endpoint(w.sagemaker, name, w.releases, traffic) for name in names]
    deleted = Leftovers(
        configs=[name for one in found for name in one.configs],
        models=[name for one in found for name in one.models],
        indices=collect_indices(w.indices, w.releases, traffic, leaving=asked.leaving),
    )
    logger.info("leftovers collected", **deleted.model_dump())
    return deleted.model_dump()
