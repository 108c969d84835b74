"""One look at a stage: outcomes of both arms, the judge's verdict, and what follows from it.

In   JudgeStageEvent   events/judge_stage/*.json
Out  Look: {action, wait_s, looks, rest, verdict, reason}; StageLost when traffic is no longer as the stage left it
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoTraffic, client
from understudy.adapters.aws_coverage import DynamoShown
from understudy.adapters.aws_outcomes import DynamoOutcomes
from understudy.adapters.judging import Judging, look
from understudy.adapters.stage_looks import RolloutState
from understudy.contracts.rollout import JudgeStageEvent
from understudy.domain.judge.policy import site_policy
from understudy.settings import JudgeStageSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: JudgeStageSettings
    judging: Judging


@cache
def world() -> World:
    s, dynamodb = JudgeStageSettings.from_env(), client("dynamodb")
    judging = Judging(
        DynamoTraffic(dynamodb, s.traffic_table),
        DynamoOutcomes(dynamodb, s.outcomes_table),
        DynamoShown(dynamodb, s.outcomes_table),
        RolloutState(dynamodb, s.state_table),
        client("s3"),
        s.artifact_bucket,
        site_policy(s.delta, s.minimum_requests),
        s.look_seconds,
        s.inconclusive_policy,
    )
    return World(s, judging)


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    asked = JudgeStageEvent.model_validate(event)
    answer = look(world().judging, asked, datetime.now(UTC))
    stage = f"{asked.stage.index}-{asked.stage.kind}"
    logger.info("looked", rollout_id=asked.rollout_id, stage=stage, **answer.model_dump())
    return answer.model_dump()
