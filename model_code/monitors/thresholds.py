"""Figures against thresholds, for model quality and ranking quality alike: statistics, constraints, and what violates them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from monitors.findings import Violation
from monitors.formats import DATA_VERSION, NAN, SAMPLES_FOR_DEVIATION, Check
from monitors.noise import deviations


@dataclass(frozen=True, slots=True)
class Figure:
    """A value with its standard deviation under resampled users; NaN where either is not defined."""

    value: float
    deviation: float = math.nan

    def to_document(self, samples: int) -> dict[str, Any]:
        """Model Monitor's form: no deviation of fewer than 200 samples; a value that is not defined is "NaN" too."""
        sure = math.isfinite(self.deviation) and samples >= SAMPLES_FOR_DEVIATION
        value = self.value if math.isfinite(self.value) else NAN
        return {"value": value, "standard_deviation": self.deviation if sure else NAN}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How far a figure may be on the bad side of the baseline: by an amount, or by a share of it.

    `promised` is the value that a ranker which is right has by construction: a baseline that was luckier promises no more.
    """

    check: Check  # LESS_THAN or GREATER_THAN is what violates
    amount: float
    relative: bool = False
    promised: float | None = None

    def threshold(self, value: float) -> float:
        """Examples
        --------
        >>> Tolerance(Check.LESS_THAN, 0.25, relative=True).threshold(0.8)
        0.6000000000000001
        >>> Tolerance(Check.GREATER_THAN, 0.02, promised=0.0).threshold(-0.3)
        0.02
        """
        if self.promised is not None:
            value = min(value, self.promised) if self.check is Check.LESS_THAN else max(value, self.promised)
        step = abs(value) * self.amount if self.relative else self.amount
        return value - step if self.check is Check.LESS_THAN else value + step


def statistics_document(section: str, figures: Mapping[str, Figure], samples: int, rows: int) -> dict[str, Any]:
    """statistics.json of a section such as ``binary_classification_metrics``."""
    documents = {name: figure.to_document(samples) for name, figure in figures.items()}
    return {"version": DATA_VERSION, "dataset": {"item_count": rows}, section: documents}


def constraints_document(
    section: str, figures: Mapping[str, Figure], tolerances: Mapping[str, Tolerance]
) -> dict[str, Any]:
    """constraints.json: a threshold for every figure that has a tolerance and a value in the baseline."""
    found = {
        name: {"threshold": tolerance.threshold(figures[name].value), "comparison_operator": tolerance.check.value}
        for name, tolerance in tolerances.items()
        if name in figures and math.isfinite(figures[name].value)
    }
    return {"version": DATA_VERSION, section: found}


def judge(
    figures: Mapping[str, Figure], constraints: Mapping[str, Mapping[str, Any]], *, names: frozenset[str]
) -> tuple[list[Violation], list[str]]:
    """Violations of the named constraints, and what could not be judged.

    A figure violates its threshold when it lies beyond it by more than its own noise explains.
    """
    violations, notes, z = [], [], deviations(len(names & constraints.keys()))
    for name, constraint in constraints.items():
        if name not in names:
            notes.append(f"{name} waits until labels are complete")
            continue
        figure, threshold = figures.get(name, Figure(math.nan)), float(constraint["threshold"])
        if not (math.isfinite(figure.value) and math.isfinite(figure.deviation)):
            notes.append(f"{name} is not defined on this window: too few samples")
            continue
        noise = z * figure.deviation
        less = constraint["comparison_operator"] == Check.LESS_THAN
        beyond = threshold - figure.value if less else figure.value - threshold
        if beyond > noise:
            text = f"{name} is {figure.value:.4f} (± {noise:.4f} by chance); the threshold is {threshold:.4f}"
            violations.append(
                {"constraint_check_type": constraint["comparison_operator"], "metric_name": name, "description": text}
            )
    return violations, notes
