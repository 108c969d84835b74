"""How soon the judge catches a fault: nine champion requests a candidate request, a look every ten candidate requests."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import log

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge_world import EDGES
from understudy.domain.judge import JudgePolicy
from understudy.domain.judge.clusters import Rate, rates_of, ratio_of, tallies
from understudy.domain.judge.evalues import SLOWER, WORSE, EValue, rate_e_process
from understudy.domain.judge.latency import p95_ms, tail_edge

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Flags = NDArray[np.bool_]
MOST, CONTROLS, EVERY = 600, 9, 10
AT = (300, 450, 600)


@dataclass(frozen=True)
class Caught:
    """First candidate request at which each way of judging showed the fault, by run; infinite where none did."""

    bare: Floats  # the e-process alone, at a quarter of the budget
    judge: Floats  # in the judge: the first stage's half of it, and the size beyond what is tolerated
    peer: Floats

    def by(self, requests: int) -> dict[str, int]:
        return {name: int((getattr(self, name) <= requests).sum()) for name in ("bare", "judge", "peer")}


def errors(seed: int, runs: int, *, candidate: float, champion: float, policy: JudgePolicy) -> Caught:
    rng, alpha = np.random.default_rng(seed), policy.alpha("errors")
    found = np.full((3, runs), np.inf)
    for run in range(runs):
        users = rng.integers(0, 1000, MOST), rng.integers(0, 9000, MOST * CONTROLS)
        failed = rng.random(MOST) < candidate, rng.random(MOST * CONTROLS) < champion

        def rates(n: int, who: tuple[Ints, Ints] = users, bad: tuple[Flags, Flags] = failed) -> tuple[Rate, Rate]:
            return _rate(who[0][:n], bad[0][:n]), _rate(who[1][: n * CONTROLS], bad[1][: n * CONTROLS])

        def beyond(n: int, of: Callable[[int], tuple[Rate, Rate]] = rates) -> bool:
            ratio = ratio_of([of(n)])
            ours, theirs = rates_of([of(n)])
            return ours - theirs >= policy.min_error_excess and (ratio is None or ratio >= policy.max_error_ratio)

        found[0, run], found[1, run] = _first(rates, WORSE, alpha, beyond)
        found[2, run] = plug_in(failed[0], failed[1].reshape(MOST, CONTROLS).sum(axis=1), alpha)
    return Caught(*found)


def latency(seed: int, runs: int, *, times: float, sigma: float, policy: JudgePolicy) -> Caught:
    """Candidate's latencies are `times` as long; `sigma` of the log says how heavy the tail is. No peer."""
    rng, alpha = np.random.default_rng(seed), policy.alpha("latency")
    found = np.full((3, runs), np.inf)
    for run in range(runs):
        users = rng.integers(0, 1000, MOST), rng.integers(0, 9000, MOST * CONTROLS)
        took = (
            np.searchsorted(EDGES, 40 * times * rng.lognormal(0, sigma, MOST)),
            np.searchsorted(EDGES, 40 * rng.lognormal(0, sigma, MOST * CONTROLS)),
        )

        def bins(n: int, of: tuple[Ints, Ints] = took) -> tuple[list[int], list[int]]:
            one, two = (np.bincount(part, minlength=len(EDGES) + 1) for part in (of[0][:n], of[1][: n * CONTROLS]))
            return one.tolist(), two.tolist()

        def rates(n: int, who: tuple[Ints, Ints] = users, of: tuple[Ints, Ints] = took) -> tuple[Rate, Rate]:
            one, two = bins(n, of)
            edge = tail_edge([a + b for a, b in zip(one, two, strict=True)]) or 0
            return _rate(who[0][:n], of[0][:n] > edge), _rate(who[1][: n * CONTROLS], of[1][: n * CONTROLS] > edge)

        def beyond(n: int, of: tuple[Ints, Ints] = took) -> bool:
            ours, theirs = (p95_ms(counts) for counts in bins(n, of))
            return ours is not None and theirs is not None and ours / theirs >= policy.max_latency_ratio

        found[0, run], found[1, run] = _first(rates, SLOWER, alpha, beyond)
    return Caught(*found)


def _first(
    rates: Callable[[int], tuple[Rate, Rate]],
    prior: tuple[tuple[float, float], ...],
    alpha: float,
    beyond: Callable[[int], bool],
) -> tuple[float, float]:
    """Candidate requests at which the bare e-process and the judge first show the fault."""
    bare = np.inf
    for n in range(EVERY, MOST + 1, EVERY):
        counts = tallies([rates(n)])
        found = rate_e_process(counts, prior)
        bare = min(bare, n) if unstaked(found).shown(alpha) else bare
        if found.shown(alpha) and beyond(n):
            return min(bare, n), n
    return bare, np.inf


def unstaked(found: EValue) -> EValue:
    """The e-value of the only window by itself: E from E / 2 + 1 / 2."""
    doubled = 2 * np.exp(found.log_e) - 1
    return EValue(log(doubled) if doubled > 0 else -np.inf, found.since)


def _rate(user: Ints, event: Flags) -> Rate:
    exposure, events = np.bincount(user), np.bincount(user, weights=event)
    units, total = int((exposure > 0).sum()), int(event.sum())
    value = total / len(user)
    spread = float(((events - value * exposure) ** 2).sum())
    return Rate(total, len(user), units, spread * units / (units - 1) if units > 1 else spread)


def plug_in(candidate: Flags, champion: Ints, alpha: float) -> float:
    """The peer: blocks of 1 and 9, the alternative's rates estimated from the blocks before (Turner, Ly, Grünwald 2024, section 2).

    It bets only while the candidate looks worse; estimates begin at the rates' usual level, (events + 0.18) / (requests + 18).
    """
    n, failed = np.arange(len(candidate)), candidate.astype(np.int64)
    p = (np.cumsum(failed) - failed + 0.18) / (n + 18)
    q = (np.cumsum(champion) - champion + 0.18) / (n * CONTROLS + 18)
    both = (p + CONTROLS * q) / (1 + CONTROLS)
    gain = failed * np.log(p / both) + (1 - failed) * np.log((1 - p) / (1 - both))
    gain = gain + champion * np.log(q / both) + (CONTROLS - champion) * np.log((1 - q) / (1 - both))
    crossed = np.flatnonzero(np.cumsum(np.where(p > q, gain, 0.0)) >= -log(alpha))
    return float(crossed[0] + 1) if len(crossed) else float("inf")
