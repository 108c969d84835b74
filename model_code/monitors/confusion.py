"""Binary classification figures from sums per user, so that resampling users is one matrix product.

Letters: U users, R resamples. A row counts as predicted positive when its probability reaches the baseline's decision threshold.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

CELLS = ("tp", "fp", "fn", "tn")


def cells_by_user(
    labels: np.ndarray, probabilities: np.ndarray, threshold: float, user: np.ndarray
) -> dict[str, np.ndarray]:
    """Counts of the confusion matrix, each of shape (U,)."""
    positive, called, users = labels > 0, probabilities >= threshold, int(user.max()) + 1
    masks = {"tp": positive & called, "fp": ~positive & called, "fn": positive & ~called, "tn": ~positive & ~called}
    return {name: np.bincount(user, mask, users) for name, mask in masks.items()}


def figures(sums: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Model Monitor's names from sums of the cells, scalars or arrays alike; NaN where nothing is to be divided by.

    Examples
    --------
    >>> found = figures({name: np.array(value) for name, value in {"tp": 3.0, "fp": 1.0, "fn": 2.0, "tn": 4.0}.items()})
    >>> {name: round(float(found[name]), 3) for name in ("precision", "recall", "f1", "accuracy")}
    {'precision': 0.75, 'recall': 0.6, 'f1': 0.667, 'accuracy': 0.7}
    """
    tp, fp, fn, tn = (np.asarray(sums[name], np.float64) for name in CELLS)
    with np.errstate(divide="ignore", invalid="ignore"):
        precision, recall = tp / (tp + fp), tp / (tp + fn)
        return {
            "recall": recall,
            "precision": precision,
            "accuracy": (tp + tn) / (tp + fp + fn + tn),
            "true_positive_rate": recall,
            "true_negative_rate": tn / (tn + fp),
            "false_positive_rate": fp / (fp + tn),
            "false_negative_rate": fn / (fn + tp),
            "f0_5": _f(precision, recall, 0.5),
            "f1": _f(precision, recall, 1.0),
            "f2": _f(precision, recall, 2.0),
        }


def _f(precision: np.ndarray, recall: np.ndarray, beta: float) -> np.ndarray:
    return (1 + beta**2) * precision * recall / (beta**2 * precision + recall)
