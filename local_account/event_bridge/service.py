"""EventBridge and its Scheduler (signing names `events`, `scheduler`)."""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from typing import Any
from zoneinfo import ZoneInfo

from local_account.account import ACCOUNT_ID, REGION, Account
from local_account.event_bridge.cron import Expression
from local_account.event_bridge.deliveries import Deliveries, Delivery, delivery_id
from local_account.event_bridge.events import Event, InvalidEntry, envelope, from_entry, wire_time
from local_account.event_bridge.rules import DEFAULT_BUS, Rule, Rules, read_pattern
from local_account.event_bridge.scheduler import Scheduler
from local_account.event_bridge.timetable import Entry, Timetable
from local_account.event_bridge.transform import target_input
from local_account.records import Records
from local_account.wire import AwsError, JsonService, Principal, Request, Response

Given = dict[str, Any]
MAX_ENTRIES = 10
_SHOWN = ("Name", "Arn", "EventPattern", "State", "Description", "ScheduleExpression", "RoleArn", "EventBusName")


class EventBridge(JsonService):
    def __init__(self, account: Account) -> None:
        self._account = account
        self._records = Records(account.state_dir / "event_bridge" / "records.db")
        self._rules = Rules(self._records)
        self._deliveries = Deliveries(account, self._records)
        self._scheduler = Scheduler(account, self._records, self._deliveries)
        self._listeners: list[Callable[[Event], None]] = []
        self._timetable = Timetable(account.clock, self._records, self._entries, self._due)

    def start(self) -> None:
        self._deliveries.start()
        self._timetable.start()

    def stop(self) -> None:
        self._timetable.stop()
        self._deliveries.stop()
        self._records.close()

    def handle(self, request: Request) -> Response:
        if request.service == "scheduler":
            response, changed = self._scheduler.handle(request)
            if changed:
                self._timetable.changed()
            return response
        return super().handle(request)

    # Events

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Tell a service of this process of every event of AWS's own, at once and only while it runs."""
        self._listeners.append(listener)

    def put_aws_event(self, event: Event) -> None:
        """An event of AWS's own, from another service of this process; its deliveries are on disk when this returns."""
        self.put_on_bus(DEFAULT_BUS, event)
        for listener in self._listeners:
            listener(event)

    def put_on_bus(self, bus: str, event: Event) -> None:
        """Find the rules an event is for, and put one delivery for each of their targets on disk."""
        for rule in self._rules.matching(bus, event):
            self._account.count("AWS/Events", "MatchedEvents", 1, "Count", {"RuleName": rule["Name"]})
            self._deliver(rule, event)

    def _deliver(self, rule: Rule, event: Event) -> None:
        self._account.count("AWS/Events", "TriggeredRules", 1, "Count", {"RuleName": rule["Name"]})
        now = self._account.clock.epoch()
        for target in rule["targets"].values():
            payload = target_input(target, event, rule["Arn"], now)
            name = delivery_id(event["id"], rule["Arn"], target["Id"])
            origin = {"RULE_ARN": rule["Arn"], "RuleName": rule["Name"]}
            self._deliveries.accept(Delivery(name, target, payload, now, origin, "AWS/Events"))

    def put_events(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        entries = given["Entries"]
        if not 1 <= len(entries) <= MAX_ENTRIES:
            message = f"1 validation error detected: 'entries' must have 1 to {MAX_ENTRIES} members"
            raise AwsError("ValidationException", message)
        answers: list[dict[str, str]] = []
        for entry in entries:
            try:
                event = from_entry(entry, self._account.clock.epoch())
            except InvalidEntry as refused:
                answers.append({"ErrorCode": refused.code, "ErrorMessage": str(refused)})
                continue
            bus = str(entry.get("EventBusName") or DEFAULT_BUS).rpartition("/")[2]
            self._require_bus(bus)
            self.put_on_bus(bus, event)
            answers.append({"EventId": event["id"]})
        return {"FailedEntryCount": sum("ErrorCode" in a for a in answers), "Entries": answers}

    def test_event_pattern(self, given: Given, _who: Principal) -> Mapping[str, Any]:  # noqa: PT019 - no test
        try:
            event = json.loads(given["Event"])
        except ValueError as reason:
            raise AwsError("ValidationException", f"Parameter Event is not valid. Reason: {reason}") from reason
        needed = ("id", "account", "source", "time", "region", "resources", "detail-type")
        missing = [field for field in needed if field not in event]
        if missing:
            raise AwsError("ValidationException", f"Parameter Event is not valid. It needs {', '.join(missing)}.")
        return {"Result": read_pattern(given["EventPattern"]).matches(event)}

    # Rules

    def put_rule(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        self._require_bus(str(given.get("EventBusName") or DEFAULT_BUS).rpartition("/")[2])
        rule = self._rules.put(given, self._account.clock.epoch())
        self._timetable.changed()
        return {"RuleArn": rule["Arn"]}

    def describe_rule(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        rule = self._rules.get(given)
        return {key: rule[key] for key in (*_SHOWN, "CreatedBy") if key in rule}

    def list_rules(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        bus = str(given.get("EventBusName") or DEFAULT_BUS).rpartition("/")[2]
        found = [r for r in self._rules.all(bus) if r["Name"].startswith(given.get("NamePrefix", ""))]
        return {"Rules": [{key: rule[key] for key in _SHOWN if key in rule} for rule in found]}

    def delete_rule(self, given: Given, _who: Principal) -> None:
        self._rules.delete(given)
        self._timetable.changed()

    def enable_rule(self, given: Given, _who: Principal) -> None:
        self._rules.set_state(given, "ENABLED")
        self._timetable.changed()

    def disable_rule(self, given: Given, _who: Principal) -> None:
        self._rules.set_state(given, "DISABLED")

    def put_targets(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        failed = self._rules.put_targets(given)
        return {"FailedEntryCount": len(failed), "FailedEntries": failed}

    def remove_targets(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        failed = self._rules.remove_targets(given)
        return {"FailedEntryCount": len(failed), "FailedEntries": failed}

    def list_targets_by_rule(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        return {"Targets": list(self._rules.get(given, "Rule")["targets"].values())}

    def list_rule_names_by_target(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        wanted = given["TargetArn"]
        rules = (r for r in self._rules.all() if any(t["Arn"] == wanted for t in r["targets"].values()))
        return {"RuleNames": [rule["Name"] for rule in rules]}

    def list_tags_for_resource(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        rule = self._rules.by_arn(given["ResourceARN"])
        if rule is None:
            raise AwsError("ResourceNotFoundException", f"Rule {given['ResourceARN']} does not exist.")
        return {"Tags": rule["tags"]}

    # Buses

    def create_event_bus(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        name = given["Name"]
        if name == DEFAULT_BUS or self._records.get("bus", name) is not None:
            raise AwsError("ResourceAlreadyExistsException", f"Event bus {name} already exists.")
        self._records.put("bus", name, {"Name": name})
        return {"EventBusArn": _bus_arn(name)}

    def delete_event_bus(self, given: Given, _who: Principal) -> None:
        self._records.delete("bus", given["Name"])

    def list_event_buses(self, _given: Given, _who: Principal) -> Mapping[str, Any]:
        names = [DEFAULT_BUS, *(name for name, _doc in self._records.all("bus"))]
        return {"EventBuses": [{"Name": name, "Arn": _bus_arn(name)} for name in names]}

    def describe_event_bus(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        name = str(given.get("Name") or DEFAULT_BUS).rpartition("/")[2]
        self._require_bus(name)
        return {"Name": name, "Arn": _bus_arn(name)}

    def _require_bus(self, name: str) -> None:
        if name != DEFAULT_BUS and self._records.get("bus", name) is None:
            raise AwsError("ResourceNotFoundException", f"Event bus {name} does not exist.")

    # Schedules, those of rules among them

    def _entries(self) -> list[Entry]:
        rules = [
            Entry(
                rule["Arn"],
                Expression.parse(rule["ScheduleExpression"], at=False),
                ZoneInfo("UTC"),
                begins=rule["created"],
                anchor=rule["created"],
            )
            for rule in self._rules.all()
            if rule.get("ScheduleExpression") and rule["State"] != "DISABLED"
        ]
        return rules + self._scheduler.entries()

    def _due(self, arn: str, instant: float) -> None:
        rule = self._rules.by_arn(arn)
        if rule is None:
            self._scheduler.due(arn, instant)
            return
        name = str(uuid.uuid5(uuid.NAMESPACE_URL, f"{arn}@{instant}"))  # the same instant is the same event
        self._deliver(rule, envelope("aws.events", "Scheduled Event", {}, [arn], wire_time(instant), name))


def _bus_arn(name: str) -> str:
    return f"arn:aws:events:{REGION}:{ACCOUNT_ID}:event-bus/{name}"
