"""Step Functions' API (signing name `states`) over machines and executions."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from typing import Any

from local_account.account import Account
from local_account.records import Records
from local_account.step_functions.executions import Executions
from local_account.step_functions.history import without_data
from local_account.step_functions.machines import Machines, diagnose
from local_account.step_functions.names import check_arn, check_input, check_name, execution_arn
from local_account.step_functions.telling import redrive_status
from local_account.wire import AwsError, JsonService, Principal

Given = dict[str, Any]

REDRIVE_DAYS = 14
_DESCRIBED = [
    "executionArn",
    "stateMachineArn",
    "name",
    "status",
    "startDate",
    "stopDate",
    "input",
    "output",
    "error",
    "cause",
    "redriveCount",
    "redriveDate",
]


class StepFunctions(JsonService):
    def __init__(self, account: Account) -> None:
        self._account = account
        self._records = Records(account.state_dir / "step_functions" / "records.db")
        self._machines = Machines(self._records, account.clock)
        self._executions = Executions(account, self._records)

    def start(self) -> None:
        self._account.service("events").listen(self._executions.news.hear)
        self._executions.resume()

    def stop(self) -> None:
        self._executions.suspend()
        self._records.close()

    # Machines

    def create_state_machine(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        machine = self._machines.create(given)
        return {key: machine[key] for key in ("stateMachineArn", "creationDate")}

    def update_state_machine(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        machine = self._machines.update(given)
        return {key: machine[key] for key in ("updateDate", "revisionId")}

    def describe_state_machine(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        return {
            k: v for k, v in self._machines.get(given["stateMachineArn"]).items() if k not in ("tags", "updateDate")
        }

    def list_state_machines(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        shown = ("stateMachineArn", "name", "type", "creationDate")
        page, token = _page([{key: m[key] for key in shown} for m in self._machines.all()], given)
        return {"stateMachines": page} | token

    def delete_state_machine(self, given: Given, _who: Principal) -> None:
        arn = given["stateMachineArn"]
        self._machines.delete(arn)
        for record in self._executions.all():
            if record["stateMachineArn"] == arn and record["status"] == "RUNNING":
                self._executions.stop(record, "States.StateMachineDeleted", "the state machine was deleted")

    def validate_state_machine_definition(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        found = diagnose(given["definition"])
        failed = any(diagnostic["severity"] == "ERROR" for diagnostic in found)
        shown = [d for d in found if d["severity"] == "ERROR" or given.get("severity") == "WARNING"]
        most = given.get("maxResults") or 100
        return {"result": "FAIL" if failed else "OK", "diagnostics": shown[:most], "truncated": len(shown) > most}

    def tag_resource(self, given: Given, _who: Principal) -> None:
        self._machines.tag(given["resourceArn"], given["tags"])

    def untag_resource(self, given: Given, _who: Principal) -> None:
        self._machines.untag(given["resourceArn"], given["tagKeys"])

    def list_tags_for_resource(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        return {"tags": self._machines.tags(given["resourceArn"])}

    # Executions

    def start_execution(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        machine = self._machines.get(given["stateMachineArn"])
        name = check_name(given.get("name") or str(uuid.uuid4()))
        record = {
            "executionArn": execution_arn(machine["stateMachineArn"], name),
            "stateMachineArn": machine["stateMachineArn"],
            "name": name,
            "status": "RUNNING",
            "startDate": self._account.clock.epoch(),
            "input": check_input(given.get("input") or "{}"),
            "definition": machine["definition"],
            "roleArn": machine["roleArn"],
            "revisionId": machine["revisionId"],
            "loggingConfiguration": machine.get("loggingConfiguration"),
            "redriveCount": 0,
        }
        standing = self._executions.start(record)
        if standing is not record and (standing["status"], standing["input"]) != ("RUNNING", record["input"]):
            raise AwsError("ExecutionAlreadyExists", f"Execution Already Exists: '{record['executionArn']}'")
        return {key: standing[key] for key in ("executionArn", "startDate")}

    def describe_execution(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        record = self._execution(given)
        answer = {key: record[key] for key in _DESCRIBED if key in record}
        answer["inputDetails"] = {"included": True}
        if "output" in record:
            answer["outputDetails"] = {"included": True}
        answer["redriveStatus"], reason = redrive_status(record)
        return answer if reason is None else answer | {"redriveStatusReason": reason}

    def describe_state_machine_for_execution(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        record = self._execution(given)
        shown = ("stateMachineArn", "definition", "roleArn", "revisionId")
        name = record["stateMachineArn"].rpartition(":")[2]
        return {key: record[key] for key in shown} | {"name": name, "updateDate": record["startDate"]}

    def list_executions(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        arn = self._machines.get(given["stateMachineArn"])["stateMachineArn"]
        shown = (
            "executionArn",
            "stateMachineArn",
            "name",
            "status",
            "startDate",
            "stopDate",
            "redriveCount",
            "redriveDate",
        )
        found = [
            {key: record[key] for key in shown if key in record}
            for record in reversed(self._executions.all())
            if record["stateMachineArn"] == arn and given.get("statusFilter") in (None, record["status"])
        ]
        page, token = _page(found, given)
        return {"executions": page} | token

    def get_execution_history(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        record = self._execution(given)
        events = self._executions.events(record["executionArn"])
        if given.get("reverseOrder"):
            events.reverse()
        if given.get("includeExecutionData") is False:
            events = [without_data(event) for event in events]
        page, token = _page(events, given)
        return {"events": page} | token

    def stop_execution(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        record = self._execution(given)
        if record["status"] == "RUNNING":
            record = self._executions.stop(record, given.get("error", ""), given.get("cause", ""))
        return {"stopDate": record.get("stopDate", self._account.clock.epoch())}

    def redrive_execution(self, given: Given, _who: Principal) -> Mapping[str, Any]:
        record = self._execution(given)
        reason = redrive_status(record)[1]
        if reason is None and self._account.clock.epoch() - record["stopDate"] > REDRIVE_DAYS * 86_400:
            reason = f"Execution is more than {REDRIVE_DAYS} days old and cannot be redriven"
        if reason is not None:
            raise AwsError("ExecutionNotRedrivable", reason)
        return {"redriveDate": self._executions.redrive(record)["redriveDate"]}

    # Task tokens

    def send_task_success(self, given: Given, _who: Principal) -> None:
        self._executions.tokens.succeed(given["taskToken"], given["output"])

    def send_task_failure(self, given: Given, _who: Principal) -> None:
        self._executions.tokens.fail(given["taskToken"], given.get("error", ""), given.get("cause", ""))

    def send_task_heartbeat(self, given: Given, _who: Principal) -> None:
        self._executions.tokens.heartbeat(given["taskToken"])

    def _execution(self, given: Given) -> dict[str, Any]:
        arn = check_arn(given["executionArn"], "execution")
        record = self._executions.get(arn)
        if record is None:
            raise AwsError("ExecutionDoesNotExist", f"Execution Does Not Exist: '{arn}'")
        return record


def _page(items: list[dict[str, Any]], given: Given) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """One page, and the token of the next if there is one."""
    size = min(given.get("maxResults") or 100, 1000)
    first = 0
    if given.get("nextToken"):
        try:
            first = int(json.loads(base64.b64decode(given["nextToken"])))
        except (ValueError, TypeError) as reason:
            raise AwsError("InvalidToken", f"Invalid Token: '{given['nextToken']}'") from reason
    page = items[first : first + size]
    if first + size >= len(items):
        return page, {}
    return page, {"nextToken": base64.b64encode(json.dumps(first + size).encode()).decode()}
