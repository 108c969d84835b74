"""Data quality: is what the ranker is asked about still what it was made for?

Every check asks for an effect (Model Monitor's thresholds) beyond what the window's effective number of observations explains.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from monitors.distances import drift
from monitors.findings import Comparison, Findings, Metric, Violation
from monitors.formats import INTEGRAL, UNKNOWN, Check, Kind
from monitors.noise import ENOUGH, deviations, effective, ks_coefficient
from monitors.profile import Bins, Profile, Reference
from monitors.shown import Shown, present
from monitors.statistics import statistics_of

THE_WINDOW_ITSELF = frozenset(
    {"hour", "weekday"}
)  # differ by when the window is; compared with the same hours, they are alike
WHOLE_TOLERANCE, PART_TOLERANCE = (
    0.01,
    0.05,
)  # share that may be missing more than in the baseline: of a full column, of others
PLOTTED_BINS = 12


@dataclass(frozen=True, slots=True)
class DataBaseline:
    """constraints.json, and the distributions behind statistics.json."""

    constraints: Mapping[str, Any]
    profile: Profile


@dataclass(frozen=True, slots=True)
class _Run:
    """One window beside its baseline."""

    shown: Shown
    baseline: DataBaseline
    observations: float
    weight_S: np.ndarray
    worth: float
    checks: int

    def setting(self, feature: Mapping[str, Any], name: str) -> Any:
        """A threshold or method: the feature's own (monitoringConfigOverrides), or the common one."""
        config, own = self.baseline.constraints["monitoring_config"], feature.get("monitoringConfigOverrides") or {}
        distribution = config["distribution_constraints"] | own.get("distribution_constraints", {})
        return (config | own | distribution)[name]


def judge_data_quality(shown: Shown, baseline: DataBaseline) -> Findings:
    """Check every column of a window's rows.

    Parameters
    ----------
    shown : Shown
        At least one row.
    """
    statistics = statistics_of(shown)
    found = Findings(Kind.DATA_QUALITY, statistics)
    features = baseline.constraints["features"]
    weight_S, worth = baseline.profile.hours(shown.at_us)
    run = _Run(shown, baseline, effective(shown.user), weight_S, worth, 3 * len(features))
    found.violations += column_violations(shown, [feature["name"] for feature in features])
    if run.observations < ENOUGH:
        found.notes.append(f"{run.observations:.0f} effective observations: too few to speak of drift")
    kinds = dict(shown.columns)
    for feature in features:
        if (name := feature["name"]) in kinds:
            found.violations += feature_violations(run, feature, kinds[name])
            _compare(run, feature, kinds[name], found)
    found.metrics += [metric for feature in statistics["features"] for metric in feature_metrics(feature)]
    return found


def column_violations(shown: Shown, expected: list[str]) -> list[Violation]:
    """A capture without header: too few cells lack the last columns, too many bring some more."""
    cells, names = shown.cells or len(shown.columns), expected
    lacking = names[cells:] or [name for name in names if name not in shown.raw]
    missing = [
        _violation(name, Check.MISSING_COLUMN, f"Rows have {cells} cells, the baseline has {len(names)}: no {name}")
        for name in lacking
    ]
    extra = [
        _violation(f"column_{place + 1}", Check.EXTRA_COLUMN, f"Rows have {cells} cells, the baseline has {len(names)}")
        for place in range(len(names), cells)
    ]
    return missing + extra


def feature_violations(run: _Run, feature: Mapping[str, Any], kind: str) -> list[Violation]:
    """Type, completeness and domain of one column."""
    name, values = feature["name"], run.shown.raw[feature["name"]]
    there, found = present(kind, values), []
    z = deviations(run.checks)
    strange = strange_share(feature["inferred_type"], values[there], run.shown.unreadable.get(name, 0))
    allowed = run.setting(feature, "datatype_check_threshold")
    if strange > allowed:
        text = f"{strange:.1%} of the values are not {feature['inferred_type']}; at most {allowed:.1%} may be"
        found.append(_violation(name, Check.DATA_TYPE, text))
    complete = float(there.mean())
    least = least_completeness(feature["completeness"], run.observations, run.baseline.profile.observations, z)
    if complete < least:
        text = f"Completeness is {complete:.4f}; the baseline has {feature['completeness']:.4f}"
        found.append(_violation(name, Check.COMPLETENESS, text))
    if domain := feature.get("string_constraints", {}).get("domains"):
        unknown = float((~np.isin(values[there].astype(str), domain)).mean()) if there.any() else 0.0
        allowed = run.setting(feature, "domain_content_threshold")
        if unknown - z * math.sqrt(unknown * (1 - unknown) / run.observations) > allowed:
            news = sorted(set(values[there].astype(str)) - set(domain))[:5]
            text = f"{unknown:.1%} of the values are outside of the baseline's domain, such as {', '.join(news)}"
            found.append(_violation(name, Check.CATEGORICAL_VALUES, text))
    return found


