"""Outcomes per (release, version of traffic, hour, user bucket), exact however often and in whatever order a log arrives.

Every log line is one fact: a marker that may be written once, and what it adds to one row. Marker and row change in
the same transaction, so a line counts once or not at all. A click belongs to (request id, item id): its marker says so,
and a second click event on the same place is no second click.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from understudy.contracts.outcomes import FeedbackLine, ServedLine
from understudy.domain.tokens import request_time_ms

# Upper edges in milliseconds, 1 to 9100 in the 24 steps a decade of IEC 60063 (each about 10 % above the last), so that a p95 can be
# compared to a few per cent; the last bucket of the histogram is open. Attribute `latency_le_51`, `latency_le_1.1`, `latency_le_inf`.
E24 = (10, 11, 12, 13, 15, 16, 18, 20, 22, 24, 27, 30, 33, 36, 39, 43, 47, 51, 56, 62, 68, 75, 82, 91)
LATENCY_EDGES_MS = tuple(step * 10**decade / 10 for decade in range(4) for step in E24)
PLURAL = {"impression": "impressions", "click": "clicks", "like": "likes", "follow": "follows", "skip": "skips"}
# A marker is kept this long. A line about an older request is not counted: whether it was before is no longer known.
MARKERS_KEPT = timedelta(days=30)
MAX_AGE = MARKERS_KEPT - timedelta(days=2)
MAX_ACTIONS = 100  # of one DynamoDB transaction


@dataclass(frozen=True, slots=True)
class Row:
    """Key of one row of outcomes: hour is the hour of the request, whenever its feedback arrived."""

    release_id: str
    version: int  # of traffic: the one that decided the arm
    hour: str  # 2026-03-01T04
    bucket: int

    @property
    def key(self) -> tuple[str, str]:
        return partition(self.release_id, self.version, self.hour), f"{self.bucket:04d}"


def partition(release_id: str, version: int, hour: str) -> str:
    """Partition key of a release's rows.

    Examples
    --------
    >>> partition("r-1", 7, "2026-03-01T04")
    'r-1#7#2026-03-01T04'
    """
    return f"{release_id}#{version}#{hour}"


@dataclass(frozen=True, slots=True)
class Fact:
    marker: tuple[str, str]  # (request, what), written once
    row: Row
    adds: Mapping[str, float]
    shown: tuple[str, ...] = ()  # items, for the release's coverage
    arm: str = ""


class TooOld(Exception):
    """The line's request is older than the markers that would tell whether it was counted."""


class OutcomeStore(Protocol):
    """Where facts become counts."""

    def add(self, facts: list[Fact], now: datetime) -> list[Fact]:
        """Count in one transaction those facts that were never counted; the others are returned (duplicates)."""

    def is_done(self, log_object: str) -> bool: ...

    def mark_done(self, log_object: str, now: datetime) -> None:
        """Remember a log object for good, so that replaying the whole log costs one read an object."""


class OutcomeReader(Protocol):
    """Where counts are read, by the names under which they are counted; what is missing is 0.

    `requests`, `errors` (the assigned release failed: `ServedLine`), `degraded` (answers that users saw with a step
    missing), `latency_le_<edge>`, `latency_ms_sum` (what users waited), and distinct (request, item) as `impressions`,
    `clicks`, `likes`, `follows`, `skips`, with `late_` before them for those that came after the click window.
    """

    def rows(self, release_id: str, version: int, hour: str) -> Mapping[Row, Mapping[str, float]]:
        """Every bucket of one release, version of traffic and hour; strongly consistent."""

    def outcomes_since(
        self, release_ids: Sequence[str], versions: Sequence[int], since: datetime, until: datetime
    ) -> Mapping[str, Mapping[int, Mapping[str, float]]]:
        """Sums by release and user bucket over the requests of these versions of traffic made in [since, until].

        Hours are read whole and with `CLOCK_SKEW` around: `versions` say exactly which requests belong, times only
        where to look. A release without any outcome has an empty mapping.
        """


