"""The timetable: looks after everything that has a schedule, and hands each due instant over exactly once.

Instants that pass while the account runs are all handed over, also when its clock is moved over many at once. Of those
that passed while it was down only the latest is: a laptop that slept for a week owes one night, not seven.
"""

from __future__ import annotations

import hashlib
import logging
import math
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from zoneinfo import ZoneInfo

from local_account.clock import Clock
from local_account.event_bridge.cron import Expression
from local_account.records import Records

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 30.0  # at most: an entry that was changed is seen at once


@dataclass(frozen=True, slots=True)
class Entry:
    """One schedule. It is due from `begins` (exclusive) to `ends`."""

    arn: str
    expression: Expression
    zone: ZoneInfo
    begins: float
    anchor: float  # where a rate counts from
    ends: float | None = None
    window_s: float = 0.0  # it may fire up to so much later

    def next_after(self, after: float) -> float | None:
        instant = self.expression.next_after(max(after, self.begins), self.zone, self.anchor)
        return None if instant is None or (self.ends is not None and instant > self.ends) else instant

    def fires_at(self, instant: float) -> float:
        """The instant, or a place in its flexible window that is always the same for the same instant."""
        if not self.window_s:
            return instant
        place = int.from_bytes(hashlib.sha256(f"{self.arn}@{instant}".encode()).digest()[:4], "big") / 2**32
        return instant + place * self.window_s


class Timetable:
    """Runs the entries that `entries` names at each look; `due(arn, instant)` is called for every instant."""

    def __init__(
        self, clock: Clock, records: Records, entries: Callable[[], Iterable[Entry]], due: Callable[[str, float], None]
    ) -> None:
        self._clock, self._records, self._entries, self._due = clock, records, entries, due
        self._changed = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._catch_up()
        self._thread = threading.Thread(target=self._work, daemon=True, name="timetable")
        self._thread.start()

    def stop(self) -> None:
        self._stopping = True
        self._changed.set()
        if self._thread is not None:
            self._thread.join(2)

    def changed(self) -> None:
        """Look again: an entry is new, gone or different."""
        self._changed.set()

    def forget(self, arn: str) -> None:
        self._records.delete("instant", arn)

    def look(self) -> float:
        """Hand over all that is due; the epoch of the next thing to do."""
        now = self._clock.epoch()
        ahead = now + LOOK_EVERY_S
        for entry in list(self._entries()):
            try:
                ahead = min(ahead, self._follow(entry, now))
            except Exception:  # noqa: BLE001 - one bad schedule must not hold up the others
                _log.exception("the schedule %s could not be followed", entry.arn)
        return ahead

    def _follow(self, entry: Entry, now: float) -> float:
        """Hand over what is due of one entry; when it has to be looked at again."""
        done = self._records.get("instant", entry.arn)
        instant = entry.next_after(entry.begins if done is None else done)
        while instant is not None and entry.fires_at(instant) <= now:
            self._due(entry.arn, instant)
            self._records.put("instant", entry.arn, instant)
            instant = entry.next_after(instant)
        return math.inf if instant is None else entry.fires_at(instant)

    def _catch_up(self) -> None:
        """Leave out all but the latest instant that passed while the account was down."""
        now = self._clock.epoch()
        for entry in list(self._entries()):
            done = self._records.get("instant", entry.arn)
            previous, latest = None, entry.next_after(entry.begins if done is None else done)
            while latest is not None and entry.fires_at(latest) <= now:
                following = entry.next_after(latest)
                if following is None or entry.fires_at(following) > now:
                    break
                previous, latest = latest, following
            if previous is not None:
                self._records.put("instant", entry.arn, previous)

    def _work(self) -> None:
        while not self._stopping:
            self._changed.clear()
            ahead = self.look()
            if not self._stopping:
                self._clock.sleep_until(ahead, self._changed)
