"""Bias drift: is the release kinder or harder to a group than it was at its baseline?

Clarify's post-training metrics of one group (d) against all others (a); a row is predicted positive when its score at the first
place reaches the baseline's decision threshold, so that the place it was given does not count.

    DPPL  q'_a - q'_d   difference in positive proportions in predicted labels
    DI    q'_d / q'_a   disparate impact
    AD    accuracy_a - accuracy_d
    RD    recall_a - recall_d
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from monitors.findings import Comparison, Findings, Metric
from monitors.formats import (
    ANALYSIS_VERSION,
    BIAS_STAGE,
    LABEL,
    LABEL_VALUE,
    POST_TRAINING,
    Check,
    Kind,
    dimension_value,
)
from monitors.noise import ENOUGH, deviations, effective, poisson_weights, spread

DESCRIPTIONS = {
    "DPPL": "Difference in Positive Proportions in Predicted Labels (DPPL)",
    "DI": "Disparate Impact (DI)",
    "AD": "Accuracy Difference (AD)",
    "RD": "Recall Difference (RD)",
}
TOLERANCES = {"DPPL": 0.10, "DI": 0.40, "AD": 0.10, "RD": 0.15}  # DI: of its logarithm
WHILE_FRESH = frozenset({"DPPL", "DI", "RD"})  # labels that are still to come move accuracy
FACETS = ("age_band", "city", "tenure")


@dataclass(frozen=True, slots=True)
class Rows:
    """What bias is measured on: N rows with their facets; label NaN where not known."""

    facets: Mapping[str, np.ndarray]  # facet -> (N,) str, "" where not known
    called: np.ndarray  # (N,) bool: predicted positive
    label: np.ndarray
    user: np.ndarray


@dataclass(frozen=True, slots=True)
class Measured:
    """One metric of one group, with its deviation (of the logarithm for DI)."""

    facet: str
    value: str
    metric: str
    figure: float
    deviation: float


def measure_bias(rows: Rows) -> list[Measured]:
    """Every metric of every group with enough users in it and beside it."""
    found = []
    for facet, values in rows.facets.items():
        for value in sorted(set(values.tolist()) - {""}):
            mine, others = values == value, (values != value) & (values != "")
            if min(effective(rows.user[mine]), effective(rows.user[others])) < ENOUGH:
                continue
            for metric, figure, sigma in _metrics(rows, mine, others):
                found.append(Measured(facet, value, metric, figure, sigma))
    return found


def _metrics(rows: Rows, mine: np.ndarray, others: np.ndarray) -> Iterator[tuple[str, float, float]]:
    """(metric, value, deviation) of one group; sums per user first, so that resampling is one matrix product."""
    users = int(rows.user.max()) + 1
    known = np.isfinite(rows.label)
    clicked = known & (rows.label > 0)
    right = known & ((rows.label > 0) == rows.called)
    masks = {"rows": np.ones(len(known), bool), "called": rows.called, "known": known, "right": right}
    masks |= {"clicked": clicked, "found": clicked & rows.called}
    sums = {
        (group, name): np.bincount(rows.user[of & mask], minlength=users).astype(np.float64)
        for group, of in (("d", mine), ("a", others))
        for name, mask in masks.items()
    }
    weights_RU = poisson_weights(users)
    whole = _bias_figures({key: np.asarray(per_user.sum()) for key, per_user in sums.items()})
    drawn = _bias_figures({key: weights_RU @ per_user for key, per_user in sums.items()})
    for metric in DESCRIPTIONS:
        draws = np.log(drawn[metric][drawn[metric] > 0]) if metric == "DI" else drawn[metric]
        if math.isfinite(float(whole[metric])) and (metric != "DI" or whole[metric] > 0):
            yield metric, float(whole[metric]), spread(draws) if len(draws) else math.nan


def _bias_figures(sums: Mapping[tuple[str, str], np.ndarray]) -> dict[str, np.ndarray]:
    with np.errstate(divide="ignore", invalid="ignore"):
        called, right, found = (
            {group: sums[group, above] / sums[group, below] for group in "ad"}
            for above, below in (("called", "rows"), ("right", "known"), ("found", "clicked"))
        )
        return {
            "DPPL": called["a"] - called["d"],
            "DI": called["d"] / called["a"],
            "AD": right["a"] - right["d"],
            "RD": found["a"] - found["d"],
        }


def bias_statistics(measured: list[Measured]) -> dict[str, Any]:
    """Clarify's analysis.json, the part after training, with an interval to each value."""
    facets: dict[str, list[dict[str, Any]]] = {}
    for one in measured:
        groups = facets.setdefault(one.facet, [])
        if not groups or groups[-1]["value_or_threshold"] != one.value:
            groups.append({"value_or_threshold": one.value, "metrics": []})
        groups[-1]["metrics"].append(_metric_document(one, *interval(one, 1.96)))
    return {
        "version": ANALYSIS_VERSION,
        POST_TRAINING: {"label": LABEL, "label_value_or_threshold": LABEL_VALUE, "facets": facets},
    }


