"""What a monitor found, before it is written: statistics, violations, metrics, and what the report shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from monitors.formats import ANALYSIS_VERSION, SCHEMA_CHECKS, Kind

Violation = dict[str, str]


@dataclass(frozen=True, slots=True)
class Metric:
    """One datum for CloudWatch, without the dimensions that all of a run share. `spread` is (count, sum, least, greatest)."""

    name: str
    value: float
    dimensions: Mapping[str, str] = field(default_factory=dict)
    spread: tuple[float, float, float, float] | None = None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One plot of the report: shares or figures of the baseline beside those of now."""

    title: str
    labels: Sequence[str]
    before: Sequence[float]
    now: Sequence[float]
    badness: float  # the worst come first; from 1 on it is a violation
    text: str
    errors: Sequence[float] | None = None


@dataclass(slots=True)
class Findings:
    """Of one kind, one window, one release."""

    kind: Kind
    statistics: dict[str, Any]
    violations: list[Violation] = field(default_factory=list)
    metrics: list[Metric] = field(default_factory=list)
    comparisons: list[Comparison] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)  # what could not be judged, and why

    def document(self) -> dict[str, Any]:
        """constraint_violations.json."""
        if self.kind in (Kind.BIAS, Kind.EXPLAINABILITY):
            return {"version": ANALYSIS_VERSION, "violations": self.violations}
        return {"violations": self.violations}

    def all_metrics(self) -> list[Metric]:
        """Metrics, and the counts that alarms are made of: 0 is said too, and that there was a run."""
        schema = sum(violation["constraint_check_type"] in SCHEMA_CHECKS for violation in self.violations)
        counts = {"runs": 1, "violations": len(self.violations), "schema_violations": schema}
        counts["drift_violations"] = len(self.violations) - schema
        return [*self.metrics, *(Metric(name, float(count)) for name, count in counts.items())]
