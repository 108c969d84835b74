"""The Task state: schedule, perform, succeed, each in the history."""

from __future__ import annotations

import uuid
from typing import Any

from local_account.account import REGION
from local_account.step_functions import history
from local_account.step_functions.errors import DATA_LIMIT_EXCEEDED, HEARTBEAT_TIMEOUT, TIMEOUT, StatesError
from local_account.step_functions.interpreter import Branch, Outcome
from local_account.step_functions.resources import Resource
from local_account.step_functions.task_call import TaskCall


def task(branch: Branch) -> Outcome:
    """One attempt. If an earlier process began it, `memo` says so and the call decides what to adopt."""
    resource = Resource.parse(branch.state["Resource"])
    names = resource.names()
    begun = dict(branch.frame.memo)
    if resource.pattern == "waitForTaskToken" and "token" not in begun:
        branch.frame.memo["token"] = uuid.uuid4().hex
    arguments = branch.arguments()
    _check_size(branch, arguments)
    timeout, heartbeat = branch.seconds("TimeoutSeconds"), branch.seconds("HeartbeatSeconds")
    if not begun:
        _schedule(branch, names, arguments, {"timeoutInSeconds": timeout, "heartbeatInSeconds": heartbeat})
    # What is adopted keeps its deadline; what is attempted again after a restart gets a new one.
    started = branch.frame.memo["started"] if resource.pattern else branch.execution.time.epoch()
    result = _perform(
        branch,
        names,
        TaskCall(
            state=branch.frame.state,
            resource=resource,
            arguments=arguments,
            deadline=None if timeout is None else started + timeout,
            heartbeat_s=heartbeat,
            token=branch.frame.memo.get("token"),
            memo=begun,
            remember=branch.remember,
            submitted=lambda answer: branch.journal("TaskSubmitted", {**names, "output": history.text(answer)}),
            cancellation=branch.cancellation,
        ),
    )
    return branch.outcome(branch.state, default=result, result=result)


def _perform(branch: Branch, names: dict[str, str], call: TaskCall) -> Any:
    try:
        result = branch.execution.tasks.perform(call)
    except StatesError as error:
        kind = "TaskTimedOut" if error.error in (TIMEOUT, HEARTBEAT_TIMEOUT) else "TaskFailed"
        branch.journal(kind, {**names, "error": error.error, "cause": error.cause[: history.MAX_CAUSE]})
        raise
    _check_size(branch, result)
    branch.journal("TaskSucceeded", {**names, "output": history.text(result), "outputDetails": {"truncated": False}})
    return result


def _schedule(branch: Branch, names: dict[str, str], arguments: Any, limits: dict[str, float | None]) -> None:
    branch.frame.memo["started"] = branch.execution.time.epoch()
    seconds = {key: int(value) for key, value in limits.items() if value is not None}
    details = {**names, "region": REGION, "parameters": history.text(arguments), **seconds}
    branch.journal("TaskScheduled", details, position=True)
    branch.journal("TaskStarted", names)


def _check_size(branch: Branch, payload: Any) -> None:
    if history.too_large(history.text(payload)):
        raise StatesError(
            DATA_LIMIT_EXCEEDED,
            f"The state/task '{branch.frame.state}' passed or returned more than {history.MAX_PAYLOAD_BYTES} bytes.",
        )
