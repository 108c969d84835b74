"""What each guardrail finds: its e-value, the size of the fault, and whether both say that it is shown."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import exp
from typing import Any

from understudy.domain.judge.clicks import click_rates, compare
from understudy.domain.judge.clusters import Rate, rate, rates_of, ratio_of, tallies
from understudy.domain.judge.evalues import FEWER, SLOWER, WORSE, EValue, Prior, rate_e_process
from understudy.domain.judge.finding import Finding
from understudy.domain.judge.latency import p95_ms, p95_ratio, slow_rates
from understudy.domain.judge.policy import JudgePolicy
from understudy.domain.judge.sample_ratio import deviation, mismatch
from understudy.domain.judge.shapes import ArmOutcomes, StageWindow

LARGEST_LOG = 700.0
Windows = Sequence[StageWindow]


def errors(windows: Windows, policy: JudgePolicy) -> Finding:
    """More requests that the assigned release failed, a step left out or late being a failure of the whole.

    Degraded answers are no guardrail of their own: what a release leaves out is an error of it already, and what users
    see beyond that comes of features, which belong to no release, or of the champion that stepped in.
    """

    def of(arm: ArmOutcomes) -> Rate:
        return rate((each.errors, each.requests) for each in arm.buckets)

    rates, found = _bets(windows, lambda window: (of(window.candidate), of(window.champion)), WORSE)
    since = rates[found.since :]
    ratio, (ours, theirs) = ratio_of(since), rates_of(since)
    excess = ours - theirs
    beyond = excess >= policy.min_error_excess and (ratio is None or ratio >= policy.max_error_ratio)
    numbers = _numbers(found, policy.alpha("errors"), rates) | {
        "ratio": ratio,
        "excess": excess,
        "tolerated_ratio": policy.max_error_ratio,
        "tolerated_excess": policy.min_error_excess,
    }
    sentence = f"error rate {ours:.2%} on the candidate, {theirs:.2%} on the champion"
    return Finding("errors", found.shown(policy.alpha("errors")) and beyond, sentence, numbers)


def latency(windows: Windows, policy: JudgePolicy) -> Finding:
    """More candidate requests beyond the common p95 than the champion's, and its p95 higher than tolerated."""
    rates, found = _bets(windows, slow_rates, SLOWER)
    ratio = p95_ratio(windows[found.since :])
    beyond = ratio is not None and ratio >= policy.max_latency_ratio
    ours, theirs = (p95_ms(arm.histogram) for arm in (windows[-1].candidate, windows[-1].champion))
    numbers = _numbers(found, policy.alpha("latency"), rates) | {
        "p95_ms": {"candidate": ours, "champion": theirs},
        "ratio": ratio,
        "tolerated_ratio": policy.max_latency_ratio,
    }
    sentence = f"p95 latency {_ms(ours)} on the candidate, {_ms(theirs)} on the champion"
    return Finding("latency", found.shown(policy.alpha("latency")) and beyond, sentence, numbers)


def clicks(windows: Windows, policy: JudgePolicy) -> Finding:
    """Fewer clicks per impression than the champion's, and by more than delta.

    `numbers` also holds the interval by which a promotion is decided: each bound at `alpha_promotion`.
    """
    rates, found = _bets(windows, click_rates, FEWER)
    ratio = ratio_of(rates[found.since :])
    interval = compare(windows, alpha=policy.alpha_promotion, delta=policy.delta)
    beyond = ratio is not None and ratio <= 1 - policy.delta
    numbers = _numbers(found, policy.alpha("clicks"), rates) | {
        "ratio": ratio,
        "delta": policy.delta,
        "relative_difference": None if interval is None else interval.to_json(),
        "level": 1 - policy.alpha_promotion,
    }
    change = "not known" if ratio is None else f"{ratio - 1:+.1%}"
    sentence = f"clicks per impression of the candidate against the champion's: {change}"
    return Finding("clicks", found.shown(policy.alpha("clicks")) and beyond, sentence, numbers)


def sample_ratio(windows: Windows, policy: JudgePolicy) -> Finding:
    found, alpha = mismatch(windows), policy.alpha("sample_ratio")
    size = deviation(windows[found.since :])
    shown = found.shown(alpha) and abs(size) >= policy.max_share_deviation
    numbers = {"e_value": _e(found), "alpha": alpha, "since_window": found.since, "deviation": size}
    numbers["tolerated_deviation"] = policy.max_share_deviation
    sentence = f"the candidate got {size:+.1%} requests against its share: records are lost or users stay away"
    return Finding("sample_ratio", shown, sentence, numbers)


def _bets(
    windows: Windows, rates_of: Callable[[StageWindow], tuple[Rate, Rate]], prior: Prior
) -> tuple[list[tuple[Rate, Rate]], EValue]:
    rates = [rates_of(window) for window in windows]
    return rates, rate_e_process(tallies(rates), prior)


def _numbers(found: EValue, alpha: float, rates: Sequence[tuple[Rate, Rate]]) -> dict[str, Any]:
    arms = [{"candidate": _arm(ours), "champion": _arm(theirs)} for ours, theirs in rates]
    effects = [each.effect for each in tallies(rates)]
    return {
        "e_value": _e(found),
        "alpha": alpha,
        "since_window": found.since,
        "design_effects": effects,
        "windows": arms,
    }


def _arm(each: Rate) -> dict[str, float]:
    return {"events": each.events, "exposure": each.exposure, "buckets": each.units, "rate": each.value}


def _e(found: EValue) -> float:
    """JSON has no infinity: e-values end at 1e304."""
    return exp(min(found.log_e, LARGEST_LOG))


def _ms(value: float | None) -> str:
    return "not known" if value is None else f"{value:.0f} ms"
