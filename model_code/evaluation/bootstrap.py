"""How far a difference may be chance: users are resampled, not rows, because one user's rows are not independent.

Poisson bootstrap: each user counts Poisson(1) times. Chamandy, Muralidharan, Najmi & Naidu (2012), "Estimating
uncertainty for massive data streams" (Google); percentile intervals as Efron & Tibshirani (1993), chapter 13.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np

LEVEL = 0.95
ROUNDS = 200


@dataclass(frozen=True, slots=True)
class Interval:
    """An estimate with the `level` interval around it."""

    value: float
    low: float
    high: float
    level: float = LEVEL

    def to_document(self) -> dict[str, float]:
        return asdict(self)


def interval(
    statistic: Callable[[np.ndarray], float], users: np.ndarray, *, rounds: int = ROUNDS, seed: int = 0
) -> Interval:
    """Percentile interval of a statistic of weighted rows.

    Parameters
    ----------
    statistic : callable
        Weights of shape (N,) -> the figure. For a paired difference: candidate minus champion under the same weights.
    users : int array of shape (N,)
        Which user, 0 … U − 1, each row belongs to: rows of one user get one weight.
    rounds : int
        Resamples; 200 put about 2 % error on a 95 % bound's tail share.
    seed : int
        Same seed and users, same resamples: intervals of several figures are about the same draws.

    Returns
    -------
    Interval
        Resamples in which the figure is not defined (one class only) are left out; with fewer than half defined, the
        bounds are NaN.
    """
    draw = np.random.default_rng(seed)
    count = int(users.max()) + 1
    value = statistic(np.ones(len(users)))
    drawn = np.array([statistic(draw.poisson(1.0, count)[users].astype(np.float64)) for _ in range(rounds)])
    defined = drawn[np.isfinite(drawn)]
    if len(defined) * 2 < rounds:
        return Interval(value, float("nan"), float("nan"))
    low, high = np.quantile(defined, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(value, float(low), float(high))


def mean_statistic(values: np.ndarray) -> Callable[[np.ndarray], float]:
    """Weighted mean of per-user values."""
    return lambda weights: float(values @ weights / weights.sum()) if weights.any() else float("nan")
