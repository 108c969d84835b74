"""Model quality: do the ranker's probabilities still say what happens?

Judged are differences to what the probabilities themselves imply for the same rows (`implied`), because which rows there are
is the release's own choice. Model Monitor's usual figures are reported beside them.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from evaluation.metrics import auc_statistic, log_loss_statistic
from monitors.confusion import CELLS, cells_by_user, figures
from monitors.findings import Comparison, Findings, Metric
from monitors.formats import BINARY_CONSTRAINTS, BINARY_METRICS, SAMPLES_FOR_DEVIATION, Check, Kind
from monitors.implied import implied_auc_statistic, implied_log_loss_statistic
from monitors.noise import deviation, poisson_weights, spread
from monitors.slope import score_slope
from monitors.thresholds import Figure, Tolerance, constraints_document, judge, statistics_document

TOLERANCES = {
    "score_slope": Tolerance(Check.LESS_THAN, 0.05, promised=1.0),
    "auc_shortfall": Tolerance(Check.GREATER_THAN, 0.01, promised=0.0),
    "log_loss_excess": Tolerance(Check.GREATER_THAN, 0.02, promised=0.0),
    "calibration_ratio": Tolerance(Check.LESS_THAN, 0.25, relative=True, promised=1.0),
}
# Positives that have not come yet are a thinning of positives: it can be reckoned with in what the order should be, but moves
# every figure that counts them.
WHILE_FRESH = frozenset({"score_slope", "auc_shortfall"})


def quality_figures(
    labels: np.ndarray, probabilities: np.ndarray, first: np.ndarray, user: np.ndarray, threshold: float
) -> dict[str, Figure]:
    """Every figure with its deviation.

    Parameters
    ----------
    labels : array of shape (N,), 0 or 1
    probabilities, first : arrays of shape (N,)
        Of a click at the place where each row was shown, and at the first place.
    user : int array of shape (N,)
    threshold : float
        From which on a row counts as predicted positive.
    """
    cells = cells_by_user(labels, probabilities, threshold, user)
    values = figures({name: cells[name].sum() for name in CELLS})
    weights_RU = poisson_weights(len(cells["tp"]))
    drawn = figures({name: weights_RU @ cells[name] for name in CELLS})
    found = {name: Figure(float(values[name]), spread(drawn[name])) for name in values}
    # Clicks that are still to come stand among the negatives: the order is judged by chances thinned as the clicks are.
    arrived = min(1.0, float(labels.sum() / probabilities.sum()))
    auc, implied = auc_statistic(labels, probabilities), implied_auc_statistic(arrived * probabilities)
    loss, entropy = log_loss_statistic(labels, probabilities), implied_log_loss_statistic(probabilities)
    statistics = {
        "auc": auc,
        "auc_implied": implied,
        "auc_shortfall": lambda weights: implied(weights) - auc(weights),
        "log_loss": loss,
        "log_loss_excess": lambda weights: loss(weights) - entropy(weights),
        "calibration_ratio": lambda weights: float(labels @ weights / max(probabilities @ weights, 1e-300)),
        "base_rate": lambda weights: float(labels @ weights / max(weights.sum(), 1e-300)),
    }
    whole, enough = np.ones(len(labels)), len(labels) >= SAMPLES_FOR_DEVIATION
    for name, statistic in statistics.items():
        found[name] = Figure(statistic(whole), deviation(statistic, user) if enough else math.nan)
    found["score_slope"] = (
        Figure(*score_slope(labels, arrived * first, arrived * probabilities, user)) if enough else Figure(math.nan)
    )
    return found


def model_quality_baseline(found: Mapping[str, Figure], rows: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """statistics.json and constraints.json."""
    return (
        statistics_document(BINARY_METRICS, found, rows, rows),
        constraints_document(BINARY_CONSTRAINTS, found, TOLERANCES),
    )


def judge_model_quality(
    labels: np.ndarray,
    probabilities: np.ndarray,
    first: np.ndarray,
    user: np.ndarray,
    *,
    threshold: float,
    statistics: Mapping[str, Any],
    constraints: Mapping[str, Any],
    complete: bool,
) -> Findings:
    """Compare a window's labelled rows with the baseline; `complete` says that no more labels are to come."""
    found = quality_figures(labels, probabilities, first, user, threshold)
    result = Findings(Kind.MODEL_QUALITY, statistics_document(BINARY_METRICS, found, len(labels), len(labels)))
    names = frozenset(TOLERANCES) if complete else WHILE_FRESH
    before = statistics[BINARY_METRICS]
    if not 0 < labels.sum() < len(labels):
        result.notes.append(f"{int(labels.sum())} of {len(labels)} labelled rows were clicked: nothing to judge by")
        names = names & {"calibration_ratio"} if complete else frozenset()
    result.violations, notes = judge(found, constraints[BINARY_CONSTRAINTS], names=names)
    result.notes += notes
    result.metrics = [Metric(name, figure.value) for name, figure in found.items() if math.isfinite(figure.value)]
    result.comparisons = [_by_probability(labels, probabilities), _usual(found, before)]
    return result


def _by_probability(labels: np.ndarray, probabilities: np.ndarray) -> Comparison:
    """Expected and observed clicks by the probability's tenth."""
    order = np.array_split(np.argsort(probabilities, kind="stable"), min(10, len(labels)))
    expected, observed = ([float(values[rows].mean()) for rows in order] for values in (probabilities, labels))
    errors = [math.sqrt(max(rate * (1 - rate), 1e-12) / len(rows)) for rate, rows in zip(observed, order, strict=True)]
    return Comparison(
        "click rate by predicted probability",
        [f"{value:.3g}" for value in expected],
        expected,
        observed,
        badness=max(abs(o - e) / max(e, 1e-9) for o, e in zip(observed, expected, strict=True)),
        text="before: as predicted, now: as observed, ± one standard error",
        errors=errors,
    )


def _usual(found: Mapping[str, Figure], before: Mapping[str, Any]) -> Comparison:
    names = [name for name in ("auc", "auc_implied", "precision", "recall", "f1", "accuracy") if _known(before, name)]
    now = [found[name].value if math.isfinite(found[name].value) else 0.0 for name in names]
    return Comparison(
        "figures", names, [float(before[name]["value"]) for name in names], now, badness=0.0, text="baseline and now"
    )


def _known(before: Mapping[str, Any], name: str) -> bool:
    return isinstance(before.get(name, {}).get("value"), float | int)
