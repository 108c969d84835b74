"""Where a branch stands: everything it needs to go on after the process was killed, as one JSON document."""

from __future__ import annotations

import threading
from dataclasses import asdict, dataclass, field
from typing import Any

from local_account.step_functions.errors import Interrupted


@dataclass(slots=True)
class Frame:
    """One list of states under way: the machine itself, a branch of a Parallel, or an iteration of a Map.

    `path` is "" for the machine and `<parent>/<step>.<index>` below it: a Parallel that is tried again has a higher
    step, so its new branches are never mistaken for the old ones.
    """

    path: str
    state: str
    input: Any
    variables: dict[str, Any] = field(default_factory=dict)
    entered: float | None = None  # account's epoch s; None: to be entered yet
    step: int = 0
    retries: dict[str, int] = field(default_factory=dict)  # retrier's place -> attempts it has spent
    memo: dict[str, Any] = field(
        default_factory=dict
    )  # what the attempt must not forget: its end, a job's name, a token
    item: dict[str, Any] | None = None  # $states.context.Map.Item
    done: bool = False
    output: Any = None

    def document(self) -> dict[str, Any]:
        return asdict(self)

    def child_path(self, index: int) -> str:
        return f"{self.path}/{self.step}.{index}"

    def ready_to_redrive(self) -> None:
        """As a redrive finds it: the same state and variables, retries unspent, nothing under way."""
        self.retries, self.memo = {}, {}


class Cancellation(threading.Event):
    """Set by whoever wants a branch to end; a child's is set when its parent's is."""

    def __init__(self, parent: Cancellation | None = None) -> None:
        super().__init__()
        self._parent = parent
        self._reason = ""

    def cancel(self, reason: str) -> None:
        """The first reason stands."""
        if not super().is_set():
            self._reason = reason
        self.set()

    def is_set(self) -> bool:
        return super().is_set() or (self._parent is not None and self._parent.is_set())

    @property
    def reason(self) -> str:
        if self._parent is not None and self._parent.is_set():
            return self._parent.reason
        return self._reason

    def check(self) -> None:
        if self.is_set():
            raise Interrupted(self.reason)
