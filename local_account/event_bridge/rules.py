"""Rules and their targets: kept, and asked which of them an event is for."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from local_account.account import ACCOUNT_ID, REGION
from local_account.event_bridge.cron import Expression
from local_account.event_bridge.events import Event
from local_account.event_bridge.pattern import InvalidPattern, Pattern
from local_account.event_bridge.targets import check_target
from local_account.records import Records
from local_account.wire import AwsError

Rule = dict[str, Any]
DEFAULT_BUS = "default"
MAX_TARGETS = 5
_NAME = re.compile(r"[.\-_A-Za-z0-9]{1,64}")


def rule_arn(bus: str, name: str) -> str:
    path = name if bus == DEFAULT_BUS else f"{bus}/{name}"
    return f"arn:aws:events:{REGION}:{ACCOUNT_ID}:rule/{path}"


def read_pattern(text: str) -> Pattern:
    """A pattern's text.

    Raises
    ------
    AwsError
        InvalidEventPatternException with EventBridge's reason.
    """
    try:
        pattern = json.loads(text)
        if not isinstance(pattern, dict):
            raise InvalidPattern("Filter is not an object")
        return Pattern(pattern)
    except ValueError as reason:
        raise AwsError("InvalidEventPatternException", f"Event pattern is not valid. Reason: {reason}") from reason


class Rules:
    """All rules of all buses, patterns compiled."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self._rules: dict[str, Rule] = dict(records.all("rule"))
        self._patterns = {
            arn: read_pattern(r["EventPattern"]) for arn, r in self._rules.items() if r.get("EventPattern")
        }

    def put(self, given: dict[str, Any], created: float) -> Rule:
        name, bus = given["Name"], _bus(given)
        if not _NAME.fullmatch(name):
            raise AwsError(
                "ValidationException", f"Value '{name}' at 'name' is no name of a rule: [.\\-_A-Za-z0-9]+, 1 to 64"
            )
        pattern_text, schedule = given.get("EventPattern"), given.get("ScheduleExpression")
        if not pattern_text and not schedule:
            raise AwsError("ValidationException", "Parameter(s) EventPattern or ScheduleExpression must be specified.")
        pattern = read_pattern(pattern_text) if pattern_text else None
        if schedule:
            try:
                Expression.parse(schedule, at=False)
            except ValueError as reason:
                raise AwsError(
                    "ValidationException", f"Parameter ScheduleExpression is not valid. {reason}"
                ) from reason
        arn = rule_arn(bus, name)
        old = self._rules.get(arn, {})
        rule = {
            "Name": name,
            "Arn": arn,
            "EventBusName": bus,
            "State": given.get("State", "ENABLED"),
            "CreatedBy": ACCOUNT_ID,
            "targets": old.get("targets", {}),
            "tags": given.get("Tags", old.get("tags", [])),
            "created": old.get("created", created),
            **{k: given[k] for k in ("EventPattern", "ScheduleExpression", "Description", "RoleArn") if given.get(k)},
        }
        self._keep(rule)
        self._patterns.pop(arn, None)
        if pattern is not None:
            self._patterns[arn] = pattern
        return rule

    def get(self, given: dict[str, Any], field: str = "Name") -> Rule:
        bus = _bus(given)
        rule = self._rules.get(rule_arn(bus, given[field]))
        if rule is None:
            message = f"Rule {given[field]} does not exist on EventBus {bus}."
            raise AwsError("ResourceNotFoundException", message)
        return rule

    def by_arn(self, arn: str) -> Rule | None:
        return self._rules.get(arn)

    def all(self, bus: str | None = None) -> list[Rule]:
        return [r for r in list(self._rules.values()) if bus in (None, r["EventBusName"])]

    def delete(self, given: dict[str, Any]) -> None:
        try:
            rule = self.get(given)
        except AwsError:
            return  # as AWS has it: what is not there is deleted
        if rule["targets"]:
            raise AwsError("ValidationException", "Rule can't be deleted since it has targets.")
        del self._rules[rule["Arn"]]
        self._patterns.pop(rule["Arn"], None)
        self._records.delete("rule", rule["Arn"])

    def set_state(self, given: dict[str, Any], state: str) -> None:
        self._keep(self.get(given) | {"State": state})

    def put_targets(self, given: dict[str, Any]) -> list[dict[str, str]]:
        """Add or replace targets; those refused, with the reason."""
        rule = self.get(given, "Rule")
        targets, failed = dict(rule["targets"]), []
        for target in given["Targets"]:
            try:
                check_target(target["Arn"])
            except ValueError as reason:
                failed.append(
                    {"TargetId": target["Id"], "ErrorCode": "ValidationException", "ErrorMessage": str(reason)}
                )
                continue
            if target["Arn"].startswith("arn:aws:states:") and "RoleArn" not in target:
                message = f"RoleArn is required for target {target['Arn']}."
                raise AwsError("ValidationException", message)
            targets[target["Id"]] = target
        if len(targets) > MAX_TARGETS:
            message = f"The requested resource exceeds the maximum number allowed: {MAX_TARGETS} targets a rule."
            raise AwsError("LimitExceededException", message)
        self._keep(rule | {"targets": targets})
        return failed

    def remove_targets(self, given: dict[str, Any]) -> list[dict[str, str]]:
        rule = self.get(given, "Rule")
        missing = [i for i in given["Ids"] if i not in rule["targets"]]
        self._keep(rule | {"targets": {i: t for i, t in rule["targets"].items() if i not in given["Ids"]}})
        return [
            {"TargetId": i, "ErrorCode": "ResourceNotFoundException", "ErrorMessage": "no such target"} for i in missing
        ]

    def matching(self, bus: str, event: Event) -> Iterator[Rule]:
        """Enabled rules of a bus that an event is for."""
        for rule in self.all(bus):
            pattern = self._patterns.get(rule["Arn"])
            if pattern is not None and rule["State"] != "DISABLED" and pattern.matches(event):
                yield rule

    def _keep(self, rule: Rule) -> None:
        self._records.put("rule", rule["Arn"], rule)
        self._rules[rule["Arn"]] = rule


def _bus(given: dict[str, Any]) -> str:
    """A bus by name or ARN."""
    return str(given.get("EventBusName") or DEFAULT_BUS).rpartition("/")[2]
