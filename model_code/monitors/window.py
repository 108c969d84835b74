"""Windows of time: half open, in UTC, and the hour of the week in which something happened."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

HOUR, HOURS_OF_WEEK = timedelta(hours=1), 168
HOUR_US, THURSDAY = 3_600_000_000, 3  # 1970-01-01 was a Thursday; Monday is 0


@dataclass(frozen=True, slots=True)
class Window:
    """start <= t < end. Instants, not wall clocks: an hour that a clock shows twice is two hours, and none is left out."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a window's times need a zone")
        if self.end.astimezone(UTC) <= self.start.astimezone(UTC):
            raise ValueError(f"the window ends at {self.end.isoformat()}, not after {self.start.isoformat()}")

    @property
    def bounds_us(self) -> tuple[int, int]:
        """Microseconds since 1970."""
        return microseconds(self.start), microseconds(self.end)

    def holds(self, at_us: int) -> bool:
        first, last = self.bounds_us
        return first <= at_us < last


def windows_of(start: datetime, end: datetime, length: timedelta) -> Iterator[Window]:
    """Windows of one length that tile [start, end): no gap, no overlap; the last one may be shorter."""
    at, until = start.astimezone(UTC), end.astimezone(UTC)
    while at < until:
        following = min(at + length, until)
        yield Window(at, following)
        at = following


def moment(text: str) -> datetime:
    """An ISO 8601 time as UTC; without a zone it is UTC already.

    Examples
    --------
    >>> moment("2026-03-29T03:00:00+02:00").isoformat()
    '2026-03-29T01:00:00+00:00'
    """
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def microseconds(at: datetime) -> int:
    return round((at.astimezone(UTC) - datetime(1970, 1, 1, tzinfo=UTC)) / timedelta(microseconds=1))


def hours_of_week(at_us: Sequence[int] | np.ndarray) -> np.ndarray:
    """Hour of the week, 0 (Monday 00) … 167, of microseconds since 1970, UTC.

    Examples
    --------
    >>> hours_of_week([0, HOUR_US * 24 * 4]).tolist()
    [72, 0]
    """
    hours = np.asarray(at_us, np.int64) // HOUR_US
    return (hours + THURSDAY * 24) % HOURS_OF_WEEK
