"""Ask everything a release serves with once, before a user does, and see that it is one release.

In   {release_id, slot}   events/warm_up/*.json
Out  {"release_id", "candidates": int}; NotReady when a part does not answer yet, InvalidInput when a part is another release's
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoReleases, client
from understudy.adapters.aws_serving import EndpointModels, OpenSearchIndex
from understudy.adapters.aws_wire import SignedHttp
from understudy.adapters.warming import warm_index, warm_release
from understudy.contracts.rollout import SlotEvent
from understudy.errors import InvalidInput
from understudy.settings import WarmUpSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: WarmUpSettings
    releases: DynamoReleases
    http: SignedHttp
    models: EndpointModels
    index: OpenSearchIndex


@cache
def world() -> World:
    s, http = WarmUpSettings.from_env(), SignedHttp()
    models = EndpointModels(http, s.two_tower_endpoint, s.ranker_endpoint)
    return World(
        s, DynamoReleases(client("dynamodb"), s.releases_table), http, models, OpenSearchIndex(http, s.opensearch_url)
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, asked = world(), SlotEvent.model_validate(event)
    record = w.releases.get(asked.release_id)
    if record is None:
        raise InvalidInput(f"there is no release {asked.release_id}", "the id of a registered release")
    warm_index(w.http, w.settings.opensearch_url, record)
    candidates = warm_release(record, w.models, w.index, slot=asked.slot, now=datetime.now(UTC))
    logger.info("warm", release_id=record.release_id, slot=asked.slot, candidates=candidates)
    return {"release_id": record.release_id, "candidates": candidates}
