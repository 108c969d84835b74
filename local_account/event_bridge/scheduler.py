"""EventBridge Scheduler's API and what happens when a schedule is due."""

from __future__ import annotations

import json
import re
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from local_account.account import ACCOUNT_ID, REGION, Account
from local_account.event_bridge.cron import Expression
from local_account.event_bridge.deliveries import Deliveries, Delivery, delivery_id
from local_account.event_bridge.events import envelope, wire_time
from local_account.event_bridge.targets import check_target
from local_account.event_bridge.timetable import Entry
from local_account.records import Records
from local_account.wire import AwsError, Request, Response, json_response

Schedule = dict[str, Any]
_NAME = re.compile(r"[0-9A-Za-z_.\-]{1,64}")
_KEPT = [
    "ActionAfterCompletion",
    "Description",
    "EndDate",
    "FlexibleTimeWindow",
    "KmsKeyArn",
    "ScheduleExpression",
    "ScheduleExpressionTimezone",
    "StartDate",
    "State",
    "Target",
]


class Scheduler:
    """Schedules of the group `default` and others; their entries in the timetable."""

    def __init__(self, account: Account, records: Records, deliveries: Deliveries) -> None:
        self._account, self._records, self._deliveries = account, records, deliveries
        self._schedules: dict[str, Schedule] = dict(records.all("schedule"))

    # What the timetable asks

    def entries(self) -> list[Entry]:
        return [_entry(s) for s in list(self._schedules.values()) if s["State"] == "ENABLED"]

    def due(self, arn: str, instant: float) -> None:
        """Put the schedule's delivery on disk; a schedule that ran for the last time may go."""
        schedule = self._schedules[arn]
        target = schedule["Target"]
        execution = delivery_id(arn, str(instant))
        facts = {
            "aws.scheduler.schedule-arn": arn,
            "aws.scheduler.scheduled-time": wire_time(instant),
            "aws.scheduler.execution-id": execution,
            "aws.scheduler.attempt-number": "1",
        }
        payload = target.get("Input") or json.dumps(_default_event(arn, instant))
        for name, value in facts.items():
            payload = payload.replace(f"<{name}>", value)
        origin = {"SCHEDULE_ARN": arn, "ScheduleGroup": schedule["GroupName"]}
        now = self._account.clock.epoch()
        self._deliveries.accept(Delivery(execution, target, payload, now, origin, "AWS/Scheduler"))
        if schedule.get("ActionAfterCompletion") == "DELETE" and _entry(schedule).next_after(instant) is None:
            self._forget(arn)

    # The API

    def handle(self, request: Request) -> tuple[Response, bool]:
        """An answer, and whether the timetable should look again."""
        name = request.path.strip("/").partition("/")[2]
        group = str(request.json().get("GroupName") or request.query.get("groupName") or "default")
        if request.action in ("CreateSchedule", "UpdateSchedule"):
            return json_response(self._put(name, request.json(), request.action)), True
        if request.action == "GetSchedule":
            return json_response({k: v for k, v in self._find(group, name).items() if v is not None}), False
        if request.action == "DeleteSchedule":
            self._forget(self._find(group, name)["Arn"])
            return json_response({}), True
        if request.action == "ListSchedules":
            return json_response(self._list(request.query)), False
        if request.action in ("CreateScheduleGroup", "GetScheduleGroup", "ListScheduleGroups", "DeleteScheduleGroup"):
            return json_response(self._groups(request.action, name)), False
        raise AwsError(
            "UnknownOperationException", f"scheduler:{request.action} is not played by the local account", 501
        )

    def _put(self, name: str, given: Mapping[str, Any], action: str) -> dict[str, str]:
        group = given.get("GroupName") or "default"
        arn = schedule_arn(group, name)
        if not _NAME.fullmatch(name):
            raise AwsError("ValidationException", f"{name!r} is no name of a schedule")
        old = self._schedules.get(arn)
        if action == "CreateSchedule" and old is not None:
            raise AwsError("ConflictException", f"Schedule {name} already exists.", 409)
        if action == "UpdateSchedule" and old is None:
            raise AwsError("ResourceNotFoundException", f"Schedule {name} does not exist.", 404)
        now = self._account.clock.epoch()
        schedule = {"Arn": arn, "Name": name, "GroupName": group, "State": "ENABLED"}
        schedule |= {key: given[key] for key in _KEPT if given.get(key) is not None}
        schedule |= {"CreationDate": old["CreationDate"] if old else now, "LastModificationDate": now}
        _check(schedule)
        self._records.put("schedule", arn, schedule)
        self._schedules[arn] = schedule
        if old is None or old["ScheduleExpression"] != schedule["ScheduleExpression"]:
            self._records.delete("instant", arn)
        return {"ScheduleArn": arn}

    def _find(self, group: str, name: str) -> Schedule:
        schedule = self._schedules.get(schedule_arn(group, name))
        if schedule is None:
            raise AwsError("ResourceNotFoundException", f"Schedule {name} does not exist.", 404)
        return schedule

    def _list(self, query: Mapping[str, str]) -> dict[str, Any]:
        group, prefix, state = query.get("ScheduleGroup"), query.get("NamePrefix", ""), query.get("State")
        shown = ("Arn", "Name", "GroupName", "State", "CreationDate", "LastModificationDate")
        return {
            "Schedules": [
                {key: s[key] for key in shown} | {"Target": {"Arn": s["Target"]["Arn"]}}
                for s in sorted(self._schedules.values(), key=lambda s: s["Name"])
                if s["Name"].startswith(prefix) and group in (None, s["GroupName"]) and state in (None, s["State"])
            ]
        }

    def _groups(self, action: str, name: str) -> dict[str, Any]:
        groups = {"default"} | {key for key, _doc in self._records.all("group")}
        arn = f"arn:aws:scheduler:{REGION}:{ACCOUNT_ID}:schedule-group/"
        if action == "ListScheduleGroups":
            return {"ScheduleGroups": [{"Arn": arn + g, "Name": g, "State": "ACTIVE"} for g in sorted(groups)]}
        if action == "CreateScheduleGroup":
            if name in groups:
                raise AwsError("ConflictException", f"Schedule group {name} already exists.", 409)
            self._records.put("group", name, {})
            return {"ScheduleGroupArn": arn + name}
        if name not in groups:
            raise AwsError("ResourceNotFoundException", f"Schedule group {name} does not exist.", 404)
        if action == "GetScheduleGroup":
            return {"Arn": arn + name, "Name": name, "State": "ACTIVE"}
        for schedule in [s for s in self._schedules.values() if s["GroupName"] == name]:
            self._forget(schedule["Arn"])
        self._records.delete("group", name)
        return {}

    def _forget(self, arn: str) -> None:
        self._schedules.pop(arn, None)
        self._records.delete("schedule", arn)
        self._records.delete("instant", arn)


