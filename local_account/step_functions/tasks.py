"""Tasks as the account performs them: each call through the front door, as the machine's role."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore import xform_name

from local_account.account import Account
from local_account.step_functions import history
from local_account.step_functions.calls import Client, named_errors, within_limits
from local_account.step_functions.errors import PERMISSIONS, RUNTIME, StatesError
from local_account.step_functions.news import News
from local_account.step_functions.sdk_shapes import (
    OPTIMISED_ERRORS,
    boto3_name,
    error_prefix,
    from_boto3,
    operation_model,
    to_boto3,
)
from local_account.step_functions.task_call import TaskCall
from local_account.step_functions.task_jobs import ChildExecution, SageMakerJob, call_api, child_arguments, run_job
from local_account.step_functions.task_lambda import call_function, invoke
from local_account.step_functions.tokens import Tokens
from local_account.wire import AwsError


class AccountTasks:
    """The tasks of one execution."""

    def __init__(self, account: Account, role_arn: str, session_name: str, tokens: Tokens, news: News) -> None:
        self._account, self._role_arn, self._session = account, role_arn, session_name
        self._tokens, self._news = tokens, news

    def perform(self, call: TaskCall) -> Any:
        resource = call.resource
        if resource.pattern == "waitForTaskToken":
            return self._with_token(call)
        if resource.pattern.startswith("sync"):
            return self._job(call)
        return within_limits(call, self._account.clock, lambda: self._call(call))

    def _with_token(self, call: TaskCall) -> Any:
        self._tokens.open(str(call.token))
        if "given_away" not in call.memo:
            call.submitted(within_limits(call, self._account.clock, lambda: self._call(call)))
            call.remember(given_away=True)
        return self._tokens.wait(call)

    def _job(self, call: TaskCall) -> Any:
        if call.resource.service == "states":
            arguments = child_arguments(call.arguments, call.memo)
            child = ChildExecution(self._client("stepfunctions"), arguments, call.resource.pattern == "sync:2")
            return run_job(child, child.name, call, self._account.clock, self._news)
        kind = call.resource.action.removeprefix("create")
        arguments = dict(call.arguments)
        if "job" in call.memo:  # the arguments are evaluated anew, the job is the one that was named before
            arguments[f"{kind}Name"] = call.memo["job"]
        job = SageMakerJob(self._client("sagemaker"), kind, arguments)
        return run_job(job, job.name, call, self._account.clock, self._news)

    def _call(self, call: TaskCall) -> Any:
        resource = call.resource
        if resource.kind == "function":
            return call_function(self._client("lambda"), call)
        if resource.kind == "sdk":
            return self._sdk(call)
        if resource.service == "lambda":
            return invoke(self._client("lambda"), call)
        arguments = call.arguments
        if resource.service == "states":
            arguments = child_arguments(arguments, {})
        elif resource.service in _TEXT_FIELDS:
            arguments = _as_text(arguments, *_TEXT_FIELDS[resource.service])
        result = call_api(
            self._client(OPTIMISED_ERRORS[resource.service][0]), resource.service, resource.action, arguments
        )
        if resource.service == "events" and result.get("FailedEntryCount"):
            raise StatesError("EventBridge.FailedEntry", history.text(result))
        return result

    def _sdk(self, call: TaskCall) -> Any:
        service, action = call.resource.service, call.resource.action
        boto3_service = boto3_name(service)
        operation = operation_model(boto3_service, action) if boto3_service else None
        if operation is None or boto3_service is None:
            raise StatesError(RUNTIME, f"The resource aws-sdk:{service}:{action} is not recognized.")
        try:
            parameters = to_boto3(operation.input_shape, call.arguments)
        except KeyError as unknown:
            raise StatesError(RUNTIME, f"The field {unknown} is not supported by {service}:{action}") from unknown
        prefix = error_prefix(service)
        method = getattr(self._client(boto3_service), xform_name(operation.name))
        answer = named_errors(lambda: method(**parameters), prefix, boto3_service, f"{prefix}Exception")
        return from_boto3(operation.output_shape, answer)

    def _client(self, boto3_service: str) -> Client:
        try:
            return self._account.client(boto3_service, role_arn=self._role_arn, session_name=self._session)
        except AwsError as refused:
            raise StatesError(PERMISSIONS, refused.message) from refused


# Where Step Functions takes JSON and the API wants text: (list of entries or None, field).
_TEXT_FIELDS: dict[str, tuple[str | None, str]] = {
    "events": ("Entries", "Detail"),
    "sns": (None, "Message"),
    "sqs": (None, "MessageBody"),
}


def _as_text(arguments: Mapping[str, Any], entries: str | None, field: str) -> dict[str, Any]:
    given = dict(arguments)
    if entries is not None:
        given[entries] = [_as_text(entry, None, field) for entry in given.get(entries, [])]
    elif field in given and not isinstance(given[field], str):
        given[field] = history.text(given[field])
    return given
