"""What follows from a verdict, by the clock of a stage: look again, go on, extend once, hold, or take the candidate down."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from understudy.domain.judge.shapes import Verdict

InconclusivePolicy = Literal["abort", "hold", "promote"]
Action = Literal["look_again", "next", "roll_back", "extend", "hold"]


@dataclass(frozen=True, slots=True)
class BakeStep:
    """`wait_s` until the next look; 0 where nothing is waited for."""

    action: Action
    wait_s: float
    reason: str


def decide_bake(
    verdict: Verdict,
    *,
    elapsed_s: float,
    bake_s: float,
    look_s: float,
    extended: bool,
    on_inconclusive: InconclusivePolicy = "abort",
) -> BakeStep:
    """A fail ends a stage at once; a pass at the end of its bake or at any look of its one extension, which is as long again.

    When both arms fail alike the candidate is not to blame: the share is held, whatever `on_inconclusive` says.
    """
    said = "; ".join(verdict.reasons)
    if verdict.verdict == "fail":
        return BakeStep("roll_back", 0, said)
    if elapsed_s < bake_s:
        return BakeStep("look_again", min(look_s, bake_s - elapsed_s), said)
    if verdict.verdict == "pass":
        return BakeStep("next", 0, said)
    if verdict.evidence.get("no_blame"):
        return BakeStep("hold", look_s, said)
    if not extended:
        return BakeStep("extend", look_s, f"extended once: {said}")
    if elapsed_s < 2 * bake_s:
        return BakeStep("look_again", min(look_s, 2 * bake_s - elapsed_s), said)
    if on_inconclusive == "promote":
        return BakeStep("next", 0, f"inconclusive after the extension and InconclusivePolicy is promote: {said}")
    if on_inconclusive == "hold":
        return BakeStep("hold", look_s, f"inconclusive after the extension and InconclusivePolicy is hold: {said}")
    return BakeStep("roll_back", 0, f"inconclusive after the extension and InconclusivePolicy is abort: {said}")
