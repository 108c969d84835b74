"""What the judge is given and what it answers. Counts only: no ids, no clock.

A *window* is one stage (or the watch) of a rollout: both arms over the same time, with one share. Windows stay apart because the
share, and so who is in which arm, changes between them; pooled over a change of share, a daily rhythm would pass for an effect.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from math import inf
from typing import Any, Literal

from understudy.contracts.traffic import ALL_BP
from understudy.domain.outcomes import LATENCY_EDGES_MS
from understudy.errors import BadEvidence

LATENCY_BINS = len(LATENCY_EDGES_MS) + 1  # the last is open
Outcome = Literal["pass", "fail", "inconclusive"]
COUNTS = ("requests", "errors", "degraded", "impressions", "clicks")


@dataclass(frozen=True, slots=True)
class BucketOutcome:
    """What one user bucket (0-9999), the independent unit, did in one arm during one window.

    `latency` maps a bin of `LATENCY_EDGES_MS` to requests.

    Raises
    ------
    BadEvidence
        If a count is not a whole number of at least 0, exceeds its requests, or a bucket or bin is out of range.
    """

    bucket: int
    requests: int = 0
    errors: int = 0
    degraded: int = 0
    impressions: int = 0
    clicks: int = 0
    latency: Mapping[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        counts = (self.requests, self.errors, self.degraded, self.impressions, self.clicks)
        if not _whole(self.bucket) or self.bucket >= ALL_BP:
            raise BadEvidence(f"bucket {self.bucket!r}", "a bucket is a whole number in 0-9999")
        if not all(map(_whole, counts)):
            said = dict(zip(COUNTS, counts, strict=True))
            raise BadEvidence(f"bucket {self.bucket}: {said!r}", "a count is a whole number of at least 0")
        if (
            not all(map(_whole, (*self.latency, *self.latency.values())))
            or max(self.latency, default=0) >= LATENCY_BINS
        ):
            raise BadEvidence(
                f"bucket {self.bucket}: latency {dict(self.latency)!r}",
                f"bins 0-{LATENCY_BINS - 1} with whole counts of at least 0",
            )
        if max(self.errors, self.degraded, sum(self.latency.values())) > self.requests:
            raise BadEvidence(
                f"bucket {self.bucket}: {self.requests} requests",
                "errors, degraded and latencies do not exceed the requests",
            )


def _whole(value: object) -> bool:
    return type(value) is int and value >= 0


@dataclass(frozen=True)
class ArmOutcomes:
    """One arm in one window: at most one entry a bucket; `shown` is `domain.coverage`'s sketch of the items shown, if it is known."""

    buckets: tuple[BucketOutcome, ...] = ()
    shown: bytes | None = None

    @cached_property
    def totals(self) -> Mapping[str, int]:
        return {name: sum(getattr(each, name) for each in self.buckets) for name in COUNTS}

    @cached_property
    def histogram(self) -> list[int]:
        """Answered requests by bin. The log counts a failure as slower than any answer; failures are the error rate's affair."""
        counts = [0] * LATENCY_BINS
        for each in self.buckets:
            for place, requests in each.latency.items():
                counts[place] += requests
        counts[-1] = max(0, counts[-1] - self.totals["errors"])
        return counts

    @classmethod
    def of(cls, rows: Iterable[tuple[int, Mapping[str, Any]]], shown: bytes | None = None) -> ArmOutcomes:
        """Add up rows of OutcomesTable, (bucket, counts) each; several hours or traffic versions of a bucket are summed."""
        sums: dict[int, dict[str, int]] = {}
        for bucket, counts in rows:
            known = sums.setdefault(bucket, {})
            for name, value in counts.items():
                if name in COUNTS or name in _BIN_OF:
                    known[name] = known.get(name, 0) + _count(bucket, name, value)
        return cls(tuple(_outcome(bucket, counts) for bucket, counts in sorted(sums.items())), shown)


_BIN_OF = {f"latency_le_{edge:g}": place for place, edge in enumerate([*LATENCY_EDGES_MS, inf])}


def _count(bucket: int, name: str, value: Any) -> int:
    """A number as DynamoDB gives it (int, float, Decimal), if it is a count."""
    try:
        whole = int(value)
    except (TypeError, ValueError, OverflowError, ArithmeticError):
        whole = -1
    if whole < 0 or whole != value:
        raise BadEvidence(f"bucket {bucket}: {name} {value!r}", "a count is a whole number of at least 0")
    return whole


def _outcome(bucket: int, counts: Mapping[str, int]) -> BucketOutcome:
    latency = {place: counts[name] for name, place in _BIN_OF.items() if counts.get(name)}
    return BucketOutcome(bucket, **{name: counts.get(name, 0) for name in COUNTS}, latency=latency)


@dataclass(frozen=True)
class StageWindow:
    """Both arms during one stage: `share_bp` of the buckets, the lowest, met the candidate."""

    share_bp: int
    candidate: ArmOutcomes
    champion: ArmOutcomes

    def __post_init__(self) -> None:
        if not _whole(self.share_bp) or not 0 < self.share_bp < ALL_BP:
            raise BadEvidence(f"share {self.share_bp!r} bp", "1-9999: without a second arm there is nothing to compare")
        for name, arm, inside in (("candidate", self.candidate, True), ("champion", self.champion, False)):
            seen = [each.bucket for each in arm.buckets]
            if len(set(seen)) != len(seen):
                raise BadEvidence(f"the {name} has a bucket twice", "one entry a bucket")
            stray = next((bucket for bucket in seen if (bucket < self.share_bp) != inside), None)
            if stray is not None:
                raise BadEvidence(
                    f"bucket {stray} in the {name} at {self.share_bp} bp", "the lowest buckets meet the candidate"
                )

    @property
    def share(self) -> float:
        return self.share_bp / ALL_BP


@dataclass(frozen=True)
class StageEvidence:
    """A rollout so far: its windows, oldest first, the last one being judged.

    `is_last_gate`: a pass brings the candidate to all users. `elapsed_s` and `extended` only stand in the evidence: what time
    means is `bake.decide_bake`'s affair. In the watch after a promotion the new champion is the candidate of its window and the
    holdback its champion.
    """

    windows: tuple[StageWindow, ...]
    is_last_gate: bool = False
    elapsed_s: float = 0.0
    extended: bool = False

    def __post_init__(self) -> None:
        if not self.windows:
            raise BadEvidence("no window", "at least the stage that is judged")
        if not 0 <= self.elapsed_s < inf:
            raise BadEvidence(f"elapsed_s {self.elapsed_s!r}", "seconds, finite and at least 0")


@dataclass(frozen=True)
class Verdict:
    """`pass`, `fail` or `inconclusive`, the sentences that say why, and every number that led there (JSON)."""

    verdict: Outcome
    reasons: tuple[str, ...]
    evidence: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        return {"verdict": self.verdict, "reasons": list(self.reasons), "evidence": dict(self.evidence)}
