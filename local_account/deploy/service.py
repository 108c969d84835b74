"""CloudFormation's API over our stacks: CreateStack and UpdateStack deploy in the background, Describe* tell how far they are."""

from __future__ import annotations

import json
import threading
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote, urlparse
from xml.sax.saxutils import escape

from samtranslator.yaml_helper import yaml_parse

from local_account.account import ACCOUNT_ID, REGION, Account
from local_account.deploy.intrinsics import TemplateError
from local_account.deploy.stack import Progress, Stack
from local_account.deploy.transform import expand
from local_account.records import Records
from local_account.wire import AwsError, Request, Response, snake

_NAMESPACE = "http://cloudformation.amazonaws.com/doc/2010-05-15/"
_BUSY = {"CREATE_IN_PROGRESS", "UPDATE_IN_PROGRESS"}
_VERBS = {"created": "CREATE_COMPLETE", "updated": "UPDATE_COMPLETE", "removed": "DELETE_COMPLETE"}


class CloudFormationService:
    """Stacks of this account. A deployment that the account's end interrupted is reported as failed and can be repeated."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._records = Records(account.state_dir / "cloudformation" / "stacks.sqlite")
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []

    def start(self) -> None:
        for name, record in self._records.all("stack"):
            if record["status"] in _BUSY:
                self._note(
                    name,
                    status=record["status"].replace("IN_PROGRESS", "FAILED"),
                    reason="the account stopped meanwhile; deploy again",
                )

    def stop(self) -> None:
        for thread in self._threads:
            thread.join(10)
        self._records.close()

    def handle(self, request: Request) -> Response:
        arguments = {key: values[0] for key, values in parse_qs(request.body.decode(), keep_blank_values=True).items()}
        method = getattr(self, snake(request.action), None)
        if method is None:
            raise AwsError("InvalidAction", f"cloudformation:{request.action} is not played by the local account", 400)
        return _xml(request.action, method(arguments))

    # -- actions -------------------------------------------------------------------------------------------------

    def create_stack(self, arguments: Mapping[str, str]) -> dict[str, Any]:
        name = arguments["StackName"]
        record = self._records.get("stack", name)
        if record is not None and record["status"] != "CREATE_FAILED":
            raise AwsError("AlreadyExistsException", f"Stack [{name}] already exists")
        return self._begin(name, arguments, "CREATE")

    def update_stack(self, arguments: Mapping[str, str]) -> dict[str, Any]:
        self._existing(arguments["StackName"])
        return self._begin(arguments["StackName"], arguments, "UPDATE")

    def describe_stacks(self, arguments: Mapping[str, str]) -> dict[str, Any]:
        name = arguments.get("StackName")
        names = [self._existing(name)["name"]] if name else [key for key, _ in self._records.all("stack")]
        return {"Stacks": [self._described(one) for one in names]}

    def list_stack_resources(self, arguments: Mapping[str, str]) -> dict[str, Any]:
        record = self._existing(arguments["StackName"])
        return {
            "StackResourceSummaries": [
                self._resource(*pair) for pair in self._stack(record["name"]).resources().items()
            ]
        }

    def describe_stack_resources(self, arguments: Mapping[str, str]) -> dict[str, Any]:
        record = self._existing(arguments["StackName"])
        return {
            "StackResources": [
                self._resource(*pair) | {"Timestamp": record["at"]}
                for pair in self._stack(record["name"]).resources().items()
            ]
        }

    def describe_stack_events(self, arguments: Mapping[str, str]) -> dict[str, Any]:
        """Newest first, as AWS; of the last deployment only."""
        record = self._existing(arguments["StackName"])
        events = [event for key, event in self._records.all("event") if key.startswith(f"{record['name']}/")]
        return {"StackEvents": list(reversed(events))}

    # -- how -----------------------------------------------------------------------------------------------------

    def _begin(self, name: str, arguments: Mapping[str, str], verb: str) -> dict[str, Any]:
        with self._lock:
            record = self._records.get("stack", name)
            if record is not None and record["status"] in _BUSY:
                raise AwsError(
                    "ValidationError", f"Stack:{name} is in {record['status']} state and can not be updated."
                )
            template, parameters = self._template(arguments), _parameters(arguments)
            for key, _ in list(self._records.all("event")):
                self._records.delete("event", key)
            defaults = {
                key: str(one["Default"]) for key, one in template.get("Parameters", {}).items() if "Default" in one
            }
            self._note(name, status=f"{verb}_IN_PROGRESS", reason="", parameters=defaults | parameters)
        thread = threading.Thread(
            target=self._deploy, args=(name, template, parameters, verb), name=f"deploy-{name}", daemon=True
        )
        self._threads.append(thread)
        thread.start()
        return {"StackId": _stack_id(name)}

    def _deploy(self, name: str, template: dict[str, Any], parameters: dict[str, str], verb: str) -> None:
        def tell(progress: Progress) -> None:
            if progress.action == "kept":
                return
            self._event(
                name,
                progress.logical_id,
                progress.type,
                _VERBS[progress.action],
                f"{progress.done} of {progress.total}",
            )

        try:
            self._stack(name).deploy(expand(template), parameters, tell)
        except Exception as problem:  # noqa: BLE001 - whatever a deployment meets is told to whoever asked for it
            if not isinstance(problem, TemplateError):
                self._account.log("/understudy/local-account/deploy", name, traceback.format_exc().splitlines())
            self._event(name, name, "AWS::CloudFormation::Stack", f"{verb}_FAILED", str(problem))
            self._note(name, status=f"{verb}_FAILED", reason=str(problem))
        else:
            self._note(name, status=f"{verb}_COMPLETE", reason="")

    def _template(self, arguments: Mapping[str, str]) -> dict[str, Any]:
        if "TemplateBody" in arguments:
            text = arguments["TemplateBody"]
        else:
            _, bucket, key = unquote(urlparse(arguments["TemplateURL"]).path).split("/", 2)
            text = self._account.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read().decode()
        try:
            return json.loads(text) if text.lstrip().startswith("{") else yaml_parse(text)
        except ValueError as problem:
            raise AwsError("ValidationError", f"Template format error: {problem}") from problem

    def _stack(self, name: str) -> Stack:
        return Stack(name, self._records, self._account.client)

    def _existing(self, name: str) -> dict[str, Any]:
        plain = name.split("/")[1] if name.startswith("arn:") else name
        record = self._records.get("stack", plain)
        if record is None:
            raise AwsError("ValidationError", f"Stack with id {name} does not exist")
        return record

    def _note(self, name: str, **facts: Any) -> None:
        record = self._records.get("stack", name) or {"name": name, "created": _now()}
        self._records.put("stack", name, {**record, **facts, "at": _now()})

    def _event(self, stack: str, logical_id: str, type_name: str, status: str, reason: str) -> None:
        number = sum(1 for _ in self._records.all("event"))
        event = {
            "StackId": _stack_id(stack),
            "EventId": f"{number:05d}",
            "StackName": stack,
            "LogicalResourceId": logical_id,
            "ResourceType": type_name,
        }
        self._records.put(
            "event",
            f"{stack}/{number:05d}",
            {**event, "Timestamp": _now(), "ResourceStatus": status, "ResourceStatusReason": reason},
        )

    def _described(self, name: str) -> dict[str, Any]:
        record = self._existing(name)
        return {
            "StackId": _stack_id(name),
            "StackName": name,
            "CreationTime": record["created"],
            "LastUpdatedTime": record["at"],
            "StackStatus": record["status"],
            "StackStatusReason": record["reason"],
            "Parameters": [
                {"ParameterKey": key, "ParameterValue": value} for key, value in record["parameters"].items()
            ],
            "Outputs": [{"OutputKey": key, "OutputValue": value} for key, value in self._stack(name).outputs().items()],
        }

    @staticmethod
    def _resource(logical: str, record: dict[str, Any]) -> dict[str, Any]:
        facts = {
            "LogicalResourceId": logical,
            "PhysicalResourceId": record["physical_id"],
            "ResourceType": record["type"],
        }
        return {**facts, "ResourceStatus": "CREATE_COMPLETE", "LastUpdatedTimestamp": _now()}


def _parameters(arguments: Mapping[str, str]) -> dict[str, str]:
    numbers = (
        key.split(".")[2] for key in arguments if key.startswith("Parameters.member.") and key.endswith(".ParameterKey")
    )
    return {
        arguments[f"Parameters.member.{n}.ParameterKey"]: arguments.get(f"Parameters.member.{n}.ParameterValue", "")
        for n in numbers
    }


def _stack_id(name: str) -> str:
    return f"arn:aws:cloudformation:{REGION}:{ACCOUNT_ID}:stack/{name}/local"


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def _xml(action: str, result: Any) -> Response:
    def write(value: Any) -> str:
        if isinstance(value, dict):
            return "".join(f"<{key}>{write(member)}</{key}>" for key, member in value.items())
        if isinstance(value, list):
            return "".join(f"<member>{write(member)}</member>" for member in value)
        return escape(str(value))

    text = (
        f'<{action}Response xmlns="{_NAMESPACE}"><{action}Result>{write(result)}</{action}Result>'
        f"<ResponseMetadata><RequestId>local</RequestId></ResponseMetadata></{action}Response>"
    )
    return Response(200, {"content-type": "text/xml"}, text.encode())