def schedule_arn(group: str, name: str) -> str:
    return f"arn:aws:scheduler:{REGION}:{ACCOUNT_ID}:schedule/{group}/{name}"


def _check(schedule: Schedule) -> None:
    """Raise ValidationException for a schedule that could never run."""
    target, window = schedule.get("Target") or {}, schedule.get("FlexibleTimeWindow") or {}
    try:
        if not target.get("Arn") or not target.get("RoleArn"):
            raise ValueError("Target needs Arn and RoleArn")
        check_target(target["Arn"])
        if window.get("Mode") not in ("OFF", "FLEXIBLE"):
            raise ValueError("FlexibleTimeWindow.Mode is OFF or FLEXIBLE")
        if window["Mode"] == "FLEXIBLE" and not 1 <= window.get("MaximumWindowInMinutes", 0) <= 1440:
            raise ValueError("MaximumWindowInMinutes is 1 to 1440")
        if schedule["State"] not in ("ENABLED", "DISABLED"):
            raise ValueError("State is ENABLED or DISABLED")
        _entry(schedule)
    except ValueError as reason:
        raise AwsError("ValidationException", f"Invalid Schedule: {reason}") from reason


def _entry(schedule: Schedule) -> Entry:
    """The schedule as the timetable sees it.

    Raises
    ------
    ValueError
        For an expression or time zone that does not exist.
    """
    zone_name = schedule.get("ScheduleExpressionTimezone") or "UTC"
    try:
        zone = ZoneInfo(zone_name)
    except (ZoneInfoNotFoundError, ValueError, OSError) as reason:
        raise ValueError(f"there is no time zone {zone_name}") from reason
    window = schedule["FlexibleTimeWindow"]
    begins = anchor = schedule["CreationDate"]
    if schedule.get("StartDate") is not None:  # a rate fires at its start date too
        anchor = _epoch(schedule["StartDate"])
        begins = max(begins, anchor - 1e-3)
    return Entry(
        arn=schedule["Arn"],
        expression=Expression.parse(schedule["ScheduleExpression"]),
        zone=zone,
        begins=begins,
        anchor=anchor,
        ends=None if schedule.get("EndDate") is None else _epoch(schedule["EndDate"]),
        window_s=60.0 * window.get("MaximumWindowInMinutes", 0) if window["Mode"] == "FLEXIBLE" else 0.0,
    )


def _epoch(value: Any) -> float:
    if isinstance(value, int | float):
        return float(value)
    moment = datetime.fromisoformat(str(value))
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _default_event(arn: str, instant: float) -> dict[str, Any]:
    event = envelope("aws.scheduler", "Scheduled Event", {}, [arn], wire_time(instant), str(uuid.uuid4()))
    return event | {"detail": "{}"}
