"""Task tokens: a `.waitForTaskToken` task waits until somebody answers for it."""

from __future__ import annotations

import json
import threading
from dataclasses import dataclass, field
from typing import Any

from local_account.clock import Clock
from local_account.step_functions.calls import LOOK_EVERY_S, check_deadline
from local_account.step_functions.errors import StatesError
from local_account.step_functions.task_call import TaskCall
from local_account.wire import AwsError


@dataclass(slots=True)
class _Waiting:
    heard: float
    answered: threading.Event = field(default_factory=threading.Event)
    output: Any = None
    failure: StatesError | None = None


class Tokens:
    """The tokens that tasks wait on."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: dict[str, _Waiting] = {}

    def open(self, token: str) -> None:
        """Before the token is given away."""
        self._waiting.setdefault(token, _Waiting(self._clock.epoch()))

    def wait(self, call: TaskCall) -> Any:
        """Wait for the answer, a missed heartbeat, or the deadline."""
        token = str(call.token)
        waiting = self._waiting[token]
        try:
            while not waiting.answered.wait(LOOK_EVERY_S):
                call.cancellation.check()
                check_deadline(call, self._clock, waiting.heard)
        finally:
            self._waiting.pop(token, None)
        if waiting.failure is not None:
            raise waiting.failure
        return waiting.output

    def succeed(self, token: str, output: str) -> None:
        waiting = self._find(token)
        try:
            waiting.output = json.loads(output)
        except ValueError as reason:
            raise AwsError("InvalidOutput", f"the output is no JSON: {reason}") from reason
        waiting.answered.set()

    def fail(self, token: str, error: str, cause: str) -> None:
        waiting = self._find(token)
        waiting.failure = StatesError(error, cause)
        waiting.answered.set()

    def heartbeat(self, token: str) -> None:
        self._find(token).heard = self._clock.epoch()

    def _find(self, token: str) -> _Waiting:
        waiting = self._waiting.get(token)
        if waiting is None:
            raise AwsError("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
        return waiting
