"""How far two distributions over the same bins lie apart, and how far beyond what their sizes explain."""

from __future__ import annotations

import math

import numpy as np

from monitors.formats import CHI_SQUARED, ROBUST


def linf(first_B: np.ndarray, second_B: np.ndarray, *, ordered: bool) -> float:
    """L-infinity distance: of the cumulative shares (Kolmogorov–Smirnov) of a number, of the shares of a category.

    Examples
    --------
    >>> linf(np.array([0.5, 0.5, 0.0]), np.array([0.0, 0.5, 0.5]), ordered=True)
    0.5
    """
    apart = first_B - second_B
    return float(np.abs(np.cumsum(apart) if ordered else apart).max(initial=0.0))


def robust(distance: float, observations: float, reference: float, coefficient: float) -> float:
    """What is left of a distance beyond sampling noise: max(0, d - c sqrt((n + m) / (n m))).

    Deequ's `Distance.numericalDistance` (what Model Monitor runs on) has c = 1.8, one check in 330 by chance; `coefficient`
    is chosen for the number of checks (`noise.ks_coefficient`), and n and m are effective observations, not rows.

    Examples
    --------
    >>> round(robust(0.3, 200, 200, 1.8), 3), robust(0.05, 200, 200, 1.8)
    (0.12, 0.0)
    """
    if observations <= 0 or reference <= 0:
        return 0.0
    return max(0.0, distance - coefficient * math.sqrt((observations + reference) / (observations * reference)))


def drift(
    now_B: np.ndarray,
    then_B: np.ndarray,
    *,
    observations: float,
    reference: float,
    method: str,
    ordered: bool,
    coefficient: float,
) -> float:
    """The distance that a constraint's threshold is compared with.

    Parameters
    ----------
    now_B, then_B : shares, each of sum 1
    observations, reference : float
        Effective observations of now and of the baseline.
    method : ``Simple`` | ``Robust`` of a number, ``LInfinity`` | ``ChiSquared`` of a category
        Simple is the bare distance. LInfinity is robust here, as categories have no method of their own for it.
    coefficient : float
        c of `robust`.
    """
    if method == CHI_SQUARED:
        return chi_squared_effect(now_B, then_B, observations, reference, coefficient)
    distance = linf(now_B, then_B, ordered=ordered)
    if ordered and method != ROBUST:
        return distance
    return robust(distance, observations, reference, coefficient)


def chi_squared_effect(
    now_B: np.ndarray, then_B: np.ndarray, observations: float, reference: float, coefficient: float
) -> float:
    r"""Cohen's w of the two-sample chi-squared statistic, 0 where the statistic is within chance.

    .. math:: \chi^2 = \frac{n m}{n + m} \sum_b \frac{(p_b - q_b)^2}{(n p_b + m q_b) / (n + m)}, \quad w = \sqrt{\chi^2 / (n m / (n + m))}

    n and m are effective observations: Rao & Scott (1981), "The analysis of categorical data from complex sample surveys",
    JASA 76, first-order correction. Chance is the Wilson–Hilferty bound of as many degrees as there are bins less one, at the
    level that `coefficient` has as Kolmogorov–Smirnov's.
    """
    together = (observations * now_B + reference * then_B) / max(observations + reference, 1e-300)
    there = together > 0
    squared = float((((now_B - then_B)[there]) ** 2 / together[there]).sum())
    scale = observations * reference / max(observations + reference, 1e-300)
    degrees = max(int(there.sum()) - 1, 1)
    normal = 2 * coefficient  # P(|Z| > 2c) <= 2 exp(-2 c^2), the level of Kolmogorov–Smirnov's c
    bound = degrees * (1 - 2 / (9 * degrees) + normal * math.sqrt(2 / (9 * degrees))) ** 3
    return math.sqrt(squared) if scale * squared > bound else 0.0
