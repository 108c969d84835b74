"""Both endpoints hold exactly what traffic names, plus what comes: nothing else adds or removes a variant.

In   {coming: {release, slot} | null, fence}   events/match_endpoints/*.json
Out  AskedSlot: the endpoints and the configurations they must come to; NotReady while an endpoint is busy with another
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoReleases, DynamoTraffic, client
from understudy.adapters.matching import Clients, match
from understudy.adapters.scaling import ScalingNotes
from understudy.contracts.rollout import AskedSlot, MatchEndpointsEvent
from understudy.domain.rollout import check_fence
from understudy.settings import MatchEndpointsSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: MatchEndpointsSettings
    traffic: DynamoTraffic
    clients: Clients


@cache
def world() -> World:
    s, dynamodb = MatchEndpointsSettings.from_env(), client("dynamodb")
    aws = (client("s3"), client("sagemaker"), client("application-autoscaling"))
    clients = Clients(DynamoReleases(dynamodb, s.releases_table), *aws, ScalingNotes(dynamodb, s.state_table))
    return World(s, DynamoTraffic(dynamodb, s.traffic_table), clients)


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, asked = world(), MatchEndpointsEvent.model_validate(event)
    traffic = w.traffic.current()
    check_fence(traffic, asked.fence)
    endpoints = match(w.clients, w.settings, traffic, asked.coming)
    coming = asked.coming.release if asked.coming else None
    logger.info("endpoints matched", coming=coming, configs=[one.config for one in endpoints])
    return AskedSlot(endpoints=endpoints).model_dump()
