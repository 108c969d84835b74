"""What each type of state does in one attempt."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from datetime import datetime

from local_account.step_functions import history
from local_account.step_functions.branches import map_items, parallel
from local_account.step_functions.errors import (
    DATA_LIMIT_EXCEEDED,
    HEARTBEAT_TIMEOUT,
    NO_CHOICE_MATCHED,
    QUERY_EVALUATION_ERROR,
    TIMEOUT,
    StatesError,
)
from local_account.step_functions.interpreter import Branch, Outcome
from local_account.step_functions.resources import Resource
from local_account.step_functions.task_call import TaskCall


def pass_on(branch: Branch) -> Outcome:
    return branch.outcome(branch.state, default=branch.frame.input)


def succeed(branch: Branch) -> Outcome:
    return branch.outcome(branch.state, default=branch.frame.input)


def fail(branch: Branch) -> Outcome:
    raise StatesError(
        str(branch.render(branch.state.get("Error", ""), "Error")),
        str(branch.render(branch.state.get("Cause", ""), "Cause")),
    )


def choice(branch: Branch) -> Outcome:
    """The first rule whose condition holds; a rule's own Output and Assign come with it, the state's with Default."""
    name = branch.frame.state
    for place, rule in enumerate(branch.state["Choices"]):
        field = f"Choices[{place}]/"
        held = branch.render(rule["Condition"], f"{field}Condition")
        if not isinstance(held, bool):
            raise StatesError(
                QUERY_EVALUATION_ERROR,
                f"The JSONata expression '{rule['Condition']}' specified for the field '{field}Condition' returned an"
                " unexpected result type. Expected 'boolean'.",
            )
        branch.execution.observe("Choice", name, str(place), held)
        if held:
            return branch.outcome(rule, default=branch.frame.input, field=field)
    if "Default" not in branch.state:
        raise StatesError(NO_CHOICE_MATCHED, "No choice rule matched and no Default state is specified.")
    return branch.outcome(branch.state, default=branch.frame.input, next_state=branch.state["Default"])


def wait(branch: Branch) -> Outcome:
    if "until" not in branch.frame.memo:
        if "Timestamp" in branch.state:
            until = _epoch(branch.render(branch.state["Timestamp"], "Timestamp"))
        else:
            until = branch.execution.time.epoch() + (branch.seconds("Seconds") or 0.0)
        branch.remember(until=until)
    branch.sleep_until(branch.frame.memo["until"])
    return branch.outcome(branch.state, default=branch.frame.input)


def _epoch(timestamp: object) -> float:
    try:
        moment = datetime.fromisoformat(str(timestamp))
        if moment.tzinfo is None:
            raise ValueError("no time zone")
        return moment.timestamp()
    except ValueError as reason:
        raise StatesError(
            QUERY_EVALUATION_ERROR, f"'Timestamp' {timestamp!r} is no ISO 8601 time: {reason}"
        ) from reason


def task(branch: Branch) -> Outcome:
    """Schedule, perform, succeed. On an attempt that an earlier process began, the call decides what to adopt."""
    resource = Resource.parse(branch.state["Resource"])
    begun = dict(branch.frame.memo)
    if resource.pattern == "waitForTaskToken" and "token" not in begun:
        branch.frame.memo["token"] = uuid.uuid4().hex
    arguments = (
        branch.render(branch.state["Arguments"], "Arguments") if "Arguments" in branch.state else branch.frame.input
    )
    _check_size(branch, arguments)
    timeout, heartbeat = branch.seconds("TimeoutSeconds"), branch.seconds("HeartbeatSeconds")
    names = resource.names()
    if not begun:
        _schedule(branch, names, arguments, timeout, heartbeat)
    # What is adopted keeps its deadline; what is attempted again after a restart gets a new one.
    started = branch.frame.memo["started"] if resource.pattern else branch.execution.time.epoch()
    call = TaskCall(
        state=branch.frame.state,
        resource=branch.state["Resource"],
        arguments=arguments,
        deadline=None if timeout is None else started + timeout,
        heartbeat_s=heartbeat,
        token=branch.frame.memo.get("token"),
        memo=begun,
        remember=branch.remember,
        submitted=lambda answer: branch.journal("TaskSubmitted", {**names, "output": history.text(answer)}),
        cancellation=branch.cancellation,
    )
    try:
        result = branch.execution.tasks.perform(call)
    except StatesError as error:
        kind = "TaskTimedOut" if error.error in (TIMEOUT, HEARTBEAT_TIMEOUT) else "TaskFailed"
        branch.journal(kind, {**names, **_failure(error)})
        raise
    _check_size(branch, result)
    branch.journal("TaskSucceeded", {**names, "output": history.text(result), "outputDetails": {"truncated": False}})
    return branch.outcome(branch.state, default=result, result=result)


def _schedule(
    branch: Branch, names: dict[str, str], arguments: object, timeout: float | None, heartbeat: float | None
) -> None:
    branch.frame.memo["started"] = branch.execution.time.epoch()
    details = {**names, "region": "us-east-1", "parameters": history.text(arguments)}
    if timeout is not None:
        details["timeoutInSeconds"] = int(timeout)  # type: ignore[assignment]
    if heartbeat is not None:
        details["heartbeatInSeconds"] = int(heartbeat)  # type: ignore[assignment]
    branch.journal("TaskScheduled", details, position=True)
    branch.journal("TaskStarted", names)


def _failure(error: StatesError) -> dict[str, str]:
    return {"error": error.error, "cause": error.cause[:32_768]}


def _check_size(branch: Branch, payload: object) -> None:
    if history.too_large(history.text(payload)):
        raise StatesError(
            DATA_LIMIT_EXCEEDED,
            f"The state/task '{branch.frame.state}' passed or returned more than {history.MAX_PAYLOAD_BYTES} bytes.",
        )


KINDS: dict[str, Callable[[Branch], Outcome]] = {
    "Pass": pass_on,
    "Succeed": succeed,
    "Fail": fail,
    "Choice": choice,
    "Wait": wait,
    "Task": task,
    "Parallel": parallel,
    "Map": map_items,
}
