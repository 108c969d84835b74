"""Do the arms get the users they were promised? If not, something loses or attracts requests and no comparison can be trusted."""

from __future__ import annotations

from collections.abc import Sequence

from understudy.contracts.traffic import ALL_BP
from understudy.domain.judge.evalues import EValue, log_sum, share_e_value, start_mixture
from understudy.domain.judge.shapes import ArmOutcomes, StageWindow

HALF = -0.6931471805599453  # log 1/2


def mismatch(windows: Sequence[StageWindow]) -> EValue:
    """E-process against the design's shares: mean of that of active buckets and that of requests, harm beginning anywhere.

    A bucket becomes active once, before its arm can have changed anything, so its count is exact however users behave; it
    tells nothing once all buckets are active, and requests, divided by their design effect, take over.
    """
    logs = [_window(window) for window in windows]
    from_here = [sum(logs[start:]) for start in range(len(logs))]
    return start_mixture(from_here)


def _window(window: StageWindow) -> float:
    active = [sum(1 for each in arm.buckets if each.requests) for arm in (window.candidate, window.champion)]
    requests = [arm.totals["requests"] for arm in (window.candidate, window.champion)]
    effect = crowding(window)
    of_units = share_e_value(active[0], active[1], window.share)
    of_requests = share_e_value(requests[0] / effect, requests[1] / effect, window.share)
    return log_sum([HALF + of_units, HALF + of_requests])


def crowding(window: StageWindow) -> float:
    """Variance of the candidate's requests over what independent requests would have; at least 1.

    Buckets are as good as drawn at random: the variance is that of requests per bucket within arms, idle buckets included.
    """
    candidate, champion = window.share_bp, ALL_BP - window.share_bp
    spread = _spread(window.candidate, candidate) + _spread(window.champion, champion)
    requests = window.candidate.totals["requests"] + window.champion.totals["requests"]
    return max(1.0, spread / requests) if requests else 1.0


def _spread(arm: ArmOutcomes, buckets: int) -> float:
    """Sum over all buckets, idle ones too, of (requests - mean)²."""
    total = arm.totals["requests"]
    return sum(each.requests**2 for each in arm.buckets) - total * total / buckets


def deviation(windows: Sequence[StageWindow]) -> float:
    """Relative deviation of the candidate's requests from its design; 0 without requests."""
    expected = sum(window.share * _requests(window) for window in windows)
    return sum(window.candidate.totals["requests"] for window in windows) / expected - 1 if expected else 0.0


def _requests(window: StageWindow) -> int:
    return window.candidate.totals["requests"] + window.champion.totals["requests"]
