"""What an execution has done, in order: history events, each with the position its branch reached by it.

Event and position are one row, so a process killed between two states comes back at exactly one of them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from local_account.step_functions.errors import RUNTIME, StatesError
from local_account.step_functions.frames import Frame
from local_account.step_functions.history import MAX_EVENTS

ENDS = ("ExecutionSucceeded", "ExecutionFailed", "ExecutionAborted", "ExecutionTimedOut")

Row = dict[str, Any]  # {"event": {...} | None, "frame": path, "position": {...} | None}


class Journal:
    """The rows of one execution.

    Parameters
    ----------
    now : callable
        The account's epoch seconds.
    write : callable
        Takes (row number, row) and returns when the row is on disk.
    rows : list
        What an earlier process wrote; positions and event ids go on from there.
    """

    def __init__(
        self, now: Callable[[], float], write: Callable[[int, Row], None], rows: list[Row] | None = None
    ) -> None:
        self._now, self._write = now, write
        self._lock = threading.Lock()
        self._positions: dict[str, dict[str, Any]] = {}
        self._last_event: dict[str, int] = {}
        self._rows, self._events = 0, 0
        self.end: dict[str, Any] | None = None  # the event that ended the execution
        for row in rows or []:
            self._rows += 1
            self._note(row)

    def _note(self, row: Row) -> None:
        if row["event"] is not None:
            self._events = row["event"]["id"]
            self._last_event[row["frame"]] = row["event"]["id"]
            self.end = row["event"] if row["event"]["type"] in ENDS else None
        if row["position"] is not None:
            self._positions[row["frame"]] = row["position"]

    def add(self, event: dict[str, Any] | None, frame: Frame, *, position: bool = False, last: bool = False) -> None:
        """Write an event, or (None) a position alone. `last` events may pass the limit, so that an end can be told.

        Raises
        ------
        StatesError
            States.Runtime when the history is full.
        """
        with self._lock:
            if event is not None:
                if self._events >= MAX_EVENTS - 1 and not last:
                    raise StatesError(
                        RUNTIME, f"The execution reached the maximum number of history events ({MAX_EVENTS})."
                    )
                event = {
                    "timestamp": self._now(),
                    "id": self._events + 1,
                    "previousEventId": self._previous(frame.path),
                } | event
            row = {"event": event, "frame": frame.path, "position": frame.document() if position else None}
            self._write(self._rows, row)
            self._rows += 1
            self._note(row)

    def _previous(self, path: str) -> int:
        """The last event of the branch, or of the state that started it."""
        while path not in self._last_event and path:
            path = path.rpartition("/")[0]
        return self._last_event.get(path, 0)

    def redrive(self) -> None:
        """Let every branch that did not end try its state again, with its retries unspent."""
        for document in list(self._positions.values()):
            frame = Frame(**document)
            if not frame.done:
                frame.ready_to_redrive()
                self.add(None, frame, position=True)

    def frame(self, path: str) -> Frame | None:
        """Where a branch stood, if it ever did."""
        with self._lock:
            document = self._positions.get(path)
        return None if document is None else Frame(**document)
