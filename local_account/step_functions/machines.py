"""State machines as the API keeps them: definition, role, revision, tags."""

from __future__ import annotations

import json
import uuid
from typing import Any

from local_account.clock import Clock
from local_account.records import Records
from local_account.step_functions.definition_check import check, refusals
from local_account.step_functions.names import check_arn, check_name, machine_arn
from local_account.wire import AwsError

Machine = dict[str, Any]
_SETTINGS = ("loggingConfiguration", "tracingConfiguration", "encryptionConfiguration")


class Machines:
    def __init__(self, records: Records, clock: Clock) -> None:
        self._records, self._clock = records, clock

    def create(self, given: dict[str, Any]) -> Machine:
        """A new machine; the same one again if nothing differs, as AWS has it."""
        name = check_name(given.get("name", ""))
        if given.get("type", "STANDARD") != "STANDARD":
            raise AwsError("ValidationException", "the local account plays STANDARD machines, not EXPRESS")
        definition = _definition(given)
        arn = machine_arn(name)
        standing = self._records.get("machine", arn)
        if standing is not None:
            if (standing["definition"], standing["roleArn"]) != (definition, given.get("roleArn")):
                raise AwsError("StateMachineAlreadyExists", f"State Machine Already Exists: '{arn}'")
            return dict(standing)
        machine = {
            "stateMachineArn": arn,
            "name": name,
            "status": "ACTIVE",
            "definition": definition,
            "roleArn": given["roleArn"],
            "type": "STANDARD",
            "creationDate": self._clock.epoch(),
            "revisionId": str(uuid.uuid4()),
            "tags": given.get("tags", []),
            **{key: given[key] for key in _SETTINGS if key in given},
        }
        self._records.put("machine", arn, machine)
        return machine

    def update(self, given: dict[str, Any]) -> Machine:
        machine = self.get(given["stateMachineArn"])
        if "definition" in given:
            machine["definition"] = _definition(given)
        machine |= {key: given[key] for key in ("roleArn", *_SETTINGS) if key in given}
        machine |= {"revisionId": str(uuid.uuid4()), "updateDate": self._clock.epoch()}
        self._records.put("machine", machine["stateMachineArn"], machine)
        return machine

    def get(self, arn: str) -> Machine:
        machine = self._records.get("machine", check_arn(arn, "stateMachine"))
        if machine is None:
            raise AwsError("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")
        return dict(machine)

    def all(self) -> list[Machine]:
        return [machine for _arn, machine in self._records.all("machine")]

    def delete(self, arn: str) -> None:
        self._records.delete("machine", check_arn(arn, "stateMachine"))

    def tag(self, arn: str, tags: list[dict[str, str]]) -> None:
        machine = self._tagged(arn)
        new = {tag["key"]: tag["value"] for tag in machine["tags"]} | {tag["key"]: tag["value"] for tag in tags}
        if len(new) > 50:
            raise AwsError("TooManyTags", "a resource has 50 tags at most")
        self._records.put("machine", arn, machine | {"tags": [{"key": k, "value": v} for k, v in new.items()]})

    def untag(self, arn: str, keys: list[str]) -> None:
        machine = self._tagged(arn)
        self._records.put("machine", arn, machine | {"tags": [t for t in machine["tags"] if t["key"] not in keys]})

    def tags(self, arn: str) -> list[dict[str, str]]:
        return list(self._tagged(arn)["tags"])

    def _tagged(self, arn: str) -> Machine:
        machine = self._records.get("machine", arn)
        if machine is None:
            raise AwsError("ResourceNotFound", f"Resource not found: '{arn}'")
        return dict(machine)


def _definition(given: dict[str, Any]) -> str:
    """The definition's text, if a machine can be made of it."""
    text = str(given.get("definition", ""))
    problems = [
        f"{d['code']}: {d['message']} at {d['location'] or '/'}" for d in diagnose(text) if d["severity"] == "ERROR"
    ]
    if problems:
        raise AwsError("InvalidDefinition", f"Invalid State Machine Definition: '{', '.join(problems)}'")
    return text


def diagnose(text: str) -> list[dict[str, str]]:
    """Diagnostics of ValidateStateMachineDefinition."""
    try:
        definition = json.loads(text)
        if not isinstance(definition, dict):
            raise ValueError("it is no object")
    except ValueError as reason:
        return [{"severity": "ERROR", "code": "INVALID_JSON_DESCRIPTION", "message": str(reason), "location": ""}]
    refused = refusals(definition)
    return [
        {
            "severity": "ERROR" if problem in refused else "WARNING",
            "code": problem.code,
            "message": problem.message,
            "location": problem.location,
        }
        for problem in check(definition)
    ]
