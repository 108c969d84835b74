"""What `recommend` remembers between requests: traffic for at most two seconds, releases for good.

Ages are counted by the wall clock: a Lambda's monotonic clock may stand still while the process is frozen.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from itertools import count
from threading import Lock, Thread

from botocore.exceptions import ClientError

from understudy.contracts.release import ReleaseRecord
from understudy.contracts.traffic import Traffic
from understudy.errors import StepFailed


class CachedTraffic:
    """The traffic item, never older than `ttl_s` while it can be read.

    From half of its time on it is read anew beside the request, so that almost no request waits for the read. While it
    cannot be read, what was known last still serves: who is on stage changes rarely, and no answer would help nobody.
    While nothing is known at all, `first_read` asks, with more patience: its failure is a client's error.
    """

    def __init__(
        self,
        read: Callable[[], Traffic | None],
        ttl_s: float,
        wall: Callable[[], float],
        first_read: Callable[[], Traffic | None] | None = None,
    ) -> None:
        self._read, self._ttl_s, self._wall = read, ttl_s, wall
        self._first_read = first_read or read
        self._lock, self._refreshing = Lock(), False
        self._known: Traffic | None = None
        self._read_at = float("-inf")
        self._begun, self._kept = count(1), 0

    def current(self) -> tuple[Traffic | None, bool]:
        """The traffic, and whether it is fresh."""
        age = self._wall() - self._read_at
        if 0 <= age < self._ttl_s and self._known is not None:
            if age >= self._ttl_s / 2:
                self._refresh_beside()
            return self._known, True
        try:
            self._refresh()
        except (StepFailed, ClientError):
            return self._known, False
        return self._known, True

    def _refresh(self) -> None:
        # before the read: what it answers may be as old as its start
        number, at = next(self._begun), self._wall()
        known = self._first_read() if self._known is None else self._read()
        with self._lock:
            if (
                number > self._kept
            ):  # of two reads at once the later begun is the newer, also when the clock was set back
                self._known, self._read_at, self._kept = known, at, number

    def _refresh_beside(self) -> None:
        with self._lock:
            if self._refreshing:
                return
            self._refreshing = True

        def run() -> None:
            try:
                self._refresh()
            except (StepFailed, ClientError):
                pass  # the request that finds it too old reads again and says so
            finally:
                self._refreshing = False

        Thread(target=run, name="traffic", daemon=True).start()


class CachedReleases:
    """Release records by id: their serving half never changes, so a read is good for the process's life."""

    KEPT = 4  # champion, candidate, previous, and one that is leaving

    def __init__(self, read: Callable[[str, float], ReleaseRecord | None]) -> None:
        self._read = read
        self._records: dict[str, ReleaseRecord] = {}

    def expect(self, traffic: Traffic, timeout_s: float) -> None:
        """Read whatever traffic names and is not known: a candidate's first users wait no longer than the champion's."""
        for standing in (traffic.champion, traffic.candidate, traffic.previous):
            if standing is not None:
                with suppress(StepFailed):  # the request that needs it reads again, and says what is wrong
                    self.get(standing.release, timeout_s)

    def get(self, release_id: str, timeout_s: float) -> ReleaseRecord:
        """
        Raises
        ------
        StepFailed
            Not registered, or not to be read now.
        """
        if (record := self._records.get(release_id)) is not None:
            return record
        try:
            record = self._read(release_id, timeout_s)
        except ClientError as error:
            raise StepFailed("release", error.response["Error"]["Code"]) from None
        except ValueError:
            raise StepFailed("release", f"the record of {release_id} is unreadable") from None
        if record is None:
            raise StepFailed("release", f"{release_id} is not registered")
        while len(self._records) >= self.KEPT:
            self._records.pop(next(iter(self._records)))
        self._records[release_id] = record
        return record
