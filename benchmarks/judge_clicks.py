"""Many rollouts' clicks at once: what the judge's interval and e-process say of them, in arrays instead of bucket by bucket.

Boundary, design effect and bets are the judge's own; only the sums over buckets are taken here. A unit test holds `looked_at` to
`judge.clicks.compare`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge_world import LIST, Users
from understudy.domain.judge import JudgePolicy
from understudy.domain.judge.clicks import boundary, needed_information
from understudy.domain.judge.clusters import Rate, ratio_of, tallies
from understudy.domain.judge.evalues import FEWER, rate_e_process

Ints = NDArray[np.int64]


@dataclass
class Clicks:
    """One window of shape (U,): who met the candidate, impressions, clicks."""

    treated: NDArray[np.bool_]
    impressions: Ints
    clicks: Ints

    def rates(self) -> tuple[Rate, Rate]:
        return _rate(self.clicks[self.treated], self.impressions[self.treated]), _rate(
            self.clicks[~self.treated], self.impressions[~self.treated]
        )


def _rate(events: Ints, exposure: Ints) -> Rate:
    units, shown = int((exposure > 0).sum()), int(exposure.sum())
    value = events.sum() / shown if shown else 0.0
    spread = float(((events - value * exposure) ** 2).sum())
    return Rate(int(events.sum()), shown, units, spread * units / (units - 1) if units > 1 else spread)


@dataclass(frozen=True)
class Looked:
    low: float
    high: float
    information: float
    harmed: bool  # as `judge.metrics.clicks` would say


def looked_at(windows: Sequence[Clicks], policy: JudgePolicy) -> Looked | None:
    """Interval and harm over the windows; None while an arm has no click."""
    scores = np.zeros(len(windows[0].clicks))
    weights = above = 0.0
    inflate, rates = 1.0, [window.rates() for window in windows]
    for window, (ours, theirs) in zip(windows, rates, strict=True):
        if not (ours.events and theirs.events):
            continue
        weight = ours.exposure * theirs.exposure / (ours.exposure + theirs.exposure)
        weights, above = weights + weight, above + weight * log(ours.value / theirs.value)
        inflate = max(inflate, *(each.units / max(each.units - 1, 1) for each in (ours, theirs)))
        value = np.where(window.treated, ours.value, theirs.value)
        scale = np.where(window.treated, weight / ours.events, -weight / theirs.events)
        scores += scale * (window.clicks - value * window.impressions)
    if not weights:
        return None
    estimate, information = above / weights, weights * weights / (inflate * float((scores**2).sum()))
    tuned = needed_information(policy.delta, alpha=policy.alpha_promotion)
    half = boundary(information, alpha=policy.alpha_promotion, tuned_for=tuned)
    found = rate_e_process(tallies(rates), FEWER)
    ratio = ratio_of(rates[found.since :])
    harmed = found.shown(policy.alpha("clicks")) and ratio is not None and ratio <= 1 - policy.delta
    return Looked(exp(estimate - half) - 1, exp(min(estimate + half, 700)) - 1, information, harmed)


def watched(
    seed: int, users: int, change: float, policy: JudgePolicy, *, hours: int = 6, steps: int = 2, ctr: float = 0.08
) -> str:
    """Verdict on clicks at the end of stages of 10 % and 50 %, each looked at `steps` times; `change` is relative."""
    rng = np.random.default_rng(seed)
    people = Users.draw(rng, users, ctr=ctr)
    past: list[Clicks] = []
    bucket = rng.permutation(10_000)[:users]
    for share_bp in (1000, 5000):
        zero = np.zeros(users, dtype=np.int64)
        window = Clicks(bucket < share_bp, zero, zero)
        for _ in range(steps):
            shown = rng.poisson(people.activity * hours / steps) * LIST
            visit = rng.beta(people.taste * 40, (1 - people.taste) * 40)
            chance = np.clip(visit * np.where(window.treated, 1 + change, 1.0), 0, 1)
            window = Clicks(window.treated, window.impressions + shown, window.clicks + rng.binomial(shown, chance))
            found = looked_at([*past, window], policy)
            if found is not None and found.harmed:
                return "fail"
        past.append(window)
    enough = min(sum(each.rates()[arm].events for each in past) for arm in (0, 1)) >= policy.min_clicks
    return "pass" if found is not None and enough and found.low > -policy.delta else "inconclusive"
