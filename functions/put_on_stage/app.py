"""A warmed release starts to serve: the one conditional write, then the word in the releases table.

In   {release_id, slot, fence, rollout_id, at}   events/put_on_stage/*.json
Out  Traffic as written; TrafficMoved if another writer was first or a higher fence stands
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoReleases, DynamoTraffic, client
from understudy.contracts.rollout import PutOnStageEvent
from understudy.domain.rollout import first_champion
from understudy.errors import InvalidInput
from understudy.settings import PutOnStageSettings

logger = Logger()


@cache
def world() -> tuple[DynamoTraffic, DynamoReleases]:
    s, dynamodb = PutOnStageSettings.from_env(), client("dynamodb")
    return DynamoTraffic(dynamodb, s.traffic_table), DynamoReleases(dynamodb, s.releases_table)


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    asked = PutOnStageEvent.model_validate(event)
    traffic, releases = world()
    record = releases.get(asked.release_id)
    if record is None:
        raise InvalidInput(f"there is no release {asked.release_id}", "the id of a registered release")
    wanted = first_champion(record, asked.slot, rollout_id=asked.rollout_id, fence=asked.fence, at=asked.at)
    written = traffic.replace(None, wanted, asked.fence)
    if record.status != "champion":
        releases.move_status(record, "champion", asked.fence)
    logger.info("on stage", release_id=asked.release_id, slot=asked.slot, version=written.version, fence=written.fence)
    return written.model_dump(mode="json")
