"""Every user's list is due: fix which release makes it, for when, and where each job's work belongs.

In   {run_id, started_at, request}   events/plan_scoring/*.json
Out  ScoringPlan; without a release_id while nobody is on stage
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoReleases, DynamoTraffic, client
from understudy.adapters.scoring import publish_code, read_users
from understudy.contracts.scoring import PlanScoringEvent
from understudy.domain.scoring import ListRules, plan_scoring
from understudy.settings import PlanScoringSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: PlanScoringSettings
    traffic: DynamoTraffic
    releases: DynamoReleases
    dynamodb: Any
    s3: Any


@cache
def world() -> World:
    s, dynamodb = PlanScoringSettings.from_env(), client("dynamodb")
    stores = DynamoTraffic(dynamodb, s.traffic_table), DynamoReleases(dynamodb, s.releases_table)
    return World(s, *stores, dynamodb, client("s3"))


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, asked = world(), PlanScoringEvent.model_validate(event)
    s, traffic = w.settings, w.traffic.current()
    champion = traffic.champion.release if traffic else None
    wanted = asked.request.release_id or champion
    plan = plan_scoring(
        asked,
        champion=champion,
        record=w.releases.get(wanted) if wanted else None,
        users=read_users(w.dynamodb, s.state_table),
        code=publish_code(w.s3, s.artifact_bucket),
        rules=ListRules(s.candidates, s.max_per_author, s.max_per_topic_share),
        k=s.list_length,
        bucket=s.artifact_bucket,
    )
    logger.info("scoring planned", release_id=plan.release_id, at=plan.at, export=plan.export, reason=plan.reason)
    return plan.model_dump(mode="json")
