"""Feature attribution drift: does the ranker still decide by what it decided by?

Mean |SHAP| per declared column, of LightGBM's own contributions (TreeSHAP, Lundberg et al. 2020), in log odds, every row as it is
served: at the first place. The order of now is held against the baseline's by nDCG, as Clarify does.

Letters: N rows, F columns, U users.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import lightgbm
import numpy as np

from monitors.findings import Comparison, Findings, Metric
from monitors.formats import (
    ANALYSIS_VERSION,
    EXPLAINABILITY_METHOD,
    LABEL,
    SMALLEST_NDCG,
    VALUE_TYPE,
    Check,
    Kind,
)
from monitors.noise import deviations, poisson_weights, spread
from monitors.shown import Shown
from ranker.scorer import POSITION, SERVED_POSITION, Scorer

ROWS = 2000  # explained at most: means are steady long before, and a row costs about 0.1 ms


class Explainer:
    """The trees of a ranker and the columns that each of their inputs is made of."""

    def __init__(self, scorer: Scorer, trees: Path) -> None:
        self._scorer, self._booster = scorer, lightgbm.Booster(model_file=str(trees))
        self.columns = [name for name, _ in scorer.encoder.plan.columns]

    def trees_text(self) -> str:
        """The trees in LightGBM's text form."""
        return str(self._booster.model_to_string())

    def contributions(self, raw: Mapping[str, np.ndarray]) -> tuple[np.ndarray, float]:
        """SHAP values per declared column, (N, F), and the expected value; a cross is shared equally by its parts."""
        rows = len(raw[self.columns[0]])
        if POSITION in raw:
            raw = {**raw, POSITION: np.full(rows, SERVED_POSITION)}
        matrix = self._scorer.encoder.encode(raw).matrix(self._scorer.form)
        shap = np.asarray(self._booster.predict(matrix, pred_contrib=True, num_threads=2))
        place = {name: index for index, name in enumerate(self.columns)}
        total = np.zeros((rows, len(self.columns)))
        for index, parts in enumerate(self._scorer.encoder.sources(self._scorer.form)):
            for part in parts:
                total[:, place[part]] += shap[:, index] / len(parts)
        return total, float(shap[0, -1])


def ndcg(before: np.ndarray, now: np.ndarray) -> np.ndarray:
    """nDCG of the order of now by the gains of the baseline.

    Parameters
    ----------
    before : array of shape (F,)
        Baseline attributions, not negative, not all 0.
    now : array of shape (..., F)

    References
    ----------
    "Feature attribution drift", Amazon SageMaker developer guide: DCG = sum of a(f_i) / log2(i + 1) over the order of now,
    normalised by that of the baseline's own order; a(f) is the baseline's attribution.

    Examples
    --------
    >>> round(float(ndcg(np.array([3.0, 2.0, 1.0]), np.array([1.0, 2.0, 3.0]))), 4)
    0.79
    """
    discount = 1 / np.log2(np.arange(2, len(before) + 2))
    order = np.argsort(-now, axis=-1, kind="stable")
    return np.asarray(before[order] @ discount / (np.sort(before)[::-1] @ discount))


def explain(shown: Shown, explainer: Explainer) -> tuple[np.ndarray, float, np.ndarray]:
    """|SHAP| of at most `ROWS` rows, (N, F), the expected value, and the rows' users."""
    sample = shown.at_most(ROWS)
    shap, expected = explainer.contributions(sample.raw)
    return np.abs(shap), expected, sample.user


def explainability_statistics(names: Sequence[str], means: np.ndarray, expected: float) -> dict[str, Any]:
    """Clarify's analysis.json, the part of explanations."""
    values = {name: float(value) for name, value in zip(names, means, strict=True)}
    section = {"label": LABEL, "global_shap_values": values, "expected_value": expected}
    return {
        "version": ANALYSIS_VERSION,
        "explanations": {"kernel_shap": {LABEL: section}, "method": EXPLAINABILITY_METHOD},
    }


def explainability_constraints(statistics: dict[str, Any]) -> dict[str, Any]:
    """The baseline's attributions and the least nDCG that is allowed against them."""
    return {"version": ANALYSIS_VERSION, "ndcg_threshold": SMALLEST_NDCG, "explanations": statistics["explanations"]}


def judge_explainability(shown: Shown, explainer: Explainer, constraints: Mapping[str, Any]) -> Findings:
    """Fires when nDCG lies below the threshold by more than resampled users explain."""
    shap_NF, expected, user = explain(shown, explainer)
    before = constraints["explanations"]["kernel_shap"][LABEL]["global_shap_values"]
    names = explainer.columns
    then = np.array([before.get(name, 0.0) for name in names])
    value, sigma = float(ndcg(then, shap_NF.mean(0))), _deviation(then, shap_NF, user)
    result = Findings(Kind.EXPLAINABILITY, explainability_statistics(names, shap_NF.mean(0), expected))
    result.statistics["ndcg"] = {"value": value, "standard_deviation": sigma}
    dimensions = {"ExplainabilityMethod": EXPLAINABILITY_METHOD, "Label": LABEL, "ValueType": VALUE_TYPE}
    result.metrics = [
        Metric(f"feature_{name}", float(mean), dimensions) for name, mean in zip(names, shap_NF.mean(0), strict=True)
    ]
    result.metrics += [Metric("ExpectedValue", expected, dimensions), Metric("ndcg", value)]
    threshold = float(constraints["ndcg_threshold"])
    if value + deviations(1) * sigma < threshold:
        text = f"nDCG of the attributions' order is {value:.4f}; at least {threshold} is expected"
        check = Check.ATTRIBUTION_DRIFT.value
        result.violations = [
            {"label": LABEL, "metric_name": "shap", "constraint_check_type": check, "description": text}
        ]
    order = np.argsort(-np.maximum(then, shap_NF.mean(0)), kind="stable")
    labels, now = [names[place] for place in order], shap_NF.mean(0)[order].tolist()
    text = f"nDCG {value:.3f} ± {sigma:.3f}"
    result.comparisons = [
        Comparison("mean |SHAP|", labels, then[order].tolist(), now, (1 - value) / (1 - threshold), text)
    ]
    return result


def _deviation(then: np.ndarray, shap_NF: np.ndarray, user: np.ndarray) -> float:
    users = int(user.max()) + 1
    sums_UF = np.stack([np.bincount(user, column, users) for column in shap_NF.T], axis=1)
    return spread(ndcg(then, poisson_weights(users) @ sums_UF))
