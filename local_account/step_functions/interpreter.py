"""The interpreter: takes a branch from state to state, retries, catches, and keeps its position before each step."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Protocol

from local_account.step_functions import expressions, history
from local_account.step_functions.errors import (
    DATA_LIMIT_EXCEEDED,
    QUERY_EVALUATION_ERROR,
    Interrupted,
    StatesError,
    matches,
)
from local_account.step_functions.frames import Cancellation, Frame
from local_account.step_functions.journal import Journal
from local_account.step_functions.task_call import Tasks


class Time(Protocol):
    """What the interpreter needs of a clock; `local_account.clock.Clock`, or one that jumps."""

    def epoch(self) -> float: ...

    def sleep_until(self, epoch_s: float, stopping: Cancellation | None = None) -> bool: ...


class FanOut(Protocol):
    """Runs the branches of a Parallel or Map: in threads, or in a test one after another."""

    def __call__(self, branches: list[Callable[[], Any]], limit: int, failed: Callable[[], None]) -> list[Any]: ...


class Observer(Protocol):
    """Told of every decision: ("Choice", state, rule, held), ("Catch" | "Retry", state, place, True)."""

    def __call__(self, kind: str, state: str, place: str, held: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class Run:
    """What all branches of one execution share."""

    definition: Mapping[str, Any]
    context: Mapping[str, Any]  # Execution and StateMachine of the context object
    time: Time
    journal: Journal
    tasks: Tasks
    fan_out: FanOut
    cancellation: Cancellation
    observe: Observer = lambda *_decision: None
    jitter: random.Random = field(default_factory=random.Random)


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a state ended well."""

    output: Any
    next: str | None  # None: the branch ends here
    assigned: dict[str, Any] = field(default_factory=dict)


