"""What passes between the interpreter and the services that its tasks call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from local_account.step_functions.frames import Cancellation
from local_account.step_functions.resources import Resource


@dataclass(frozen=True, slots=True)
class TaskCall:
    """One attempt of a Task."""

    state: str
    resource: Resource
    arguments: Any
    deadline: float | None  # account's epoch s
    heartbeat_s: float | None
    token: str | None  # of a .waitForTaskToken task
    memo: dict[str, Any]  # what an earlier process remembered of this very attempt; empty in a first one
    remember: Callable[..., None]
    submitted: Callable[[Any], None]  # told the answer of a call whose job goes on
    cancellation: Cancellation


class Tasks(Protocol):
    """Does what a Task asks for."""

    def perform(self, call: TaskCall) -> Any:
        """The task's result.

        Raises
        ------
        StatesError
            The task failed or timed out.
        Interrupted
            The branch was told to end; unless it is only suspended, the job has been told to stop.
        """
