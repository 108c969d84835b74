"""The ONNX form scores as LightGBM does: at thresholds, for missing values, and for values training never saw."""

from __future__ import annotations

import numpy as np
import onnx
import pytest

from ranker.boosting import Parameters, margins, train_booster
from ranker.export import NotExportable, to_onnx
from ranker.scorer import booster_margins, onnx_margins

PARAMETERS = Parameters(num_iterations=30, num_leaves=15, min_data_in_leaf=5, num_threads=1)


def train(rng: np.random.Generator, categorical: tuple[int, ...] = ()):
    matrix = rng.normal(size=(1500, 4)).astype(np.float32)
    matrix[:, 1] = np.round(matrix[:, 1], 1)
    matrix[rng.random(1500) < 0.2, 2] = np.nan
    matrix[:, 3] = rng.integers(0, 12, 1500)
    odds = matrix[:, 0] + np.where(np.isnan(matrix[:, 2]), 1, -matrix[:, 2]) + (matrix[:, 3] % 3 == 0)
    labels = (rng.random(1500) < 1 / (1 + np.exp(-odds))).astype(float)
    booster = train_booster(matrix, labels, names=list("abcd"), categorical=categorical, parameters=PARAMETERS)
    return booster, matrix


def thresholds(tree: dict) -> list[tuple[int, float]]:
    if "split_feature" not in tree:
        return []
    here = [(tree["split_feature"], tree["threshold"])]
    return here + thresholds(tree["left_child"]) + thresholds(tree["right_child"])


def test_scores_are_equal_on_rows_beside_every_threshold_and_on_missing_values():
    rng = np.random.default_rng(0)
    booster, matrix = train(rng)
    rows = [matrix, np.full((1, 4), np.nan, np.float32), rng.normal(0, 1e6, (50, 4)).astype(np.float32)]
    for tree in booster.dump_model()["tree_info"]:
        for feature, threshold in thresholds(tree["tree_structure"]):
            near = np.float32(threshold)
            beside = matrix[:3].copy()
            beside[:, feature] = [np.nextafter(near, np.float32(-np.inf)), near, np.nextafter(near, np.float32(np.inf))]
            rows.append(beside)
    probe = np.concatenate(rows)
    np.testing.assert_allclose(onnx_margins(to_onnx(booster))(probe), margins(booster, probe), atol=1e-5)


def test_the_text_form_scores_as_the_trainer_with_native_categories():
    booster, matrix = train(np.random.default_rng(1), categorical=(3,))
    served = booster_margins(booster.model_to_string().encode())
    np.testing.assert_array_equal(served(matrix), margins(booster, matrix))


def test_a_categorical_split_is_refused_rather_than_approximated():
    booster, _ = train(np.random.default_rng(1), categorical=(3,))
    with pytest.raises(NotExportable, match="=="):
        to_onnx(booster)


def test_the_export_keeps_the_best_iteration_only():
    rng = np.random.default_rng(2)
    matrix, labels = rng.normal(size=(600, 4)).astype(np.float32), rng.integers(0, 2, 600).astype(float)
    booster = train_booster(
        matrix[:400],
        labels[:400],
        names=list("abcd"),
        categorical=(),
        parameters=PARAMETERS,
        validation=(matrix[400:], labels[400:]),
    )
    model = onnx.load_from_string(to_onnx(booster))
    trees = next(attribute for attribute in model.graph.node[0].attribute if attribute.name == "nodes_treeids")
    assert len(set(trees.ints)) == booster.best_iteration < PARAMETERS.num_iterations
