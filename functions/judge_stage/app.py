"""One look at a stage: outcomes of both arms, the judge's verdict, and what follows from it.

In   JudgeStageEvent   events/judge_stage/*.json
Out  Look: {action, wait_s, looks, rest, verdict, reason}; StageLost when traffic is no longer as the stage left it
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.judging import Judging, judging, look
from understudy.contracts.rollout import JudgeStageEvent
from understudy.settings import JudgeStageSettings

logger = Logger()


@cache
def world() -> Judging:
    return judging(JudgeStageSettings.from_env())


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    asked = JudgeStageEvent.model_validate(event)
    answer = look(world(), asked, datetime.now(UTC))
    stage = f"{asked.stage.index}-{asked.stage.kind}"
    logger.info("looked", rollout_id=asked.rollout_id, stage=stage, **answer.model_dump())
    return answer.model_dump()
