"""The alarms of the account: kept on disk with their state, described, and told of when their state changes."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from local_account.account import Account
from local_account.cloudwatch import reasons
from local_account.cloudwatch.alarm import STATES, Alarm, State, read_alarm, refusal
from local_account.cloudwatch.history import History
from local_account.cloudwatch.paging import page
from local_account.cloudwatch.telling import Document, alarm_arn, check_actions, take_actions, transition_detail
from local_account.records import Records
from local_account.wire import AwsError

_MOST = 100
_UNPLAYED = ("ChildrenOfAlarmName", "ParentsOfAlarmName")


class Alarms:
    """Every change is on disk before it is told, and told again after a crash between the two."""

    def __init__(self, account: Account, records: Records, history: History) -> None:
        self._account, self._records, self._history = account, records, history
        self._lock = threading.RLock()
        self._documents: dict[str, Document] = dict(records.all("alarm"))
        self._alarms: dict[str, Alarm] = {name: read_alarm(one["given"]) for name, one in self._documents.items()}

    def resume(self) -> None:
        """Tell what an account that was killed had written and not told."""
        for document in list(self._documents.values()):
            if document["untold"]:
                self._tell(document)

    def all(self) -> list[tuple[Alarm, State]]:
        with self._lock:
            return [(alarm, self._documents[name]["state"]["value"]) for name, alarm in self._alarms.items()]

    def put(self, given: dict[str, Any]) -> None:
        """Create or replace an alarm; one that exists keeps its state, tags of an existing one are not changed."""
        alarm = read_alarm(given)
        check_actions(given)
        tags = {one["Key"]: one["Value"] for one in given.pop("Tags", None) or []}
        now = self._account.clock.epoch()
        with self._lock:
            old = self._documents.get(alarm.name)
            state = {"value": "INSUFFICIENT_DATA", "reason": reasons.UNCHECKED, "reason_data": "", "at": now}
            first = {"arn": alarm_arn(alarm.name), "state": state, "previous": state, "untold": False, "tags": tags}
            document = {**(old or first), "given": given, "configured_at": now}
            self._keep(alarm.name, document)
            self._alarms[alarm.name] = alarm
        verb = "updated" if old else "created"
        data = {"version": "1.0", "type": "Update" if old else "Create", "updatedAlarm": given}
        self._history.add(alarm.name, "ConfigurationUpdate", f'Alarm "{alarm.name}" {verb}', data, now)

    def delete(self, names: Iterable[str]) -> None:
        """Delete all of them or, if one is not there, none."""
        with self._lock:
            names = list(names)
            if missing := [name for name in names if name not in self._documents]:
                raise AwsError("ResourceNotFound", f"Unknown alarm {', '.join(missing)}", 404)
            for name in names:
                self._records.delete("alarm", name)
                del self._documents[name], self._alarms[name]
                data = {"version": "1.0", "type": "Delete"}
                now = self._account.clock.epoch()
                self._history.add(name, "ConfigurationUpdate", f'Alarm "{name}" deleted', data, now)

    def enable_actions(self, names: Iterable[str], enabled: bool) -> None:
        with self._lock:
            for name in names:
                if name in self._documents:
                    document = self._documents[name]
                    self._keep(name, {**document, "given": {**document["given"], "ActionsEnabled": enabled}})

    def set_state(self, given: Mapping[str, Any]) -> None:
        """SetAlarmState: the next evaluation overwrites it."""
        if given.get("StateValue") not in STATES:
            raise refusal(f"StateValue must be one of {', '.join(STATES)}")
        name = given.get("AlarmName") or ""
        self._require(name)
        reason, data = given.get("StateReason") or "", given.get("StateReasonData") or ""
        self.change(name, given["StateValue"], reason, data, self._account.clock.epoch())

    def change(self, name: str, state: State, reason: str, reason_data: str, at: float) -> None:
        """Put an alarm in a state. Only a transition is told; the same state again keeps its reason and time."""
        with self._lock:
            document = self._documents.get(name)
            if document is None or document["state"]["value"] == state:
                return
            changed = {"value": state, "reason": reason, "reason_data": reason_data, "at": at}
            document = {**document, "previous": document["state"], "state": changed, "untold": True}
            self._keep(name, document)
            self._tell(document)

    def describe(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """DescribeAlarms, by name."""
        if unplayed := [name for name in _UNPLAYED if given.get(name)]:
            raise refusal(f"{unplayed[0]} is about composite alarms, which the local account does not play")
        if given.get("AlarmTypes") and "MetricAlarm" not in given["AlarmTypes"]:
            return {"MetricAlarms": [], "CompositeAlarms": []}
        with self._lock:
            found = [one for _, one in sorted(self._documents.items()) if _is_asked_for(one, given)]
        shown, token = page(found, given, _MOST)
        return {"MetricAlarms": [_described(one) for one in shown], "CompositeAlarms": [], **token}

    def tags(self, arn: str) -> dict[str, str]:
        return dict(self._by_arn(arn)["tags"])

    def set_tags(self, arn: str, tags: Mapping[str, str]) -> None:
        with self._lock:
            document = self._by_arn(arn)
            self._keep(document["given"]["AlarmName"], {**document, "tags": dict(tags)})

    def _tell(self, document: Document) -> None:
        name, was, state = document["given"]["AlarmName"], document["previous"], document["state"]
        detail = transition_detail(document)
        self._account.emit("aws.cloudwatch", "CloudWatch Alarm State Change", detail, [document["arn"]])
        data = {"version": "1.0", "oldState": detail["previousState"], "newState": detail["state"]}
        summary = f"Alarm updated from {was['value']} to {state['value']}"
        self._history.add(name, "StateUpdate", summary, data, state["at"])
        for target, problem in take_actions(self._account, document):
            summary = f"{'Failed to execute' if problem else 'Successfully executed'} action {target}"
            data = {
                "actionState": "Failed" if problem else "Succeeded",
                "notificationResource": target,
                "error": problem,
            }
            self._history.add(name, "Action", summary, data, state["at"])
        self._keep(name, {**document, "untold": False})

    def _keep(self, name: str, document: Document) -> None:
        self._records.put("alarm", name, document)
        self._documents[name] = document

    def _require(self, name: str) -> Document:
        document = self._documents.get(name)
        if document is None:
            raise AwsError("ResourceNotFound", f"Unknown alarm {name}", 404)
        return document

    def _by_arn(self, arn: str) -> Document:
        return self._require(arn.partition(":alarm:")[2])


def _is_asked_for(document: Document, given: Mapping[str, Any]) -> bool:
    name = document["given"]["AlarmName"]
    if given.get("AlarmNames") and name not in given["AlarmNames"]:
        return False
    if not name.startswith(given.get("AlarmNamePrefix") or ""):
        return False
    if given.get("StateValue") not in (None, document["state"]["value"]):
        return False
    prefix = given.get("ActionPrefix")
    actions = [
        one
        for key in ("OKActions", "AlarmActions", "InsufficientDataActions")
        for one in document["given"].get(key) or []
    ]
    return not prefix or any(action.startswith(prefix) for action in actions)


def _described(document: Document) -> dict[str, Any]:
    state = document["state"]
    at = datetime.fromtimestamp(state["at"], UTC)
    empty: dict[str, Any] = {"OKActions": [], "AlarmActions": [], "InsufficientDataActions": [], "ActionsEnabled": True}
    if not document["given"].get("Metrics"):
        empty["Dimensions"] = []
    return {
        **empty,
        **document["given"],
        "AlarmArn": document["arn"],
        "AlarmConfigurationUpdatedTimestamp": datetime.fromtimestamp(document["configured_at"], UTC),
        "StateValue": state["value"],
        "StateReason": state["reason"],
        "StateReasonData": state["reason_data"],
        "StateUpdatedTimestamp": at,
        "StateTransitionedTimestamp": at,
    }
