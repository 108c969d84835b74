"""A search for better hyperparameters begins: fix its data, its ranges, and what tonight would run with.

In   {execution_arn, request}   events/plan_tuning/*.json
Out  TuningPlan; no models when there is nothing to search, and `nothing` says why
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters import model_code
from understudy.adapters.aws import DynamoReleases, DynamoTraffic, client
from understudy.adapters.hyperparameters import read_stored
from understudy.adapters.night import champion_pointers
from understudy.adapters.work import find_processing
from understudy.contracts.tuning import PlanTuningEvent
from understudy.domain.tuning import Limits, plan_tuning
from understudy.ports import ReleaseStore, TrafficStore
from understudy.settings import PlanTuningSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: PlanTuningSettings
    traffic: TrafficStore
    releases: ReleaseStore
    s3: Any
    ssm: Any


@cache
def world() -> World:
    s, dynamodb = PlanTuningSettings.from_env(), client("dynamodb")
    stores = DynamoTraffic(dynamodb, s.traffic_table), DynamoReleases(dynamodb, s.releases_table)
    return World(s, *stores, client("s3"), client("ssm"))


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, asked = world(), PlanTuningEvent.model_validate(event)
    s, newest = w.settings, next(iter(w.releases.list()), None)
    champion = champion_pointers(w.releases, w.traffic.current())
    plan = plan_tuning(
        asked,
        newest=newest,
        data_is_there=newest is not None and find_processing(w.s3, newest.prepared_s3).finished,
        champion_tower=champion.two_tower_model_s3 if champion else "",
        stored=read_stored(w.ssm, s.hyperparameters_path),
        fixed={"two_tower": json.loads(s.two_tower_parameters), "ranker": json.loads(s.ranker_parameters)},
        limits=Limits(s.tune_jobs, s.tune_parallel, s.tune_strategy),  # type: ignore[arg-type]  # the template's AllowedValues
        code=model_code.publish(w.s3, s.artifact_bucket, model_code.find_root()),
        bucket=s.artifact_bucket,
    )
    logger.info("search planned", models=[m.name for m in plan.models], nothing=plan.nothing, over=plan.release_id)
    return plan.model_dump(mode="json")
