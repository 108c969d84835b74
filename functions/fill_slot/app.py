"""A release's two models go into its slot of both endpoints.

In   {release_id, slot}   events/fill_slot/*.json
Out  AskedSlot: the endpoints and the configurations they must come to; NotReady while an endpoint is busy with another
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoReleases, client
from understudy.adapters.endpoints import EndpointPlan, ask_for, check_artefact
from understudy.adapters.registry import approvals, digest_of
from understudy.contracts.rollout import AskedSlot, SlotEvent
from understudy.errors import InvalidInput
from understudy.settings import FillSlotSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: FillSlotSettings
    releases: DynamoReleases
    s3: Any
    sagemaker: Any


@cache
def world() -> World:
    s = FillSlotSettings.from_env()
    return World(s, DynamoReleases(client("dynamodb"), s.releases_table), client("s3"), client("sagemaker"))


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, asked = world(), SlotEvent.model_validate(event)
    s, record = w.settings, w.releases.get(asked.release_id)
    if record is None or approvals(w.sagemaker, record) != ["Approved", "Approved"]:
        raise InvalidInput(
            f"release {asked.release_id} is not approved", "a registered release whose two packages are Approved"
        )
    endpoints = []
    for endpoint, uri, package in (
        (s.two_tower_endpoint, record.two_tower_model_s3, record.two_tower_package_arn),
        (s.ranker_endpoint, record.ranker_model_s3, record.ranker_package_arn),
    ):
        check_artefact(w.s3, uri, digest_of(w.sagemaker, str(package)))
        plan = EndpointPlan(
            endpoint,
            asked.slot,
            f"{endpoint}-{record.release_id}",
            s.inference_image_uri,
            uri,
            s.endpoint_role_arn,
            s.instance_type,
            s.capture_s3_uri,
        )
        endpoints.append(ask_for(w.sagemaker, plan))
    logger.info("slot filled", release_id=record.release_id, slot=asked.slot, configs=[one.config for one in endpoints])
    return AskedSlot(endpoints=endpoints).model_dump()
