"""`arn:aws:states:::lambda:invoke`, and a function's own ARN as the Resource."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from local_account.step_functions import history
from local_account.step_functions.calls import Client, named_errors
from local_account.step_functions.errors import StatesError
from local_account.step_functions.sdk_shapes import OPTIMISED_ERRORS
from local_account.step_functions.task_call import TaskCall


def invoke(client: Client, call: TaskCall) -> Any:
    """The answer of `lambda:invoke`, its Payload read as JSON.

    Raises
    ------
    StatesError
        The function's own `errorType`, or `Lambda.Unknown`; `Lambda.TooManyRequestsException` and its kin.
    """
    arguments = dict(call.arguments)
    payload = history.text(arguments.pop("Payload", {})).encode()
    boto3_service, prefix, unknown = OPTIMISED_ERRORS["lambda"]
    answer = named_errors(lambda: _invoked(client, arguments, payload), prefix, boto3_service, unknown)
    data, failed = answer["body"], answer.get("FunctionError")
    if failed:
        raise _failure(data)
    return {
        "ExecutedVersion": answer.get("ExecutedVersion", "$LATEST"),
        "Payload": _read(data),
        "SdkHttpMetadata": {"HttpStatusCode": answer["StatusCode"]},
        "SdkResponseMetadata": {"RequestId": answer["ResponseMetadata"].get("RequestId", "")},
        "StatusCode": answer["StatusCode"],
    }


def _invoked(client: Client, arguments: Mapping[str, Any], payload: bytes) -> dict[str, Any]:
    answer = client.invoke(**arguments, Payload=payload)
    return {**answer, "body": answer["Payload"].read()}


def call_function(client: Client, call: TaskCall) -> Any:
    """A function's ARN as Resource: the arguments are its event, its answer is the result."""
    wrapped = {"FunctionName": call.resource.action, "Payload": call.arguments}
    boto3_service, prefix, unknown = OPTIMISED_ERRORS["lambda"]
    payload = history.text(wrapped.pop("Payload")).encode()
    answer = named_errors(lambda: _invoked(client, wrapped, payload), prefix, boto3_service, unknown)
    if answer.get("FunctionError"):
        raise _failure(answer["body"])
    return _read(answer["body"])


def _failure(data: bytes) -> StatesError:
    """A function that ran and failed: its exception's name is the error, what it answered is the cause."""
    facts = _read(data)
    name = facts.get("errorType") if isinstance(facts, dict) else None
    return StatesError(name or "Lambda.Unknown", data.decode(errors="replace"))


def _read(data: bytes) -> Any:
    try:
        return json.loads(data) if data else None
    except ValueError:
        return data.decode(errors="replace")
