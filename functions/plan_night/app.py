"""A night begins: hold its lease, fix its window, its release and where each job's work belongs.

In   {run_id, execution_arn, started_at, request}   events/plan_night/*.json
Out  NightPlan; LeaseHeld names the night that runs already
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters import model_code
from understudy.adapters.aws import DynamoLeases, DynamoReleases, DynamoTraffic, client
from understudy.adapters.hyperparameters import read_stored
from understudy.adapters.night import champion_pointers, hold_night, named_indices, read_lake
from understudy.contracts.nightly import PlanNightEvent
from understudy.domain.night import Defaults, plan_night
from understudy.domain.tuning import todays_parameters
from understudy.settings import PlanNightSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: PlanNightSettings
    leases: DynamoLeases
    traffic: DynamoTraffic
    releases: DynamoReleases
    dynamodb: Any
    s3: Any
    states: Any
    ssm: Any


@cache
def world() -> World:
    s, dynamodb = PlanNightSettings.from_env(), client("dynamodb")
    stores = (
        DynamoLeases(dynamodb, s.lease_table),
        DynamoTraffic(dynamodb, s.traffic_table),
        DynamoReleases(dynamodb, s.releases_table),
    )
    return World(s, *stores, dynamodb, client("s3"), client("stepfunctions"), client("ssm"))


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, asked = world(), PlanNightEvent.model_validate(event)
    s = w.settings
    lease = hold_night(w.leases, w.states, owner=asked.execution_arn, ttl_s=s.night_ttl_s, now=asked.started_at)
    traffic, tuned = w.traffic.current(), read_stored(w.ssm, s.hyperparameters_path)
    plan = plan_night(
        asked,
        fence=lease.fence,
        lake=read_lake(w.dynamodb, s.state_table, w.s3, s.lake_bucket),
        code=model_code.publish(w.s3, s.artifact_bucket, model_code.find_root()),
        champion=champion_pointers(w.releases, traffic),
        keep_indices=named_indices(w.releases, traffic),
        defaults=Defaults(
            s.window_days,
            s.opensearch_engine,
            todays_parameters("two_tower", tuned["two_tower"], json.loads(s.two_tower_parameters)),
            todays_parameters("ranker", tuned["ranker"], json.loads(s.ranker_parameters)),
        ),  # type: ignore[arg-type]
        bucket=s.artifact_bucket,
    )
    logger.info(
        "night planned", release_id=plan.release_id, as_of=plan.as_of.isoformat(), reason=plan.reason, fence=plan.fence
    )
    return plan.model_dump(mode="json")
