"""Users, not requests, are independent: how much less a bucket's events tell than as many independent ones."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from understudy.domain.judge.evalues import Tally

Pair = tuple[int, int]  # (events, exposure) of one bucket


@dataclass(frozen=True, slots=True)
class Rate:
    """Events per exposure of one arm in one window, with its spread over buckets."""

    events: int
    exposure: int
    units: int  # buckets with any exposure or event
    spread: float  # sum over buckets of (events - value exposure)², times units / (units - 1)

    @property
    def value(self) -> float:
        return self.events / self.exposure if self.exposure else 0.0


def rate(pairs: Iterable[Pair]) -> Rate:
    """Ratio estimator over clusters (Cochran 1977, "Sampling Techniques", section 6.2)."""
    held = [pair for pair in pairs if pair[0] or pair[1]]
    events, exposure, units = sum([e for e, _ in held]), sum([m for _, m in held]), len(held)
    value = events / exposure if exposure else 0.0
    spread = sum([(e - value * m) ** 2 for e, m in held])
    return Rate(events, exposure, units, spread * units / (units - 1) if units > 1 else spread)


def design_effect(candidate: Rate, champion: Rate) -> float:
    """Variance of the rates' difference over what independent (Poisson) events would have; at least 1.

    Dividing counts by it makes them worth as much as independent ones (Rao and Scott 1992, "A simple method for the analysis of
    clustered binary data", Biometrics 48, section 2). It is taken once with both arms' spread together, which is steady, and
    once with each arm's own, which sees an arm whose events crowd on fewer users; the larger counts.
    """
    events = candidate.events + champion.events
    if not events or not candidate.exposure or not champion.exposure:
        return 1.0
    pooled = (candidate.spread + champion.spread) / events
    own = candidate.spread / candidate.exposure**2 + champion.spread / champion.exposure**2
    independent = candidate.value / candidate.exposure + champion.value / champion.exposure
    return max(1.0, pooled, own / independent)


def tallies(rates: Sequence[tuple[Rate, Rate]]) -> list[Tally]:
    """Events of each window, divided by the design effect of that window; (candidate, champion) each."""
    return [_tally(candidate, champion) for candidate, champion in rates]


def _tally(candidate: Rate, champion: Rate) -> Tally:
    exposure = candidate.exposure + champion.exposure
    effect = design_effect(candidate, champion)
    share = candidate.exposure / exposure if exposure else 0.0
    return Tally(candidate.events / effect, champion.events / effect, share, effect)


def ratio_of(rates: Sequence[tuple[Rate, Rate]]) -> float | None:
    """Candidate's rate over the champion's, window by window (Mantel and Haenszel 1959); None if the champion has no event."""
    above = below = 0.0
    for candidate, champion in rates:
        exposure = candidate.exposure + champion.exposure
        if exposure:
            above += candidate.events * champion.exposure / exposure
            below += champion.events * candidate.exposure / exposure
    return above / below if below else None


def rates_of(rates: Sequence[tuple[Rate, Rate]]) -> tuple[float, float]:
    """Candidate's and champion's rate over windows, weighted as in `ratio_of`; both 0 without exposure in both arms.

    The same weights for both arms: a change of share between windows is no difference between them.
    """
    ours = theirs = weights = 0.0
    for candidate, champion in rates:
        if candidate.exposure and champion.exposure:
            weight = candidate.exposure * champion.exposure / (candidate.exposure + champion.exposure)
            ours, theirs = ours + weight * candidate.value, theirs + weight * champion.value
            weights += weight
    return (ours / weights, theirs / weights) if weights else (0.0, 0.0)
