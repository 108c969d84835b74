"""Names, keys and sentences of Model Monitor's files and metrics, in one place (they are AWS's, not ours to choose).

Where AWS's pages contradict each other (namespace of data quality) the metric namespace is an argument, ours by default.
"""

from __future__ import annotations

import unicodedata
from enum import StrEnum
from typing import Any, Final

DATA_VERSION: Final = 0.0  # of data quality, model quality and ours
ANALYSIS_VERSION: Final = "1.0"  # of bias and explainability, which are Clarify's

STATISTICS, CONSTRAINTS, VIOLATIONS = "statistics.json", "constraints.json", "constraint_violations.json"
METRICS, REPORT = "metrics.json", "report.html"
FACTS, RANKER = "facts.json", "ranker"  # of a baseline folder

NAMESPACE: Final = "Understudy/Monitors"
NO_DATA: Final = "Job inputs had no data"
COMPLETED: Final = "Completed: Job completed successfully with no violations."
WITH_VIOLATIONS: Final = "CompletedWithViolations: Job completed successfully with {count} violations."


class Kind(StrEnum):
    """Monitor kinds, as folders and arguments call them."""

    DATA_QUALITY = "data-quality"
    MODEL_QUALITY = "model-quality"
    BIAS = "bias"
    EXPLAINABILITY = "explainability"
    RANKING_QUALITY = "ranking-quality"


class Check(StrEnum):
    """`constraint_check_type` of a violation."""

    DATA_TYPE = "data_type_check"
    COMPLETENESS = "completeness_check"
    BASELINE_DRIFT = "baseline_drift_check"
    MISSING_COLUMN = "missing_column_check"
    EXTRA_COLUMN = "extra_column_check"
    CATEGORICAL_VALUES = "categorical_values_check"
    LESS_THAN = "LessThanThreshold"
    GREATER_THAN = "GreaterThanThreshold"
    BIAS_DRIFT = "bias_drift_check"
    ATTRIBUTION_DRIFT = "feature_attribution_drift_check"


# Broken input rather than a changed world: retraining on it would make it worse, so it pages instead.
SCHEMA_CHECKS: Final = frozenset(
    {Check.DATA_TYPE, Check.COMPLETENESS, Check.MISSING_COLUMN, Check.EXTRA_COLUMN, Check.CATEGORICAL_VALUES}
)

INTEGRAL, FRACTIONAL, STRING, UNKNOWN = "Integral", "Fractional", "String", "Unknown"
SIMPLE, ROBUST, L_INFINITY, CHI_SQUARED = "Simple", "Robust", "LInfinity", "ChiSquared"
BINARY_METRICS, BINARY_CONSTRAINTS = "binary_classification_metrics", "binary_classification_constraints"
RANKING_METRICS, RANKING_CONSTRAINTS = "recommendation_metrics", "recommendation_constraints"
POST_TRAINING = "post_training_bias_metrics"
NAN: Final = "NaN"  # a standard deviation of fewer samples than SAMPLES_FOR_DEVIATION
SAMPLES_FOR_DEVIATION: Final = 200
SMALLEST_NDCG: Final = 0.90  # of feature attributions, as Clarify
LABEL, LABEL_VALUE, BIAS_STAGE = "click", "1", "post-training"
EXPLAINABILITY_METHOD, VALUE_TYPE = (
    "TreeShap",
    "GlobalShapValues",
)  # Clarify's own is KernelShap; the trees give theirs exactly


def monitoring_config() -> dict[str, Any]:
    """Defaults of Model Monitor, with the comparisons that respect the size of the samples."""
    return {
        "evaluate_constraints": "Enabled",
        "emit_metrics": "Enabled",
        "datatype_check_threshold": 0.1,
        "domain_content_threshold": 0.1,
        "distribution_constraints": {
            "perform_comparison": "Enabled",
            "comparison_threshold": 0.1,
            "comparison_method": ROBUST,
            "categorical_comparison_threshold": 0.1,
            "categorical_drift_method": L_INFINITY,
        },
    }


def exit_message(violations: int) -> str:
    """Examples
    --------
    >>> exit_message(2)
    'CompletedWithViolations: Job completed successfully with 2 violations.'
    """
    return WITH_VIOLATIONS.format(count=violations) if violations else COMPLETED


def dimension_value(text: str) -> str:
    """A text as CloudWatch takes dimension values: ASCII, at most 1,024 characters, not empty.

    Examples
    --------
    >>> dimension_value("Malmö"), dimension_value("")
    ('Malmo', '-')
    """
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()
    return "".join(character for character in plain if character.isprintable())[:1024].strip(" :") or "-"
