"""Gradient-boosted trees on an encoded matrix: LightGBM, binary log loss, early stopping on later rows.

Ke et al. (2017), "LightGBM: a highly efficient gradient boosting decision tree", NeurIPS.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

# Both models train at once, and OpenMP's threads spin while they wait for each other: on two busy cores a run of 3 s took
# 58 s of wall time, 15 s when they sleep instead. Read once, when the library is loaded.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import lightgbm

from ranker.scorer import ServedForm


@dataclass(frozen=True, slots=True)
class Parameters:
    """The ranker's hyperparameters; LightGBM's names where it has one."""

    num_iterations: int = 200
    num_leaves: int = 31
    learning_rate: float = 0.08
    min_data_in_leaf: int = 50
    lambda_l2: float = 5.0
    feature_fraction: float = 0.7
    bagging_fraction: float = 1.0
    max_bin: int = 127
    cat_smooth: float = 20.0
    cat_l2: float = 10.0
    max_cat_threshold: int = 64
    min_data_per_group: int = 50
    early_stopping_rounds: int = 20
    smoothing: float = 20.0
    num_threads: int = 2
    seed: int = 7
    served_form: str = (
        "measured"  # or the form to serve whatever its latency, so that a seed gives one ranker everywhere
    )

    def __post_init__(self) -> None:
        problems = [
            (self.num_iterations >= 1, f"num_iterations is {self.num_iterations}; expected 1 or more"),
            (self.num_leaves >= 2, f"num_leaves is {self.num_leaves}; expected 2 or more"),
            (self.learning_rate > 0, f"learning_rate is {self.learning_rate}; expected more than 0"),
            (0 < self.feature_fraction <= 1, f"feature_fraction is {self.feature_fraction}; expected above 0 to 1"),
            (0 < self.bagging_fraction <= 1, f"bagging_fraction is {self.bagging_fraction}; expected above 0 to 1"),
            (
                self.early_stopping_rounds >= 1,
                f"early_stopping_rounds is {self.early_stopping_rounds}; expected 1 or more",
            ),
            (self.smoothing > 0, f"smoothing is {self.smoothing}; expected more than 0"),
            (
                self.served_form in ("measured", *ServedForm),
                f"served_form is {self.served_form!r}; expected measured, {' or '.join(ServedForm)}",
            ),
        ]
        wrong = [sentence for holds, sentence in problems if not holds]
        if wrong:
            raise ValueError("; ".join(wrong))

    def for_lightgbm(self) -> dict[str, Any]:
        """Deterministic by seed: same rows, same trees, whatever the number of threads."""
        ours = {"num_iterations", "early_stopping_rounds", "smoothing", "served_form"}
        return {
            **{name: value for name, value in asdict(self).items() if name not in ours},
            "objective": "binary",
            "metric": "binary_logloss",
            "bagging_freq": int(self.bagging_fraction < 1),
            "deterministic": True,
            "force_row_wise": True,
            "verbosity": -1,
        }


def train_booster(
    matrix: np.ndarray,
    labels: np.ndarray,
    *,
    names: Sequence[str],
    categorical: Sequence[int],
    parameters: Parameters,
    validation: tuple[np.ndarray, np.ndarray] | None = None,
    rounds: int | None = None,
    overrides: Mapping[str, Any] | None = None,
) -> lightgbm.Booster:
    """Train, and keep the iteration that was best on the validation rows.

    Parameters
    ----------
    matrix : float32 array of shape (N, F)
    labels : array of shape (N,), 0 or 1
    names : F names
    categorical : places of category codes in F
    validation : (matrix, labels), optional
        Later rows; without them every round of `rounds` is kept.
    rounds : int, optional
        Instead of `parameters.num_iterations`.
    overrides : mapping, optional
        LightGBM parameters that win over `parameters`, e.g. another seed.
    """
    settings = {**parameters.for_lightgbm(), **(overrides or {})}
    train = lightgbm.Dataset(
        matrix,
        labels,
        feature_name=list(names),
        categorical_feature=list(categorical),
        params=settings,
        free_raw_data=True,
    )
    limit = rounds or parameters.num_iterations
    if validation is None:
        return lightgbm.train(settings, train, num_boost_round=limit)
    later = lightgbm.Dataset(*validation, reference=train, params=settings)
    stop = lightgbm.early_stopping(parameters.early_stopping_rounds, verbose=False)
    return lightgbm.train(settings, train, num_boost_round=limit, valid_sets=[later], callbacks=[stop])


def margins(booster: lightgbm.Booster, matrix: np.ndarray, *, threads: int = 1) -> np.ndarray:
    """Raw scores (log odds) of shape (N,), by the best iteration."""
    return np.asarray(booster.predict(matrix, raw_score=True, num_threads=threads), np.float64)


def attributions(
    booster: lightgbm.Booster, matrix: np.ndarray, sources: Sequence[tuple[str, ...]], columns: Sequence[str]
) -> dict[str, float]:
    """Mean |SHAP| per declared column, in log odds.

    TreeSHAP (Lundberg et al. 2020, Nature Machine Intelligence 2). The matrix's columns made of one declared column are
    added before the absolute value is taken; one made of two (a cross) is shared equally between them.
    """
    shap = np.asarray(booster.predict(matrix, pred_contrib=True, num_threads=2))[:, :-1]
    place = {name: index for index, name in enumerate(columns)}
    total = np.zeros((len(matrix), len(columns)))
    for index, parts in enumerate(sources):
        for part in parts:
            total[:, place[part]] += shap[:, index] / len(parts)
    return {name: float(value) for name, value in zip(columns, np.abs(total).mean(0), strict=True)}
