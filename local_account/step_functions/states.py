"""What each type of state does in one attempt."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from local_account.step_functions.branches import map_items, parallel
from local_account.step_functions.errors import (
    NO_CHOICE_MATCHED,
    QUERY_EVALUATION_ERROR,
    StatesError,
)
from local_account.step_functions.interpreter import Branch, Outcome
from local_account.step_functions.task_state import task


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
