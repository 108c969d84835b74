"""Machine tests: a definition walked with given task answers, without services, threads or waiting.

As AWS's Step Functions Local with a mock configuration: answers per state and attempt. Waits and retry delays pass at
once on a clock of their own; branches of a Parallel and iterations of a Map run one after another, in order.

Examples
--------
>>> machine = {
...     "QueryLanguage": "JSONata",
...     "StartAt": "Ask",
...     "States": {"Ask": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True,
...                        "Output": "{% $states.result.Payload.action %}"}},
... }
>>> run_machine(machine, input={}, answers={"Ask": [{"Payload": {"action": "ignore"}}]}).output
'ignore'
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from local_account.account import ACCOUNT_ID, REGION
from local_account.step_functions import definition as definitions
from local_account.step_functions.branches import one_after_another
from local_account.step_functions.errors import StatesError
from local_account.step_functions.frames import Cancellation, Frame
from local_account.step_functions.interpreter import Branch, Run, iso
from local_account.step_functions.journal import Journal, Row
from local_account.step_functions.task_call import TaskCall

STARTED = 1_795_406_400.0  # 2026-11-23T04:00:00Z

Decision = tuple[str, str, str, bool]  # ("Choice" | "Retry" | "Catch", state, place, held)


class UnexpectedAttempt(AssertionError):
    """The machine tried a state more often than the test gave answers for."""


@dataclass(frozen=True, slots=True)
class MachineRun:
    """What a machine did."""

    path: list[str]  # every state entered, in order
    status: str  # SUCCEEDED | FAILED
    output: Any
    error: str | None
    cause: str | None
    arguments: dict[str, list[Any]]  # by Task state, one per attempt
    decisions: set[Decision]
    waited_s: float  # by Wait states and retry delays, all together
    events: list[dict[str, Any]] = field(repr=False)

    @property
    def caught(self) -> list[tuple[str, str]]:
        """(state, place) of every Catch taken."""
        return sorted((state, place) for kind, state, place, _ in self.decisions if kind == "Catch")


class JumpingTime:
    """A clock on which every wait is over as soon as it begins."""

    def __init__(self, epoch_s: float = STARTED) -> None:
        self._epoch = epoch_s

    def epoch(self) -> float:
        return self._epoch

    def sleep_until(self, epoch_s: float, stopping: Cancellation | None = None) -> bool:
        self._epoch = max(self._epoch, epoch_s)
        return stopping is None or not stopping.is_set()


class GivenAnswers:
    """Tasks that answer what the test said, attempt by attempt."""

    def __init__(self, answers: Mapping[str, Sequence[Any]]) -> None:
        self._answers = answers
        self.arguments: dict[str, list[Any]] = {}

    def perform(self, call: TaskCall) -> Any:
        attempts = self.arguments.setdefault(call.state, [])
        attempts.append(call.arguments)
        given = self._answers.get(call.state, ())
        if len(attempts) > len(given):
            raise UnexpectedAttempt(
                f"{call.state} was attempted {len(attempts)} times; answers were given for {len(given)}"
            )
        answer = given[len(attempts) - 1]
        if isinstance(answer, StatesError):
            raise answer
        if isinstance(answer, Mapping) and "Error" in answer and set(answer) <= {"Error", "Cause"}:
            raise StatesError(answer["Error"], answer.get("Cause", ""))
        return answer


def run_machine(
    definition: Mapping[str, Any],
    *,
    input: Any,
    answers: Mapping[str, Sequence[Any]],
    substitutions: Mapping[str, str] | None = None,
    redrives: int = 0,
    seed: int = 0,
) -> MachineRun:
    """Walk a machine.

    Parameters
    ----------
    definition : mapping
        The machine, with or without `${Names}`.
    input : JSON value
        Execution input.
    answers : mapping of state to list
        One entry an attempt, in order over the whole run: the task's result (for `lambda:invoke` the whole answer,
        `{"Payload": ...}`), or `{"Error", "Cause"}`.
    substitutions : mapping, optional
        Values of `${Names}`; a name without one is an error.
    redrives : int
        `$states.context.Execution.RedriveCount`.
    seed : int
        Of the jitter.

    Raises
    ------
    UnexpectedAttempt
        A Task was attempted more often than answers were given for it, or a state named in `answers` does not exist.
    """
    machine = definitions.substitute(dict(definition), substitutions or {})
    unknown = set(answers) - {name for name, state in definitions.states(machine) if state.get("Type") == "Task"}
    if unknown:
        raise UnexpectedAttempt(f"answers are given for {sorted(unknown)}, but the machine has no such Task")
    time, tasks, rows, decisions = JumpingTime(), GivenAnswers(answers), list[Row](), set[Decision]()
    run = Run(
        definition=machine,
        context=_context(input, redrives),
        time=time,
        journal=Journal(time.epoch, lambda _at, row: rows.append(row)),
        tasks=tasks,
        fan_out=one_after_another,
        cancellation=Cancellation(),
        observe=lambda *decision: decisions.add(decision),
        jitter=random.Random(seed),  # noqa: S311 - a test's jitter
    )
    return _walked(run, tasks, Frame("", machine["StartAt"], input), rows, decisions)


def _walked(run: Run, tasks: GivenAnswers, start: Frame, rows: list[Row], decisions: set[Decision]) -> MachineRun:
    """Walk to the end, and say what was seen on the way."""
    output, error = None, None
    try:
        output = Branch(run, run.definition["States"], start, {}, run.cancellation).run()
    except StatesError as failure:
        error = failure
    events = [row["event"] for row in rows if row["event"] is not None]
    return MachineRun(
        path=[e["stateEnteredEventDetails"]["name"] for e in events if e["type"].endswith("StateEntered")],
        status="SUCCEEDED" if error is None else "FAILED",
        output=output,
        error=None if error is None else error.error,
        cause=None if error is None else error.cause,
        arguments=tasks.arguments,
        decisions=decisions,
        waited_s=run.time.epoch() - STARTED,
        events=events,
    )


def every_decision(definition: Mapping[str, Any]) -> set[Decision]:
    """All that a machine can decide: each Choice rule held and not held, each Catch taken, each Retry taken.

    A machine's tests end with `assert missing_decisions(machine, runs) == []`.
    """
    wanted: set[Decision] = set()
    for name, state in definitions.states(definition):
        for place, _rule in enumerate(state.get("Choices", ())):
            wanted |= {("Choice", name, str(place), True), ("Choice", name, str(place), False)}
        wanted |= {("Catch", name, str(place), True) for place, _ in enumerate(state.get("Catch", ()))}
        wanted |= {
            ("Retry", name, str(place), True)
            for place, retrier in enumerate(state.get("Retry", ()))
            if retrier.get("MaxAttempts", 3) > 0
        }
    return wanted


def missing_decisions(definition: Mapping[str, Any], runs: Iterable[MachineRun]) -> list[Decision]:
    """What `every_decision` names and no run took, in order."""
    taken: set[Decision] = set().union(*(run.decisions for run in runs))
    return sorted(every_decision(definition) - taken)


def _context(payload: Any, redrives: int) -> dict[str, Any]:
    arn = f"arn:aws:states:{REGION}:{ACCOUNT_ID}"
    return {
        "Execution": {
            "Id": f"{arn}:execution:machine:run",
            "Name": "run",
            "Input": payload,
            "StartTime": iso(STARTED),
            "RedriveCount": redrives,
            "RoleArn": f"arn:aws:iam::{ACCOUNT_ID}:role/machine",
        },
        "StateMachine": {"Id": f"{arn}:stateMachine:machine", "Name": "machine"},
    }
