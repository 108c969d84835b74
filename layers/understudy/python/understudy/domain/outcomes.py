"""Outcomes per (release, user bucket, hour), exact however often and in whatever order a log arrives.

Every log line is one fact: a marker that may be written once, and what it adds to one row. Marker and row change in
the same transaction, so a line counts once or not at all. A click belongs to (request id, item id): its marker says so,
and a second click event on the same place is no second click.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from understudy.contracts.outcomes import FeedbackLine, ServedLine
from understudy.domain.tokens import request_time_ms

# Upper edges in milliseconds; the last bucket of the histogram is open. Attribute `latency_le_50`, `latency_le_inf`.
LATENCY_EDGES_MS = (5, 10, 15, 20, 25, 30, 40, 50, 75, 100, 150, 200, 250)
PLURAL = {"impression": "impressions", "click": "clicks", "like": "likes", "follow": "follows", "skip": "skips"}
LATE = timedelta(hours=24)
# A marker is kept this long. A line about an older request is not counted: whether it was before is no longer known.
MARKERS_KEPT = timedelta(days=30)
MAX_AGE = MARKERS_KEPT - timedelta(days=2)
MAX_ACTIONS = 100  # of one DynamoDB transaction


@dataclass(frozen=True, slots=True)
class Row:
    """Key of one row of outcomes: hour is the hour of the request, whenever its feedback arrived."""

    release_id: str
    hour: str  # 2026-03-01T04
    bucket: int

    @property
    def key(self) -> tuple[str, str]:
        return f"{self.release_id}#{self.hour}", f"{self.bucket:04d}"


@dataclass(frozen=True, slots=True)
class Fact:
    marker: tuple[str, str]  # (request, what), written once
    row: Row
    adds: Mapping[str, float]


class TooOld(Exception):
    """The line's request is older than the markers that would tell whether it was counted."""


class OutcomeStore(Protocol):
    """Where facts become counts."""

    def add(self, facts: list[Fact], now: datetime) -> list[Fact]:
        """Count in one transaction those facts that were never counted; the others are returned (duplicates)."""

    def is_done(self, log_object: str) -> bool: ...

    def mark_done(self, log_object: str, now: datetime) -> None:
        """Remember a log object for good, so that replaying the whole log costs one read an object."""


def served_fact(line: ServedLine, now: datetime) -> Fact:
    """One request: counts, and its latency in a histogram. Counts for the release it was assigned to."""
    adds = {"requests": 1, f"latency_le_{latency_edge(line.latency_ms)}": 1, "latency_ms_sum": line.latency_ms}
    if line.error is not None:
        adds["errors"] = 1
    if line.degraded:
        adds["degraded"] = 1
    return Fact((f"seen#{line.request_id}", "served"), _row(line, now), adds)


def feedback_fact(line: FeedbackLine, now: datetime) -> Fact:
    """One (request, item, type)."""
    adds: dict[str, float] = {PLURAL[line.event_type]: 1}
    if line.known_at - _requested_at(line.request_id) > LATE:
        adds["late"] = 1
    return Fact((f"seen#{line.request_id}", f"{line.event_type}#{line.item_id}"), _row(line, now), adds)


def latency_edge(latency_ms: float) -> str:
    """Smallest edge the latency does not exceed.

    Examples
    --------
    >>> latency_edge(5), latency_edge(5.01), latency_edge(251)
    ('5', '10', 'inf')
    """
    at = bisect_left(LATENCY_EDGES_MS, latency_ms)
    return str(LATENCY_EDGES_MS[at]) if at < len(LATENCY_EDGES_MS) else "inf"


def _requested_at(request_id: str) -> datetime:
    return datetime.fromtimestamp(request_time_ms(request_id) / 1000, UTC)


def _row(line: ServedLine | FeedbackLine, now: datetime) -> Row:
    at = _requested_at(line.request_id)
    if now - at > MAX_AGE:
        raise TooOld(f"the request of {at.isoformat()} is older than {MAX_AGE.days} days")
    return Row(line.assigned_release_id, at.strftime("%Y-%m-%dT%H"), line.bucket)


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