def strange_share(expected: str, known: np.ndarray, unreadable: int) -> float:
    """Share of the values that are there but not of the expected type."""
    whole = len(known) + unreadable
    wrong = unreadable + (int((known != np.floor(known)).sum()) if expected == INTEGRAL else 0)
    return wrong / whole if whole else 0.0


def least_completeness(then: float, observations: float, reference: float, z: float) -> float:
    """Below this a column lacks more than chance and tolerance explain.

    Examples
    --------
    >>> round(least_completeness(1.0, 400, 400, 4.0), 3), round(least_completeness(0.5, 400, 400, 4.0), 3)
    (0.966, 0.309)
    """
    tolerance = WHOLE_TOLERANCE if then == 1 else PART_TOLERANCE
    # A column that misses nothing in m observations may well miss 3 / m (the rule of three: 95 % sure).
    missing = max(1 - then, 3 / max(reference, 3))
    variance = missing * (1 - missing) * (1 / max(observations, 1) + 1 / max(reference, 1))
    return then - tolerance - z * math.sqrt(variance)


def _compare(run: _Run, feature: Mapping[str, Any], kind: str, found: Findings) -> None:
    """The column's distribution beside the same hours of the baseline."""
    name, values = feature["name"], run.shown.raw[feature["name"]]
    known = values[present(kind, values)]
    if name in THE_WINDOW_ITSELF or feature["inferred_type"] == UNKNOWN or not len(known):
        return
    bins = run.baseline.profile.bins[name]
    now_B = np.bincount(bins.of(known), minlength=bins.count) / len(known)
    then = run.baseline.profile.reference(name, run.weight_S, run.worth)
    number = kind == "number"
    method = run.setting(feature, "comparison_method" if number else "categorical_drift_method")
    threshold = run.setting(feature, "comparison_threshold" if number else "categorical_comparison_threshold")
    observations = run.observations * len(known) / len(values)
    distance = drift(
        now_B,
        then.shares_B,
        observations=observations,
        reference=then.observations,
        method=method,
        ordered=number,
        coefficient=ks_coefficient(run.checks),
    )
    found.metrics.append(Metric(f"feature_baseline_drift_{name}", distance))
    enabled = run.setting(feature, "perform_comparison") == "Enabled" and observations >= ENOUGH
    if distance > threshold and enabled:
        text = f"Baseline drift distance: {distance:.4f} exceeds threshold: {threshold} ({method}, beyond noise)"
        found.violations.append(_violation(name, Check.BASELINE_DRIFT, text))
    found.comparisons.append(_plot(name, bins, now_B, then, distance, threshold))


def _plot(name: str, bins: Bins, now_B: np.ndarray, then: Reference, distance: float, threshold: float) -> Comparison:
    """Neighbouring bins of a number, and rare values of a category, put together."""
    if bins.kind == "number":
        cumulative = np.cumsum(then.shares_B)
        group = np.minimum((cumulative * PLOTTED_BINS - 1e-9).astype(np.int64), PLOTTED_BINS - 1)
        group = np.unique(group, return_inverse=True)[1]
        uppers = [
            bins.edges[min(int(np.flatnonzero(group == one)[-1]) // 2, len(bins.edges) - 1)]
            for one in range(group.max() + 1)
        ]
        labels = [f"≤ {upper:.4g}" for upper in uppers]
    else:
        order = np.argsort(-np.maximum(then.shares_B, now_B)[:-1], kind="stable")[: PLOTTED_BINS - 1]
        group = np.full(bins.count, len(order), np.int64)
        group[order] = np.arange(len(order))
        labels = [*(bins.values[place] for place in order), "other"]
    before, now = (np.bincount(group, shares, len(labels)).tolist() for shares in (then.shares_B, now_B))
    return Comparison(
        name,
        labels,
        before,
        now,
        distance / threshold if threshold else distance,
        f"distance beyond noise {distance:.3f}",
    )


def feature_metrics(feature: Mapping[str, Any]) -> list[Metric]:
    """`feature_data_` of a number that holds something, and `feature_non_null_`."""
    described = feature.get("numerical_statistics") or feature["string_statistics"]
    there, name = described["common"]["num_present"], feature["name"]
    found = [Metric(f"feature_non_null_{name}", float(there))]
    if "mean" in described:
        spread = (float(there), described["sum"], described["min"], described["max"])
        found.append(Metric(f"feature_data_{name}", described["mean"], spread=spread))
    return found


def _violation(name: str, check: Check, text: str) -> Violation:
    return {"feature_name": name, "constraint_check_type": check.value, "description": text}
