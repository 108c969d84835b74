"""What a Task starts and then waits for: SageMaker jobs and child executions (`.sync`).

The job's name is on disk before it is created, so an account killed in between finds it again by that name.
"""

from __future__ import annotations

import json
import uuid
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from botocore.exceptions import BotoCoreError, ClientError

from local_account.clock import Clock
from local_account.step_functions import history
from local_account.step_functions.calls import Client, check_deadline, named_errors, within_limits
from local_account.step_functions.errors import TASK_FAILED, Interrupted, StatesError
from local_account.step_functions.news import News
from local_account.step_functions.sdk_shapes import OPTIMISED_ERRORS, from_boto3, operation_model, to_boto3
from local_account.step_functions.task_call import TaskCall

FIRST_LOOK_S, LONGEST_PAUSE_S = 0.05, 0.5
BLIND_LOOKS = 10  # so many in a row may fail before the task does


class Job(Protocol):
    """One thing that is started, looked at, and perhaps stopped."""

    @abstractmethod
    def find(self) -> dict[str, Any] | None:
        """Its description, or None if it was never started."""

    @abstractmethod
    def start(self) -> Any:
        """Start it; what the service answered."""

    @abstractmethod
    def stop(self) -> None: ...

    @abstractmethod
    def outcome(self, description: dict[str, Any]) -> Any | None:
        """The result if it ended well, None while it goes on; raises StatesError if it ended badly."""


def run_job(job: Job, name: str, call: TaskCall, clock: Clock, news: News) -> Any:
    """Start a job, or adopt the one an earlier process started, and wait for its end."""
    adopted = "job" in call.memo and job.find() is not None
    if not adopted:
        call.remember(job=name)
        call.submitted(within_limits(call, clock, job.start))
    try:
        return _wait(job, call, clock, news)
    except Interrupted as interruption:
        if interruption.reason != "suspend":
            _stop(job)
        raise
    except StatesError as error:
        if error.error != TASK_FAILED:  # it timed out, or cannot be seen any more: it must not go on alone
            _stop(job)
        raise


def _wait(job: Job, call: TaskCall, clock: Clock, news: News) -> Any:
    seconds, blind = FIRST_LOOK_S, 0
    while True:
        heard = news.number
        try:
            description = job.find()
            blind = 0
        except StatesError:  # one look that failed says nothing about the job
            blind += 1
            if blind == BLIND_LOOKS:
                raise
            description = None
        result = None if description is None else job.outcome(description)
        if result is not None:
            return result
        check_deadline(call, clock)
        news.wait(heard, seconds, call.cancellation)
        seconds = min(seconds * 1.3, LONGEST_PAUSE_S)


def _stop(job: Job) -> None:
    try:
        job.stop()
    except (ClientError, BotoCoreError, StatesError):
        return  # it has ended by itself, or we may not: either way nobody waits for it any more


@dataclass(frozen=True, slots=True)
class SageMakerJob:
    """A job of the SageMaker API; `kind` is the part of its operations' names: `TrainingJob`."""

    client: Client
    kind: str
    arguments: Mapping[str, Any]

    @property
    def name(self) -> str:
        return str(self.arguments.get(f"{self.kind}Name", ""))

    def find(self) -> dict[str, Any] | None:
        try:
            return dict(self._call("Describe", {f"{self.kind}Name": self.name}))
        except StatesError as error:
            if any(words in error.cause for words in ("not found", "not find", "not exist", "ResourceNotFound")):
                return None
            raise

    def start(self) -> Any:
        return self._call("Create", self.arguments)

    def stop(self) -> None:
        self._call("Stop", {f"{self.kind}Name": self.name})

    def outcome(self, description: dict[str, Any]) -> Any | None:
        status = description[f"{self.kind}Status"]
        if status in ("Failed", "Stopped"):
            raise StatesError(TASK_FAILED, history.text(description))
        return description if status == "Completed" else None

    def _call(self, verb: str, arguments: Mapping[str, Any]) -> Any:
        return call_api(self.client, "sagemaker", f"{verb}{self.kind}", arguments)


@dataclass(frozen=True, slots=True)
class ChildExecution:
    """An execution of another machine. With `parsed`, its output is read as JSON (`.sync:2`)."""

    client: Client
    arguments: Mapping[str, Any]
    parsed: bool

    @property
    def name(self) -> str:
        return str(self.arguments["Name"])

    @property
    def _arn(self) -> str:
        machine = str(self.arguments["StateMachineArn"])
        return f"{machine.replace(':stateMachine:', ':execution:')}:{self.name}"

    def find(self) -> dict[str, Any] | None:
        try:
            return dict(call_api(self.client, "states", "DescribeExecution", {"ExecutionArn": self._arn}))
        except StatesError as error:
            if "ExecutionDoesNotExist" in error.error:
                return None
            raise

    def start(self) -> Any:
        return call_api(self.client, "states", "StartExecution", self.arguments)

    def stop(self) -> None:
        call_api(self.client, "states", "StopExecution", {"ExecutionArn": self._arn})

    def outcome(self, description: dict[str, Any]) -> Any | None:
        if description["Status"] == "RUNNING":
            return None
        if description["Status"] != "SUCCEEDED":
            raise StatesError(TASK_FAILED, history.text(description))
        if self.parsed:
            description["Input"] = json.loads(description["Input"])
            description["Output"] = json.loads(description["Output"])
        return description


def child_arguments(arguments: Mapping[str, Any], memo: Mapping[str, Any]) -> dict[str, Any]:
    """StartExecution's parameters with a name, and the input as text."""
    given = dict(arguments)
    given["Name"] = memo.get("job") or given.get("Name") or str(uuid.uuid4())
    if "Input" in given and not isinstance(given["Input"], str):
        given["Input"] = history.text(given["Input"])
    return given


def call_api(client: Client, service: str, action: str, arguments: Mapping[str, Any]) -> Any:
    """One call of an optimised integration's API: PascalCase in and out, times as epoch milliseconds."""
    boto3_service, prefix, unknown = OPTIMISED_ERRORS[service]
    operation = operation_model(boto3_service, action)
    if operation is None:
        raise ValueError(f"{service} has no {action}")
    method = getattr(client, _method(operation.name))
    parameters = to_boto3(operation.input_shape, arguments)
    answer = named_errors(lambda: method(**parameters), prefix, boto3_service, unknown)
    return from_boto3(operation.output_shape, answer, epoch_ms=True)


def _method(operation: str) -> str:
    from botocore import xform_name

    return xform_name(operation)
