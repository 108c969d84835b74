"""What a calibrated ranker expects of itself on the rows at hand: its own AUC, log loss and NDCG if its probabilities were true.

A release shows what it scores high, so its live AUC is lower than on logged impressions with nothing wrong: fewer easy
negatives. Comparing what happened with what the probabilities themselves imply for the very same rows takes the choice of
rows out of the comparison; what is left is whether they still hold. Of AUC, a ratio of
sums over pairs, the expectations of numerator and denominator are taken; with hundreds of rows that is the mean.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from evaluation.metrics import SMALLEST

Statistic = Callable[[np.ndarray], float]
DRAWS = 24  # sampled sets of labels a list's expected NDCG is taken over; lists are many, so few are enough


def implied_auc_statistic(probabilities: np.ndarray) -> Statistic:
    """AUC under row weights if row i is positive with its own probability.

    Examples
    --------
    >>> round(implied_auc_statistic(np.array([0.0, 1.0, 0.0]))(np.ones(3)), 6)
    1.0
    >>> round(implied_auc_statistic(np.array([0.3, 0.3]))(np.ones(2)), 6)
    0.5
    """
    _, group = np.unique(probabilities, return_inverse=True)
    size = int(group.max()) + 1

    def under(weights: np.ndarray) -> float:
        positives = np.bincount(group, weights * probabilities, size)
        negatives = np.bincount(group, weights * (1 - probabilities), size)
        total = positives.sum() * negatives.sum()
        below = np.cumsum(negatives) - negatives / 2
        return float(positives @ below / total) if total else float("nan")

    return under


def implied_log_loss_statistic(probabilities: np.ndarray) -> Statistic:
    """Mean entropy of the probabilities: the log loss they expect.

    Examples
    --------
    >>> round(implied_log_loss_statistic(np.array([0.5, 0.5]))(np.ones(2)), 4)
    0.6931
    """
    clipped = np.clip(probabilities, SMALLEST, 1 - SMALLEST)
    entropy = -(clipped * np.log(clipped) + (1 - clipped) * np.log1p(-clipped))
    return lambda weights: float(entropy @ weights / weights.sum())


def implied_lists(
    probabilities: np.ndarray, shown: np.ndarray, measure: Callable[[np.ndarray], np.ndarray], *, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Expected figure of each list given that it has a click, and the chance that it has one.

    Parameters
    ----------
    probabilities : float array of shape (L, K)
        Of a click at each place; anything where no item stands.
    shown : bool array of shape (L, K)
    measure : callable
        Hits (D, K) of lists that all have one -> the figure of each, (D,).

    Returns
    -------
    (expected, chance) : arrays of shape (L,)
    """
    draw = np.random.default_rng(seed)
    total, clicked = np.zeros(len(probabilities)), np.zeros(len(probabilities))
    for _ in range(DRAWS):
        hits = (draw.random(probabilities.shape) < probabilities) & shown
        any_hit = hits.any(1)
        total[any_hit] += measure(hits[any_hit])
        clicked += any_hit
    chance = 1 - np.prod(np.where(shown, 1 - probabilities, 1.0), axis=1)
    known = clicked > 0
    mean = float(total.sum() / max(clicked.sum(), 1))
    return np.where(known, total / np.maximum(clicked, 1), mean), chance