def _metric_document(one: Measured, low: float, high: float) -> dict[str, Any]:
    bounds = {"lower": low, "upper": high} if math.isfinite(low) else {}
    return {"name": one.metric, "description": DESCRIPTIONS[one.metric], "value": one.figure, **bounds}


def interval(one: Measured, z: float, tolerance: float = 0.0) -> tuple[float, float]:
    """value ± (z deviations + tolerance); of DI on the logarithm. NaN where there is no deviation."""
    reach = z * one.deviation + tolerance
    if one.metric == "DI":
        return one.figure * math.exp(-reach), one.figure * math.exp(reach)
    return one.figure - reach, one.figure + reach


def bias_constraints(measured: list[Measured]) -> dict[str, Any]:
    """The same form with the range that is allowed: tolerance and the baseline's own noise around its value."""
    found = bias_statistics(measured)
    z = deviations(max(len(measured), 1))
    ranges = {(one.facet, one.value, one.metric): interval(one, z, TOLERANCES[one.metric]) for one in measured}
    for facet, groups in found[POST_TRAINING]["facets"].items():
        for group in groups:
            for metric in group["metrics"]:
                low, high = ranges[facet, group["value_or_threshold"], metric["name"]]
                metric |= {"lower": low, "upper": high} if math.isfinite(low) else {}
    return found


def judge_bias(rows: Rows, constraints: Mapping[str, Any], *, complete: bool) -> Findings:
    """A metric drifts when its whole interval lies outside of the allowed range, as Clarify has it."""
    measured = measure_bias(rows)
    result = Findings(Kind.BIAS, bias_statistics(measured))
    allowed = {
        (facet, group["value_or_threshold"], metric["name"]): metric
        for facet, groups in constraints[POST_TRAINING]["facets"].items()
        for group in groups
        for metric in group["metrics"]
    }
    z = deviations(max(len(allowed), 1))
    for one in measured:
        dimensions = {"BiasStage": BIAS_STAGE, "Label": LABEL, "LabelValue": LABEL_VALUE}
        dimensions |= {"Facet": one.facet, "FacetValue": dimension_value(one.value)}
        result.metrics.append(Metric(f"bias_metric_{one.metric}", one.figure, dimensions))
        limits = allowed.get((one.facet, one.value, one.metric))
        if limits is None or "lower" not in limits or not math.isfinite(one.deviation):
            continue
        low, high = interval(one, z)
        if (complete or one.metric in WHILE_FRESH) and (low > limits["upper"] or high < limits["lower"]):
            result.violations.append(_violation(one, (low, high), limits))
    result.comparisons = _plots(measured, allowed)
    if not measured:
        result.notes.append("no group has enough users to be compared")
    return result


def _violation(one: Measured, found: tuple[float, float], limits: Mapping[str, Any]) -> dict[str, str]:
    text = (
        f"{one.metric} is {one.figure:.4f}, its interval [{found[0]:.4f}, {found[1]:.4f}] lies outside of "
        f"[{limits['lower']:.4f}, {limits['upper']:.4f}]"
    )
    return {
        "facet": one.facet,
        "facet_value": one.value,
        "metric_name": one.metric,
        "constraint_check_type": Check.BIAS_DRIFT.value,
        "description": text,
    }


def _plots(measured: list[Measured], allowed: Mapping[tuple[str, str, str], Mapping[str, Any]]) -> list[Comparison]:
    """One a facet and metric: groups side by side."""
    found = []
    for facet in dict.fromkeys(one.facet for one in measured):
        for metric in DESCRIPTIONS:
            both = [
                (one, float(allowed[facet, one.value, metric]["value"]))
                for one in measured
                if (one.facet, one.metric) == (facet, metric) and (facet, one.value, metric) in allowed
            ]
            if not both:
                continue
            worst = max(abs(one.figure - before) / TOLERANCES[metric] for one, before in both)
            errors = [1.96 * one.deviation * (one.figure if metric == "DI" else 1) for one, _ in both]
            labels, now = [one.value for one, _ in both], [one.figure for one, _ in both]
            before = [value for _, value in both]
            text = f"{DESCRIPTIONS[metric]}, with 95 % intervals"
            found.append(Comparison(f"{facet}: {metric}", labels, before, now, worst, text, errors))
    return found
