"""From a tree's margin to a click probability: two numbers, fitted on rows the trees did not learn from.

Platt (1999), "Probabilistic outputs for support vector machines", with the targets that he gives against overconfidence;
fitted by Newton's method, as Lin, Lin & Weng (2007), Machine Learning 68, "A note on Platt's probabilistic outputs".
Strictly increasing, so it never changes the order of candidates (isotonic steps would make ties).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

SMALLEST_SLOPE = 1e-3  # a calibration may flatten the scores, never turn them round
STEPS = 100


@dataclass(frozen=True, slots=True)
class Calibration:
    """p = 1 / (1 + exp(-(slope margin + intercept))), slope > 0."""

    slope: float
    intercept: float

    def probability(self, margins: np.ndarray) -> np.ndarray:
        """Probabilities in (0, 1), in the order of the margins.

        Examples
        --------
        >>> Calibration(slope=1.0, intercept=0.0).probability(np.array([-1.0, 0.0, 1.0])).round(3).tolist()
        [0.269, 0.5, 0.731]
        """
        return _sigmoid(self.slope * np.asarray(margins, np.float64) + self.intercept)

    def to_document(self) -> dict[str, Any]:
        return {"method": "platt", "slope": self.slope, "intercept": self.intercept}

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Calibration:
        slope, intercept = float(document["slope"]), float(document["intercept"])
        if document.get("method") != "platt" or not (slope > 0 and np.isfinite(slope) and np.isfinite(intercept)):
            raise ValueError(
                f"no calibration: {dict(document)}; expected method platt, slope > 0 and a finite intercept"
            )
        return cls(slope, intercept)


def fit_calibration(margins: np.ndarray, labels: np.ndarray) -> Calibration:
    """Least log loss over slope and intercept.

    Parameters
    ----------
    margins : array of shape (N,)
        Raw scores of rows that were not trained on.
    labels : array of shape (N,)
        0 or 1, both present.

    Raises
    ------
    ValueError
        If a margin is not finite or only one class is there.
    """
    margins, labels = np.asarray(margins, np.float64), np.asarray(labels, np.float64)
    if not np.isfinite(margins).all():
        raise ValueError("a margin is NaN or infinite: the trees cannot be calibrated")
    positives, negatives = float(labels.sum()), float(len(labels) - labels.sum())
    if positives == 0 or negatives == 0:
        raise ValueError("only one class in the validation rows: nothing to calibrate on")
    targets = np.where(labels > 0, (positives + 1) / (positives + 2), 1 / (negatives + 2))
    design = np.stack([margins, np.ones_like(margins)], axis=1)
    weights = np.array([1.0, 0.0])
    for _ in range(STEPS):
        probabilities = _sigmoid(design @ weights)
        gradient = design.T @ (probabilities - targets)
        curvature = (design * (probabilities * (1 - probabilities))[:, None]).T @ design + 1e-9 * np.eye(2)
        step = np.linalg.solve(curvature, gradient)
        weights = weights - _damped(design, targets, weights, step) * step
        if np.abs(step).max() < 1e-10:
            break
    return Calibration(slope=max(float(weights[0]), SMALLEST_SLOPE), intercept=float(weights[1]))


def _damped(design: np.ndarray, targets: np.ndarray, weights: np.ndarray, step: np.ndarray) -> float:
    """Largest of 1, 1/2, 1/4 … that does not raise the loss: Newton alone may overshoot from far away."""
    before, scale = _loss(design @ weights, targets), 1.0
    while scale > 1e-6 and _loss(design @ (weights - scale * step), targets) > before + 1e-12:
        scale /= 2
    return scale


def _loss(logits: np.ndarray, targets: np.ndarray) -> float:
    return float((np.logaddexp(0, logits) - targets * logits).sum())


def _sigmoid(logits: np.ndarray) -> np.ndarray:
    return 0.5 * (1 + np.tanh(0.5 * logits))
