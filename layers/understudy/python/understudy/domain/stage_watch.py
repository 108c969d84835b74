"""What a look at a stage leads to: the judge's verdict, the stage's clock and an operator's wish, as one action."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from math import ceil
from typing import Literal

from understudy.contracts.rollout import StageKind
from understudy.domain.judge import Verdict
from understudy.domain.judge.bake import BakeStep, InconclusivePolicy, decide_bake

MAX_LOOKS = 200  # of one child execution


@dataclass(frozen=True, slots=True)
class Wish:
    """What an operator asked for, when, and at which version of traffic: that of the stage that was seen then."""

    ask: Literal["pause", "resume", "promote"]
    by: str
    at: datetime
    version: int | None = None


@dataclass(frozen=True, slots=True)
class StageClock:
    """Where a stage is in its bake, in seconds; one extension is as long again."""

    elapsed_s: float
    bake_s: float
    look_s: float
    extended: bool = False

    @property
    def ends_s(self) -> float:
        return self.bake_s * (2 if self.extended else 1)


def look_pause(look_seconds: float, bake_s: float) -> float:
    """Time between two looks: no bake or extension has more than `MAX_LOOKS` of them.

    Examples
    --------
    >>> look_pause(60, 14400), look_pause(1, 14400)
    (72.0, 72.0)
    """
    return max(float(look_seconds), bake_s / MAX_LOOKS)


def decide_look(
    verdict: Verdict,
    clock: StageClock,
    *,
    kind: StageKind,
    version: int,
    wish: Wish | None = None,
    policy: InconclusivePolicy = "abort",
) -> BakeStep:
    """The action that a look leads to.

    A `fail` acts at once, whatever anybody wishes. A pause holds the share. A wish to promote goes on at once, and is for
    the stage in which it was made, told by `version` and by nobody's clock: an older one has had its effect. Nobody meets a shadow, so it ends when its time is
    over. The watch comes after the promotion on evidence: inconclusive at the end of its extension, it ends too, unless
    both arms are bad.
    """
    # The policy is about a release that has yet to show itself; in the watch, no harm shown is enough.
    by_clock = decide_bake(
        verdict,
        elapsed_s=clock.elapsed_s,
        bake_s=clock.bake_s,
        look_s=clock.look_s,
        extended=clock.extended,
        on_inconclusive="promote" if kind == "watch" else policy,
    )
    if verdict.verdict == "fail":
        return by_clock
    if wish is not None and wish.ask == "pause":
        return BakeStep("hold", clock.look_s, f"{wish.by} asked for a pause")
    if wish is not None and wish.ask == "promote" and wish.version == version:
        return BakeStep("next", 0, f"{wish.by} asked to go on")
    if kind == "shadow" and clock.elapsed_s >= clock.bake_s:
        return BakeStep("next", 0, "the time of the shadow is over")
    return by_clock


def whole_seconds(wait_s: float) -> int:
    """A Wait state takes whole seconds; never 0, or a child would do its looks without pause."""
    return max(1, ceil(wait_s))
