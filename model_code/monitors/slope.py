"""Are clicks still explained by the score? The slope of the ranker's log odds, with what its place adds held apart.

    logit P(click) = a + b logit(p at the first place) + c (logit(p at its place) - logit(p at the first place))

b is 1 while the ranker is right, 0 when its order says nothing: Cox (1958), "Two further applications of a model for binary
regression", Biometrika 45, the calibration slope. Labels that are still to come change a, hardly b: of rare events a thinned
sample has the same odds ratios. Places keep their effect whatever happens to tastes, which is why they are held apart.
"""

from __future__ import annotations

import numpy as np

from monitors.noise import poisson_weights, spread

STEPS, RIDGE = 25, 1e-6


def score_slope(labels: np.ndarray, first: np.ndarray, shown: np.ndarray, user: np.ndarray) -> tuple[float, float]:
    """(b, its deviation under resampled users); NaN where clicks cannot tell.

    Parameters
    ----------
    labels : array of shape (N,), 0 or 1
    first, shown : arrays of shape (N,)
        Probabilities at the first place and at the place shown, in (0, 1).
    """
    if not 0 < labels.sum() < len(labels) or not np.ptp(first):
        return float("nan"), float("nan")
    at_first, at_place = _logit(first), _logit(shown)
    design = np.stack([np.ones(len(labels)), at_first - at_first.mean(), at_place - at_first], axis=1)
    whole = fit_logistic(design, labels, np.ones(len(labels)), np.zeros(3))
    draws = poisson_weights(int(user.max()) + 1)
    # one Newton step from the whole sample's fit: within the noise of a resample that is its fit
    drawn = np.array([fit_logistic(design, labels, draw[user], whole, steps=1)[1] for draw in draws])
    return float(whole[1]), spread(drawn)


def fit_logistic(
    design: np.ndarray, labels: np.ndarray, weights: np.ndarray, start: np.ndarray, *, steps: int = STEPS
) -> np.ndarray:
    """Weighted logistic regression by Newton's method, coefficients of shape (F,).

    Examples
    --------
    >>> design = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0], [1.0, 1.0]])
    >>> fit_logistic(design, np.array([0, 1, 1, 1, 1, 0]), np.ones(6), np.zeros(2)).round(3).tolist()
    [0.0, 1.099]
    """
    found = start
    for _ in range(steps):
        chance = 0.5 * (1 + np.tanh(0.5 * (design @ found)))
        gradient = design.T @ (weights * (labels - chance))
        curvature = (design * (weights * chance * (1 - chance))[:, None]).T @ design + RIDGE * np.eye(len(found))
        step = np.linalg.solve(curvature, gradient)
        found = found + np.clip(step, -4, 4)  # far from the fit a whole step may overshoot
        if np.abs(step).max() < 1e-9:
            break
    return found


def _logit(chance: np.ndarray) -> np.ndarray:
    clipped = np.clip(chance, 1e-9, 1 - 1e-9)
    return np.log(clipped) - np.log1p(-clipped)
