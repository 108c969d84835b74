"""The account's time. Tests move it; services ask it and never `datetime.now`."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime, timedelta


class Clock:
    """Wall time plus an offset that only grows. Sleepers wake early when the offset passes their deadline.

    Examples
    --------
    >>> clock = Clock()
    >>> before = clock.now()
    >>> clock.advance(3600)
    >>> (clock.now() - before).total_seconds() >= 3600
    True
    """

    def __init__(self) -> None:
        self._offset_s = 0.0
        self._moved = threading.Condition()

    def now(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self._offset_s)

    def epoch(self) -> float:
        return time.time() + self._offset_s

    def advance(self, seconds: float) -> None:
        """Move the clock forward; every sleeper looks again."""
        if seconds < 0:
            raise ValueError(f"the clock only moves forward, not by {seconds} s")
        with self._moved:
            self._offset_s += seconds
            self._moved.notify_all()

    def sleep_until(self, epoch_s: float, stopping: threading.Event | None = None) -> bool:
        """Sleep until the account's time reaches `epoch_s`; False if `stopping` was set first.

        `stopping` is looked at every 200 ms, so that a service stops soon without a wake-up of its own.
        """
        with self._moved:
            while (left := epoch_s - self.epoch()) > 0:
                if stopping is not None and stopping.is_set():
                    return False
                self._moved.wait(min(left, 0.2) if stopping is not None else left)
        return not (stopping is not None and stopping.is_set())
