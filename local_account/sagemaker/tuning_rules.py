"""When a trial is hopeless and when a search is over: SageMaker's rules, as pure functions of what was measured."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean, median
from typing import Any

LEAST_CURVES = 3  # trials that reached an epoch before anybody is judged at it
HOPELESS_AFTER = 5  # trials without any value: the regex or the program is wrong, and more of them change nothing


def is_hopeless(curve: Sequence[float], others: Sequence[Sequence[float]], *, maximise: bool) -> bool:
    """`TrainingJobEarlyStoppingType: Auto`, the median stopping rule.

    A trial is stopped if its objective is worse than the median of the running averages, up to the same epoch, of the trials
    before it. Golovin et al. (2017), "Google Vizier: a service for black-box optimization", KDD, section 3.2; AWS's guide, "Stop
    training jobs early", states it in these words. An epoch is one line that the objective's regex matched. Trials that did not
    get so far say nothing; with fewer than `LEAST_CURVES` that did, nobody is stopped.

    Examples
    --------
    >>> is_hopeless([0.1, 0.1], [[0.2, 0.4], [0.3, 0.3], [0.1, 0.2]], maximise=True)
    True
    """
    epoch = len(curve)
    averages = [fmean(other[:epoch]) for other in others if len(other) >= epoch > 0]
    if len(averages) < LEAST_CURVES:
        return False
    middle = median(averages)
    return curve[-1] < middle if maximise else curve[-1] > middle


def best_of(values: Sequence[float], *, maximise: bool) -> float | None:
    return (max if maximise else min)(values) if values else None


def not_improving(values: Sequence[float], *, maximise: bool) -> int:
    """How many trials came after the best one, in the order they ended."""
    best = best_of(values, maximise=maximise)
    return 0 if best is None else len(values) - 1 - list(values).index(best)


def why_over(
    criteria: Mapping[str, Any], values: Sequence[float], *, maximise: bool, seconds: float, limit_s: float | None
) -> str | None:
    """The reason why no further trial begins, or None: the target reached, no progress any more, or out of time.

    Parameters
    ----------
    criteria : mapping
        `TuningJobCompletionCriteria`; `ConvergenceDetected` is not played.
    values : floats
        Objectives so far, in the order the trials ended.
    """
    best = best_of(values, maximise=maximise)
    target = criteria.get("TargetObjectiveMetricValue")
    if target is not None and best is not None and (best >= target if maximise else best <= target):
        return f"the target {target} was reached"
    patience = criteria.get("BestObjectiveNotImproving", {}).get("MaxNumberOfTrainingJobsNotImproving")
    if patience is not None and values and not_improving(values, maximise=maximise) >= patience:
        return f"the last {patience} training jobs did not improve the best"
    if limit_s is not None and seconds >= limit_s:
        return f"MaxRuntimeInSeconds {limit_s:.0f} was reached"
    return None
