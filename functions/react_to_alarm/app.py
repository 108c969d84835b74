"""An alarm changed its state: decide once what that leads to, write it down with its reason, and do it.

In   EventBridge `CloudWatch Alarm State Change`   events/react_to_alarm/*.json
Out  {"alarm", "state", "action": "roll_back" | "retrain" | "page" | "wait" | "ignore", "reason", "execution", "episode_id"}
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.answering import Reactor, reactor
from understudy.contracts.reactions import AlarmStateChange
from understudy.domain.alarms import occasion_of
from understudy.settings import ReactToAlarmSettings

logger = Logger()


@cache
def world() -> Reactor:
    return reactor(ReactToAlarmSettings.from_env())


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    told = AlarmStateChange.model_validate(event).detail
    occasion = occasion_of(told.alarm_name, told.state.value, told.state.timestamp)
    said = world().answer(occasion, datetime.now(UTC)).told()
    logger.info("alarm answered", **said)
    return said
