"""A reactor over real tables, with alarms and executions as a test says."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

from benchmarks import alarm_world
from benchmarks.alarm_world import COOL_DOWN_S, MACHINES, POLICY, STACK, create_tables
from understudy.adapters.answering import Reactor
from understudy.contracts.reactions import Occasion
from understudy.contracts.traffic import Standing
from understudy.domain.alarms import Alarm, occasion_of, parse_name

__all__ = ["COOL_DOWN_S", "MACHINES", "POLICY", "create_tables"]
NOW = datetime(2026, 11, 23, 14, 5, 7, tzinfo=UTC)
OLD, NEW = Standing(release="r-old", slot="blue"), Standing(release="r-new", slot="green")


def alarm(what: str, state: str = "ALARM", since: datetime = NOW) -> Alarm:
    """`alarm("drift-bias")` rings."""
    text = f"{STACK}-{what}"
    name = parse_name(STACK, text)
    assert name is not None, text
    return Alarm(text, name, state, since)  # type: ignore[arg-type]


def occasion(what: str, at: datetime = NOW, state: str = "ALARM") -> Occasion:
    return occasion_of(f"{STACK}-{what}", state, at)  # type: ignore[arg-type]


def event(what: str, at: datetime = NOW, state: str = "ALARM") -> dict[str, Any]:
    """As EventBridge delivers it."""
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S.412+0000")
    detail = {"alarmName": f"{STACK}-{what}", "state": {"value": state, "reason": "a test", "timestamp": stamp}}
    return {"source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "detail": detail}


@dataclass
class Alarms:
    """The stack's alarms: what rings is what `ring` was told."""

    known: dict[str, Alarm] = field(default_factory=dict)

    def current(self) -> tuple[Alarm, ...]:
        return tuple(self.known.values())

    def ring(self, what: str, at: datetime = NOW, state: str = "ALARM") -> None:
        self.known[f"{STACK}-{what}"] = alarm(what, state, at)


def reactor(dynamodb: Any, tables: SimpleNamespace) -> Reactor:
    """A reactor before anything happened, with no alarm and executions that run on."""
    return alarm_world.reactor(dynamodb, tables, Alarms(), began=NOW, status="RUNNING")
