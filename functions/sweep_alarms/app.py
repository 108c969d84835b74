"""Every 15 minutes: answer what still rings, finish what was cut off, mend or close the episode of drift.

In   {} from the schedule   events/sweep_alarms/*.json
Out  {"answers": [as of react_to_alarm]}
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.answering import Reactor, reactor
from understudy.settings import SweepAlarmsSettings

logger = Logger()


@cache
def world() -> Reactor:
    return reactor(SweepAlarmsSettings.from_env())


@logger.inject_lambda_context
def handler(_event: dict[str, Any], _context: object) -> dict[str, Any]:
    answers = [reaction.told() for reaction in world().sweep(datetime.now(UTC))]
    logger.info("swept", answers=answers)
    return {"answers": answers}
