"""What alarms said and what was decided about them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from cli.site import Site
from understudy.adapters.reactions import DynamoReactions
from understudy.contracts.reactions import Reaction


@dataclass(frozen=True, slots=True)
class Transition:
    """One change of an alarm's state."""

    alarm: str
    at: datetime
    before: str
    after: str
    reason: str


def read_transitions(site: Site, since: datetime, until: datetime) -> list[Transition]:
    """Every change of state of the stack's alarms, oldest first."""
    pages = site.client("cloudwatch").get_paginator("describe_alarm_history")
    asked = {"HistoryItemType": "StateUpdate", "StartDate": since, "EndDate": until}
    rows = [row for page in pages.paginate(**asked) for row in page["AlarmHistoryItems"]]
    ours = [_transition(row) for row in rows if row["AlarmName"].startswith(f"{site.stack}-")]
    return sorted(ours, key=lambda one: one.at)


def _transition(row: dict[str, Any]) -> Transition:
    data = json.loads(row.get("HistoryData") or "{}")
    before, after = data.get("oldState", {}), data.get("newState", {})
    said = after.get("stateReason", row.get("HistorySummary", ""))
    at = row["Timestamp"].astimezone(UTC)
    return Transition(row["AlarmName"], at, before.get("stateValue", "?"), after.get("stateValue", "?"), said)


def in_alarm(transitions: list[Transition], until: datetime) -> list[tuple[str, datetime, datetime]]:
    """(alarm, since, until) of every time an alarm was in ALARM; one that still is ends with the report.

    Examples
    --------
    >>> at = [datetime(2026, 1, 1, hour, tzinfo=UTC) for hour in range(3)]
    >>> rose = Transition("a", at[0], "OK", "ALARM", "")
    >>> [(alarm, since.hour, to.hour) for alarm, since, to in in_alarm([rose, Transition("a", at[1], "ALARM", "OK", "")], at[2])]
    [('a', 0, 1)]
    >>> [(alarm, since.hour, to.hour) for alarm, since, to in in_alarm([rose], at[2])]
    [('a', 0, 2)]
    """
    began: dict[str, datetime] = {}
    found = []
    for one in transitions:
        if one.after == "ALARM":
            began.setdefault(one.alarm, one.at)
        elif one.alarm in began:
            found.append((one.alarm, began.pop(one.alarm), one.at))
    return found + [(alarm, since, until) for alarm, since in began.items()]


def read_reactions(site: Site, since: datetime, until: datetime) -> list[Reaction]:
    """Decisions about alarms, oldest first."""
    days = (until.date() - since.date()).days + 1
    table = DynamoReactions(site.client("dynamodb"), site.outputs["ReactionsTable"])
    found = [one for one in table.of_days(until.date(), days) if one.decided_at >= since]
    return sorted(found, key=lambda one: one.decided_at)
