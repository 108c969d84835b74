"""Coverage: does the candidate show far fewer different items than the champion does in as many requests?"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

from understudy.domain.coverage import GROUPS, REGISTERS, Coverage, compare
from understudy.domain.judge.clicks import boundary, needed_information
from understudy.domain.judge.finding import Finding
from understudy.domain.judge.policy import JudgePolicy, stage_weight
from understudy.domain.judge.shapes import ArmOutcomes, StageWindow
from understudy.errors import BadEvidence

SKETCH_VARIANCE = 1.04**2 / REGISTERS  # relative, of one HyperLogLog count


def coverage(windows: Sequence[StageWindow], policy: JudgePolicy) -> Finding:
    """Of the window that is judged, at its stage's part of the budget; "not measured" without sketches.

    The log of the ratio has the variance of two sketches and, for the draw of users, at most that of as many independent
    single items as the smaller arm has users. Its upper bound is the same confidence sequence as that of clicks.
    """
    alpha = policy.alpha("coverage") * stage_weight(len(windows) - 1)
    found, users = _compare(windows[-1]), _fewest_users(windows[-1])
    if found is None or not users:
        return Finding("coverage", False, "coverage is not measured", {"alpha": alpha, "ratio": None})
    information = 1 / (2 * SKETCH_VARIANCE + 2 / users)
    tuned = needed_information(1 - policy.min_coverage_ratio, alpha=alpha)
    high = exp(log(found.ratio) + boundary(information, alpha=alpha, tuned_for=tuned))
    shown = high < 1 and found.ratio < policy.min_coverage_ratio and found.requests >= policy.min_requests
    numbers = {
        "alpha": alpha,
        "ratio": found.ratio,
        "high": high,
        "tolerated_ratio": policy.min_coverage_ratio,
        "requests": found.requests,
        "distinct_items": {"candidate": found.candidate, "champion": found.champion},
    }
    sentence = (
        f"the candidate shows {found.candidate:.0f} different items where the champion shows {found.champion:.0f}"
    )
    return Finding("coverage", shown, sentence, numbers)


def _compare(window: StageWindow) -> Coverage | None:
    ours, theirs = window.candidate.shown, window.champion.shown
    if ours is None or theirs is None:
        return None
    if {len(ours), len(theirs)} != {REGISTERS * GROUPS}:
        raise BadEvidence(f"sketches of {len(ours)} and {len(theirs)} bytes", f"{REGISTERS * GROUPS} bytes each")
    return compare(ours, theirs, _requests(window.candidate), _requests(window.champion))


def _requests(arm: ArmOutcomes) -> dict[int, float]:
    return {each.bucket: each.requests for each in arm.buckets}


def _fewest_users(window: StageWindow) -> int:
    return min(sum(1 for each in arm.buckets if each.requests) for arm in (window.candidate, window.champion))
