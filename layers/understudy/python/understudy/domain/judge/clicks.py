"""Clicks per impression: how the candidate's compares with the champion's, as an interval that holds at every look.

The estimate is the log of the ratio of the arms' clicks per impression, window by window, weighted by information. Its
variance is taken over buckets with everything a bucket did in the rollout added up first, whatever arm it was in, so neither
correlated impressions of one user nor users who meet both arms make it too small.

Between looks the same users come again, so the estimate is *more* alike from look to look than the Brownian motion for which the
boundary is made: with arms that are nested from stage to stage the covariance of the score at two looks is at least the variance
at the earlier, and by Slepian's inequality (1962) it crosses the boundary less often. docs/decisions/judge.md has the sum.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log, sqrt

from understudy.domain.judge.clusters import Rate, rate
from understudy.domain.judge.shapes import ArmOutcomes, StageWindow


@dataclass(frozen=True, slots=True)
class Interval:
    """Relative difference of clicks per impression, (candidate - champion) / champion; each bound holds at its own level."""

    estimate: float
    low: float
    high: float
    information: float  # 1 / variance of the log ratio

    def to_json(self) -> dict[str, float]:
        return {"estimate": self.estimate, "low": self.low, "high": self.high, "information": self.information}


def click_rates(window: StageWindow) -> tuple[Rate, Rate]:
    return _rate(window.candidate), _rate(window.champion)


def _rate(arm: ArmOutcomes) -> Rate:
    return rate((each.clicks, each.impressions) for each in arm.buckets)


def boundary(information: float, *, alpha: float, tuned_for: float) -> float:
    """Half-width of a one-sided confidence sequence for a mean with the given information, on the estimate's scale.

    Normal mixture boundary, one-sided (Howard, Ramdas, McAuliffe, Sekhon 2021, "Time-uniform, nonparametric, nonasymptotic
    confidence sequences", Ann. Statist. 49, eq. 14); with estimated variance it is the asymptotic confidence sequence of
    Waudby-Smith, Arbour, Sinha, Kennedy, Ramdas (2024, "Time-uniform central limit theory and asymptotic confidence
    sequences", Ann. Statist. 52, section 2). It is narrowest where the information is near `tuned_for`, which must not depend
    on the data.
    """
    spread = tuned_for / mixture_width(alpha)
    both = information + spread
    return sqrt(2 * both * _crossing(sqrt(both / spread), alpha)) / information


def _crossing(root: float, alpha: float) -> float:
    return log(1 + root / (2 * alpha))


def mixture_width(alpha: float) -> float:
    """Information over the mixture's precision at which the boundary is narrowest for its place: w = log(1 + w) - 2 log(2 alpha).

    Zero of the derivative of (1 + 1 / w) log(sqrt(1 + w) / (2 alpha)), as in Howard et al. 2021, section 3.5.
    """
    width = 1.0
    for _ in range(60):
        width = log(1 + width) - 2 * log(2 * alpha)
    return width


def needed_information(delta: float, *, alpha: float) -> float:
    """Information at which the half-width equals the margin `-log(1 - delta)`, with the boundary tuned for it.

    With spread = I / w the half-width is sqrt(2 (1 + 1 / w) log(1 + sqrt(1 + w) / (2 alpha)) / I): solved for I.
    """
    width = mixture_width(alpha)
    return 2 * (1 + 1 / width) * _crossing(sqrt(1 + width), alpha) / log(1 - delta) ** 2


def compare(windows: Sequence[StageWindow], *, alpha: float, delta: float) -> Interval | None:
    """Interval over all windows; None while an arm has no click in every window.

    A window in which an arm has no click has no log ratio and is left out; what it says of harm is the e-process's affair.
    """
    scores: dict[int, float] = defaultdict(float)
    weights = above = 0.0
    inflate = 1.0
    for window in windows:
        candidate, champion = click_rates(window)
        if not (candidate.events and champion.events and candidate.exposure and champion.exposure):
            continue
        weight = candidate.exposure * champion.exposure / (candidate.exposure + champion.exposure)
        weights, above = weights + weight, above + weight * log(candidate.value / champion.value)
        inflate = max(inflate, *(each.units / max(each.units - 1, 1) for each in (candidate, champion)))
        for arm, sign, of in ((window.candidate, 1, candidate), (window.champion, -1, champion)):
            for each in arm.buckets:
                scores[each.bucket] += sign * weight * (each.clicks - of.value * each.impressions) / of.events
    variance = inflate * sum(score * score for score in scores.values())
    if not weights or not variance:
        return None
    estimate, information = above / weights, weights * weights / variance
    half = boundary(information, alpha=alpha, tuned_for=needed_information(delta, alpha=alpha))
    return Interval(exp(estimate) - 1, exp(estimate - half) - 1, exp(min(estimate + half, 700)) - 1, information)