def iso(epoch_s: float) -> str:
    """2026-11-23T04:00:00.000Z"""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Branch:
    """One frame walking through its states.

    Parameters
    ----------
    run : Run
        The execution it belongs to.
    states : mapping
        The `States` it walks through.
    frame : Frame
        Where it stands.
    outer : mapping
        Variables of the scopes around it: readable, never assigned from here.
    cancellation : Cancellation
        Ends this branch alone.
    """

    def __init__(
        self,
        run: Run,
        states: Mapping[str, Any],
        frame: Frame,
        outer: Mapping[str, Any],
        cancellation: Cancellation,
    ) -> None:
        self.execution, self.states, self.frame, self.outer, self.cancellation = run, states, frame, outer, cancellation

    @property
    def state(self) -> Mapping[str, Any]:
        return self.states[self.frame.state]

    def run(self) -> Any:
        """Walk to the end; the output of the last state.

        Raises
        ------
        StatesError
            A state failed and nothing caught it; the frame stays at that state, for a redrive.
        Interrupted
            The branch was told to end.
        """
        while not self.frame.done:
            if self.frame.entered is None:  # a state already entered may have a job to stop: it ends itself
                self.cancellation.check()
            self._step()
        return self.frame.output

    def _step(self) -> None:
        self._enter()
        self._wait_for_retry()
        try:
            outcome = self._checked(self._attempt())
        except StatesError as error:
            if error.error == QUERY_EVALUATION_ERROR:
                self.journal(
                    "EvaluationFailed", {"error": error.error, "cause": error.cause, "state": self.frame.state}
                )
            if self._retries(error):
                return
            outcome = self._caught(error)
        except Interrupted as interruption:
            if interruption.reason == "sibling" and self.state["Type"] in ("Task", "Wait", "Parallel", "Map"):
                self.journal(f"{self.state['Type']}StateAborted")
            raise
        self._leave(outcome)

    def _attempt(self) -> Outcome:
        from local_account.step_functions.states import KINDS

        return KINDS[self.state["Type"]](self)

    def _enter(self) -> None:
        if self.frame.entered is not None:
            return
        self.frame.entered = self.execution.time.epoch()
        self.frame.step += 1
        self.execution.journal.add(
            history.entered(self.state["Type"], self.frame.state, self.frame.input), self.frame, position=True
        )

    def _leave(self, outcome: Outcome) -> None:
        frame, left = self.frame, self.frame.state
        kind = self.state["Type"]
        frame.variables |= outcome.assigned
        frame.retries, frame.memo, frame.entered = {}, {}, None
        if outcome.next is None:
            frame.done, frame.output = True, outcome.output
        else:
            frame.state, frame.input = outcome.next, outcome.output
        self.execution.journal.add(history.exited(kind, left, outcome.output, outcome.assigned), frame, position=True)

    def _checked(self, outcome: Outcome) -> Outcome:
        if history.too_large(history.text(outcome.output)):
            raise StatesError(
                DATA_LIMIT_EXCEEDED,
                f"The state/task '{self.frame.state}' returned a result with a size exceeding the maximum number of"
                " bytes service limit.",
            )
        return outcome

    # Retry and Catch

    def _retries(self, error: StatesError) -> bool:
        """Whether a retrier takes the error; then its delay is on disk and the state is to be tried again."""
        for place, retrier in enumerate(self.state.get("Retry", ())):
            if not matches(retrier["ErrorEquals"], error.error):
                continue
            spent = self.frame.retries.get(str(place), 0)
            if spent >= retrier.get("MaxAttempts", 3):
                return False
            self.frame.retries[str(place)] = spent + 1
            self.frame.step += 1
            self.frame.memo = {"retry_at": self.execution.time.epoch() + self._delay(retrier, spent)}
            self.execution.observe("Retry", self.frame.state, str(place), True)
            self.execution.journal.add(None, self.frame, position=True)
            return True
        return False

    def _delay(self, retrier: Mapping[str, Any], spent: int) -> float:
        delay = retrier.get("IntervalSeconds", 1) * retrier.get("BackoffRate", 2.0) ** spent
        delay = min(delay, retrier.get("MaxDelaySeconds", delay))
        return self.execution.jitter.uniform(0, delay) if retrier.get("JitterStrategy") == "FULL" else delay

    def _wait_for_retry(self) -> None:
        retry_at = self.frame.memo.pop("retry_at", None)
        if retry_at is not None:
            self.sleep_until(retry_at)

    def _caught(self, error: StatesError) -> Outcome:
        for place, catcher in enumerate(self.state.get("Catch", ())):
            if matches(catcher["ErrorEquals"], error.error):
                self.execution.observe("Catch", self.frame.state, str(place), True)
                return self._checked(
                    self.outcome(catcher, default=error.output(), errorOutput=error.output(), field=f"Catch[{place}]/")
                )
        raise error

    # What the kinds of states build on

    def journal(self, event_type: str, details: dict[str, Any] | None = None, *, position: bool = False) -> None:
        self.execution.journal.add(history.event(event_type, details), self.frame, position=position)

    def remember(self, **facts: Any) -> None:
        """Keep facts of this attempt on disk."""
        self.frame.memo |= facts
        self.execution.journal.add(None, self.frame, position=True)

    def sleep_until(self, epoch_s: float) -> None:
        if not self.execution.time.sleep_until(epoch_s, self.cancellation):
            self.cancellation.check()

    def context(self) -> dict[str, Any]:
        """The context object as of now."""
        frame = self.frame
        context: dict[str, Any] = dict(self.execution.context)
        context["State"] = {
            "Name": frame.state,
            "EnteredTime": iso(frame.entered or self.execution.time.epoch()),
            "RetryCount": sum(frame.retries.values()),
        }
        if "token" in frame.memo:
            context["Task"] = {"Token": frame.memo["token"]}
        if frame.item is not None:
            context["Map"] = {"Item": frame.item}
        return context

    def render(self, template: Any, field: str, *, context: Mapping[str, Any] | None = None, **states: Any) -> Any:
        """Evaluate a field of the state; `states` adds `result` or `errorOutput` to `$states`."""
        bindings = {**self.outer, **self.frame.variables}
        bindings["states"] = {"input": self.frame.input, "context": context or self.context(), **states}
        return expressions.render(template, bindings, int(self.execution.time.epoch() * 1000), field)

    def arguments(self) -> Any:
        """What a Task or Parallel is given: its Arguments, else the state's input."""
        return self.render(self.state["Arguments"], "Arguments") if "Arguments" in self.state else self.frame.input

    def outcome(
        self, part: Mapping[str, Any], *, default: Any, next_state: str | None = None, field: str = "", **states: Any
    ) -> Outcome:
        """Output and Assign of a state, a Choice rule or a catcher: both see the variables as they were before."""
        output = self.render(part["Output"], f"{field}Output", **states) if "Output" in part else default
        assigned = self.render(part.get("Assign", {}), f"{field}Assign", **states)
        return Outcome(output, next_state or part.get("Next"), assigned)

    def seconds(self, field: str) -> float | None:
        """A field of seconds, given as a number or as JSONata."""
        if field not in self.state:
            return None
        value = self.render(self.state[field], field)
        if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
            raise StatesError(QUERY_EVALUATION_ERROR, f"'{field}' must be a number of seconds, not {value!r}")
        return float(value)
