"""Which outcomes a stage is judged on: its own and those of the stages before it, each at the traffic version it was written at."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Self

from understudy.contracts.rollout import JudgeStageEvent
from understudy.contracts.traffic import ALL_BP, Traffic
from understudy.domain.judge import ArmOutcomes, JudgePolicy, StageEvidence, StageWindow, Verdict, judge
from understudy.domain.shadow import ShadowSums, shadow_sums
from understudy.errors import StageLost


@dataclass(frozen=True, slots=True)
class Window:
    """One stage as it was on stage: who was compared with whom, at which version, from when on."""

    index: int
    kind: str
    share_bp: int
    version: int
    control: str
    started_at: str

    @classmethod
    def of(cls, item: Mapping[str, Any]) -> Self:
        return cls(**{name: item[name] for name in cls.__dataclass_fields__})

    def item(self) -> dict[str, Any]:
        return asdict(self)

    @property
    def since(self) -> datetime:
        return datetime.fromisoformat(self.started_at)

    @property
    def compares(self) -> bool:
        """Whether there are two arms."""
        return self.kind == "shadow" or 0 < self.share_bp < ALL_BP

    def sources(self, release_id: str) -> tuple[str, ...]:
        """Names under which this window's outcomes are counted: candidate and control, or the pairs of a shadow."""
        return (f"shadow#{release_id}",) if self.kind == "shadow" else (release_id, self.control)


def window_of(asked: JudgeStageEvent, traffic: Traffic | None) -> Window:
    """The window that traffic shows now.

    Raises
    ------
    StageLost
        Traffic is no longer as this stage left it.
    """
    if traffic is None or traffic.version != asked.version:
        change = (
            "nobody serves" if traffic is None else f"traffic is at version {traffic.version} by {traffic.change_id}"
        )
        raise StageLost(asked.release_id, f"it was put there at version {asked.version}, and {change}")
    share, control = traffic.share_bp, traffic.champion.release
    if asked.stage.kind == "watch":
        share, control = ALL_BP - traffic.holdback_bp, traffic.previous.release if traffic.previous else ""
    started = asked.started_at.isoformat()
    return Window(asked.stage.index, asked.stage.kind, share, asked.version, control, started)


Rows = Mapping[int, Mapping[str, Any]]  # bucket -> counts
Counts = Mapping[str, Rows]  # by source
Shown = Mapping[str, bytes]  # source -> sketch of the items shown (domain.coverage)
_HALF = ALL_BP // 2


def stage_window(window: Window, release_id: str, counts: Counts, shown: Shown) -> StageWindow:
    """The window as the judge takes it."""
    if window.kind == "shadow":
        return _pairs(shadow_sums(counts.get(f"shadow#{release_id}", {})))
    arms = (ArmOutcomes.of(counts.get(one, {}).items(), shown.get(one)) for one in window.sources(release_id))
    return StageWindow(window.share_bp, *arms)


def at_one_time(before: Rows, control: Rows, after: Rows, share_bp: int) -> Rows:
    """The candidate's rows as they were while the control's were read: `before` that, and `after` it, they are known.

    Arms are read one after the other, and what is counted in between is in the later one only: a burst of outcomes looks like
    an arm that loses its users. Each bucket's row is taken from one of the two reads, so that the total comes as near to its share
    as the reads allow; what deviates beyond that deviates. Buckets are drawn by hash, so their order says nothing of what
    their users did.

    Examples
    --------
    >>> burst = at_one_time({1: {"requests": 10}}, {9: {"requests": 180}}, {1: {"requests": 30}}, 1000)
    >>> burst[1]["requests"]
    30
    """
    expected = _total(control) * share_bp / (ALL_BP - share_bp)
    rows, total = dict(before), _total(before)
    for bucket, row in sorted(after.items()):
        more = row.get("requests", 0) - before.get(bucket, {}).get("requests", 0)
        if total + more / 2 < expected or not more:  # beyond the half, one more would be farther away
            rows[bucket], total = row, total + more
    return rows


def _total(rows: Rows) -> float:
    return sum(row.get("requests", 0) for row in rows.values())


def _pairs(sums: ShadowSums) -> StageWindow:
    """Pairs of a shadow as two arms of equal size: every two buckets are one unit, below the middle and above it.

    The arms answered the very same requests, so they are more alike than the independent ones the judge reckons with:
    its bounds hold, with something to spare.
    """
    candidate = ArmOutcomes.of((bucket // 2, counts) for bucket, counts in sums.candidate.items())
    champion = ArmOutcomes.of((_HALF + bucket // 2, counts) for bucket, counts in sums.champion.items())
    return StageWindow(_HALF, candidate, champion)


def judge_windows(
    windows: list[StageWindow], *, is_last_gate: bool, elapsed_s: float, extended: bool, policy: JudgePolicy
) -> Verdict:
    evidence = StageEvidence(tuple(windows), is_last_gate, max(elapsed_s, 0.0), extended)
    return judge(evidence, policy)


def nothing_to_compare() -> Verdict:
    """Nobody was kept from the release, so there is no control; nothing is shown and nothing passes."""
    return Verdict("inconclusive", ("nobody is held back: there is no control",), {})