def served_fact(line: ServedLine, now: datetime) -> Fact:
    """One request, for the release it was assigned to.

    `latency_ms_sum` is what users waited; the histogram holds how long the assigned release took, a failed request as
    slower than any that was answered.
    """
    adds = {"requests": 1, f"latency_le_{latency_edge(line.assigned_latency_ms)}": 1, "latency_ms_sum": line.latency_ms}
    if line.assigned_latency_ms is None:
        adds["errors"] = 1
    if line.degraded:
        adds["degraded"] = 1
    shown = tuple(line.items) if line.release_id == line.assigned_release_id else ()
    return Fact((f"seen#{line.request_id}", "served"), _row(line, now), adds, shown)


def feedback_fact(line: FeedbackLine, now: datetime, window: timedelta) -> Fact:
    """One (request, item, type); what came to be known later than `window` after its request counts as late only.

    In time and late have a marker each, so that the order in which two events of the same kind arrive does not matter.
    """
    late = "late_" if line.known_at - _requested_at(line.request_id) > window else ""
    marker = (f"seen#{line.request_id}", f"{late}{line.event_type}#{line.item_id}")
    return Fact(marker, _row(line, now), {late + PLURAL[line.event_type]: 1}, arm=line.arm or "")


def latency_edge(latency_ms: float | None) -> str:
    """Smallest edge the latency does not exceed; None, a failed request, is slower than any.

    Examples
    --------
    >>> latency_edge(5), latency_edge(5.01), latency_edge(301), latency_edge(None)
    ('5', '6', 'inf', 'inf')
    """
    at = len(LATENCY_EDGES_MS) if latency_ms is None else bisect_left(LATENCY_EDGES_MS, latency_ms)
    return f"{LATENCY_EDGES_MS[at]:g}" if at < len(LATENCY_EDGES_MS) else "inf"


def _requested_at(request_id: str) -> datetime:
    return datetime.fromtimestamp(request_time_ms(request_id) / 1000, UTC)


def _row(line: ServedLine | FeedbackLine, now: datetime) -> Row:
    at = _requested_at(line.request_id)
    if now - at > MAX_AGE:
        raise TooOld(f"the request of {at.isoformat()} is older than {MAX_AGE.days} days")
    return Row(line.assigned_release_id, line.traffic_version, hour_of(at), line.bucket)


def hour_of(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H")


CLOCK_SKEW = timedelta(minutes=10)  # between functions, and between them and who asks


def hours_between(since: datetime, until: datetime) -> list[str]:
    """Every hour that requests of [since, until] may have been filed under.

    Examples
    --------
    >>> hours_between(datetime(2026, 3, 1, 4, 5, tzinfo=UTC), datetime(2026, 3, 1, 4, 30, tzinfo=UTC))
    ['2026-03-01T03', '2026-03-01T04']
    """
    at = (since - CLOCK_SKEW).replace(minute=0, second=0, microsecond=0)
    hours = []
    while at <= until + CLOCK_SKEW:
        hours.append(hour_of(at))
        at += timedelta(hours=1)
    return hours


@dataclass(slots=True)
class Pack:
    """Facts that fit into one transaction: one action a marker and one a row."""

    facts: dict[tuple[str, str], Fact] = field(default_factory=dict)
    rows: set[Row] = field(default_factory=set)

    def fits(self, fact: Fact) -> bool:
        return len(self.facts) + 1 + len(self.rows | {fact.row}) <= MAX_ACTIONS

    def put(self, fact: Fact) -> bool:
        """False for a duplicate within the pack."""
        if fact.marker in self.facts:
            return False
        self.facts[fact.marker] = fact
        self.rows.add(fact.row)
        return True


def packs(facts: Iterable[Fact]) -> Iterator[tuple[list[Fact], int]]:
    """Facts in transactions' sizes, each with the number of duplicates that were left out."""
    pack, duplicates = Pack(), 0
    for fact in facts:
        if not pack.fits(fact):
            yield list(pack.facts.values()), duplicates
            pack, duplicates = Pack(), 0
        duplicates += not pack.put(fact)
    if pack.facts:
        yield list(pack.facts.values()), duplicates


def sums(facts: Iterable[Fact]) -> dict[Row, dict[str, float]]:
    """What the facts add to each row."""
    rows: dict[Row, dict[str, float]] = defaultdict(lambda: defaultdict(float))
    for fact in facts:
        for name, value in fact.adds.items():
            rows[fact.row][name] += value
    return {row: dict(adds) for row, adds in rows.items()}
