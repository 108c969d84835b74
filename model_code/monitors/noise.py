"""How far chance alone may carry a figure: one budget of false alarms for a whole run, and samples counted by user.

One user's rows are not independent (a frozen release shows the same user much the same list), so a sample of rows is worth as
many observations as Kish's effective size of its clusters says: (sum n_u)^2 / sum n_u^2 (Kish 1965, "Survey Sampling",
section 11.7).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache
from statistics import NormalDist

import numpy as np

# Chance that a run over unchanged data raises anything, before effect sizes are asked for: split evenly over its checks.
# The thresholds on top make it far rarer (benchmarks/drift_detection.py).
BUDGET = 1e-3
ROUNDS = 100  # resamples of a standard deviation: 7 % error of it
ENOUGH = 30.0  # effective observations below which a normal approximation says nothing


def deviations(checks: int) -> float:
    """Standard deviations by which a figure may lie beyond its threshold when one of `checks` shares the budget.

    Examples
    --------
    >>> round(deviations(1), 2), round(deviations(100), 2)
    (3.09, 4.26)
    """
    return NormalDist().inv_cdf(1 - BUDGET / max(checks, 1))


def ks_coefficient(checks: int) -> float:
    """c(alpha) of the two-sample Kolmogorov–Smirnov bound c sqrt((n + m) / (n m)), alpha the budget's share of one check.

    Examples
    --------
    >>> round(ks_coefficient(20), 2)
    2.3
    """
    return math.sqrt(-math.log(BUDGET / max(checks, 1) / 2) / 2)


def effective(clusters: np.ndarray) -> float:
    """Kish's effective number of observations of rows in clusters; 0 for none.

    Examples
    --------
    >>> effective(np.array([0, 0, 1, 1])), effective(np.array([0, 0, 0, 1]))
    (2.0, 1.6)
    """
    if not len(clusters):
        return 0.0
    counts = np.unique(clusters, return_counts=True)[1].astype(np.float64)
    return float(counts.sum() ** 2 / (counts**2).sum())


@lru_cache(maxsize=2)
def poisson_weights(users: int, seed: int = 0, rounds: int = ROUNDS) -> np.ndarray:
    """Resamples of users, (R, U): each user counts Poisson(1) times (`evaluation.bootstrap`)."""
    return np.random.default_rng(seed).poisson(1.0, (rounds, users)).astype(np.float64)


def deviation(statistic: Callable[[np.ndarray], float], user: np.ndarray, *, seed: int = 0) -> float:
    """Standard deviation of a statistic of weighted rows under resampled users; NaN where it is mostly undefined.

    Parameters
    ----------
    statistic : callable
        Weights of shape (N,) -> the figure.
    user : int array of shape (N,)
        0 … U − 1.
    """
    draws = poisson_weights(int(user.max()) + 1, seed) if len(user) else np.empty((0, 0))
    return spread(np.array([statistic(draw[user]) for draw in draws]))


def spread(drawn: np.ndarray) -> float:
    """Standard deviation of resampled figures; NaN when fewer than half are defined."""
    defined = drawn[np.isfinite(drawn)]
    return float(defined.std(ddof=1)) if len(defined) > 2 and len(defined) * 2 >= len(drawn) else math.nan
