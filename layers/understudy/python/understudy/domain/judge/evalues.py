"""E-processes of counts: evidence against "the candidate is no worse" that may be looked at after every event.

An e-process starts at 1 and is expected to stay there while the null holds, so by Ville's inequality it ever exceeds 1/alpha with
probability alpha at most, whenever and however often one looks (Ramdas, Grünwald, Vovk, Shafer 2023, "Game-theoretic statistics and
safe anytime-valid inference", Statist. Sci. 38, section 2). All of ours are mixtures of likelihood ratios with a fixed prior, so they
are functions of the counts so far: no history has to be kept and the order within an hour does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, lgamma, log

from understudy.domain.judge.policy import stage_weight


@dataclass(frozen=True, slots=True)
class Tally:
    """Events of both arms in one window. `share` in (0, 1) is the candidate's part of the exposure (requests, impressions).

    Events are divided by `effect`, the design effect, hence floats.
    """

    candidate: float
    champion: float
    share: float
    effect: float = 1.0


# Rate ratios that the bets are on, with their prior. Errors: most on 2 to 6 times as many, some on small faults and on collapse.
# Slow requests: p95 + 50 % makes 2 to 4 times as many, and more than 20 times cannot be. Clicks: from a loss near delta to collapse.
WORSE = ((1.5, 0.05), (2.2, 0.15), (3.2, 0.30), (5.0, 0.35), (10.0, 0.12), (30.0, 0.03))
SLOWER = ((1.3, 0.10), (1.7, 0.20), (2.3, 0.30), (3.2, 0.25), (5.0, 0.10), (12.0, 0.05))
FEWER = ((0.95, 0.1), (0.9, 0.2), (0.8, 0.25), (0.65, 0.2), (0.45, 0.15), (0.2, 0.1))
Prior = Sequence[tuple[float, float]]


def bet(tally: Tally, ratio: float) -> float:
    """Log likelihood ratio of "the candidate's rate is `ratio` times the champion's" to "they are equal".

    Given that an event happened, it is the candidate's with probability `share` if the rates are equal, and with
    s = share ratio / (share ratio + 1 - share) under the bet. Under any null "ratio no more than 1" (no less, for bets below
    1) its exponential is a supermartingale. This is the E-variable of Turner, Ly, Grünwald (2024, "Generic E-variables for exact
    sequential k-sample tests that allow for optional stopping", JSPI 230, section 3) conditioned on the number of events,
    which takes the unknown common rate out of it.
    """
    if not 0 < tally.share < 1:
        return 0.0
    odds = tally.share * ratio
    moved = odds / (odds + 1 - tally.share)
    return tally.candidate * log(moved / tally.share) + tally.champion * log((1 - moved) / (1 - tally.share))


@dataclass(frozen=True, slots=True)
class EValue:
    """Log of the e-process, and the window from which on the evidence is strongest."""

    log_e: float
    since: int

    def shown(self, alpha: float) -> bool:
        return self.log_e >= -log(alpha)


def rate_e_process(tallies: Sequence[Tally], prior: Prior) -> EValue:
    """Mixture over the ratio (`prior`, weights summing to 1) and over the window in which the harm begins.

    The part that starts at window s bets with one ratio on windows s, s+1, ...; before s it holds its stake, `stage_weight`(s).
    """
    sums = [0.0] * len(prior)
    logs: list[float] = []
    for tally in reversed(tallies):
        sums = [known + bet(tally, ratio) for known, (ratio, _) in zip(sums, prior, strict=True)]
        logs.append(log_sum([log(weight) + each for each, (_, weight) in zip(sums, prior, strict=True)]))
    return start_mixture(logs[::-1])


def start_mixture(logs: Sequence[float]) -> EValue:
    """E-process of harm that may begin in any window, of those `logs[s]` that begin at window s.

    Stakes that wait for windows to come are part of it: what is not yet at risk is worth itself.
    """
    staked = [log(stage_weight(index)) + each for index, each in enumerate(logs)]
    since = max(range(len(staked)), key=staked.__getitem__)
    waiting = 1 - sum(stage_weight(index) for index in range(len(logs)))
    return EValue(log_sum([*staked, log(waiting)]), since)


def share_e_value(candidate: float, champion: float, share: float, strength: float = 500.0) -> float:
    """Log e-value against "each unit is the candidate's with probability `share`": Beta mixture centred on it.

    Lindon and Malek (2022, "Anytime-valid inference for multinomial count data", NeurIPS, section 2; two cells). `strength` is the
    prior's number of observations: the larger, the smaller the deviations bet on.
    """
    a, b = strength * share, strength * (1 - share)
    mixture = _log_beta(a + candidate, b + champion) - _log_beta(a, b)
    return mixture - candidate * log(share) - champion * log(1 - share)


def _log_beta(a: float, b: float) -> float:
    return lgamma(a) + lgamma(b) - lgamma(a + b)


def log_sum(logs: Sequence[float]) -> float:
    """log(sum(exp(logs))) without overflow.

    Examples
    --------
    >>> round(log_sum([1000.0, 1000.0]) - 1000, 4)
    0.6931
    """
    top = max(logs)
    return top + log(sum(exp(each - top) for each in logs))
