"""The stack's alarms in CloudWatch."""

from __future__ import annotations

from typing import Any

from understudy.domain.alarms import Alarm, parse_name


class CloudWatchAlarms:
    """The stack's alarms as they are now."""

    def __init__(self, cloudwatch: Any, stack: str) -> None:
        self._cloudwatch, self._stack = cloudwatch, stack

    def current(self) -> tuple[Alarm, ...]:
        pages = self._cloudwatch.get_paginator("describe_alarms").paginate(
            AlarmNamePrefix=f"{self._stack}-", AlarmTypes=["MetricAlarm"]
        )
        rows = [row for page in pages for row in page["MetricAlarms"]]
        return tuple(alarm for alarm in map(self._alarm, rows) if alarm is not None)

    def _alarm(self, row: dict[str, Any]) -> Alarm | None:
        name = parse_name(self._stack, row["AlarmName"])
        since = row.get("StateTransitionedTimestamp") or row["StateUpdatedTimestamp"]
        if name is None:
            return None
        return Alarm(
            row["AlarmName"], name, row["StateValue"], since.replace(microsecond=0), row.get("StateReason", "")
        )
