"""Every metric beside its definition, written out by brute force."""

from __future__ import annotations

import doctest
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluation import metrics


def lists(seed: int, users: int = 20, places: int = 12) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    hits = rng.random((users, places)) < 0.3
    return hits, np.maximum(hits.sum(1) + rng.integers(0, 3, users), 1)


def test_the_examples_in_the_docstrings_hold():
    assert doctest.testmod(metrics).failed == 0


@pytest.mark.parametrize("k", [1, 5, 12])
def test_recall_and_ndcg_are_their_definitions(k):
    hits, relevant = lists(k)
    recall, ndcg = metrics.recall_at_k(hits, relevant, k), metrics.ndcg_at_k(hits, relevant, k)
    for user in range(len(hits)):
        gained = sum(1 / math.log2(place + 2) for place in range(k) if hits[user, place])
        best = sum(1 / math.log2(place + 2) for place in range(min(k, relevant[user])))
        assert recall[user] == pytest.approx(sum(hits[user, :k]) / relevant[user])
        assert ndcg[user] == pytest.approx(gained / best)


def test_hits_first_is_the_best_ndcg_and_hits_last_the_worst():
    first = np.array([[True, True, False, False]])
    assert metrics.ndcg_at_k(first, np.array([2]), 4)[0] == 1
    assert metrics.ndcg_at_k(first[:, ::-1], np.array([2]), 4)[0] < 0.7
    assert metrics.ndcg_at_k(first[:, ::-1], np.array([2]), 2)[0] == 0


@pytest.mark.parametrize(
    ("k", "relevant", "sentence"),
    [(0, 1, "k is 0"), (4, 1, "expected 1 to 3"), (2, 0, "no relevant item")],
)
def test_a_list_metric_that_is_not_defined_is_refused(k, relevant, sentence):
    for metric in (metrics.recall_at_k, metrics.ndcg_at_k):
        with pytest.raises(ValueError, match=sentence):
            metric(np.ones((1, 3), bool), np.array([relevant]), k)


@given(
    rows=st.lists(st.tuples(st.integers(0, 1), st.integers(0, 5), st.integers(0, 3)), min_size=2, max_size=30),
)
def test_auc_is_the_share_of_pairs_in_order_ties_half_under_any_weights(rows):
    labels, scores, weights = (np.array(column, float) for column in zip(*rows, strict=True))
    pairs = total = 0.0
    for row in range(len(rows)):
        for other in range(len(rows)):
            if labels[row] > labels[other]:
                both = weights[row] * weights[other]
                total += both
                pairs += both * ((scores[row] > scores[other]) + 0.5 * (scores[row] == scores[other]))
    found = metrics.auc_statistic(labels, scores)(weights)
    assert found == pytest.approx(pairs / total) if total else math.isnan(found)


def test_auc_of_one_class_is_not_a_number():
    assert math.isnan(metrics.auc(np.ones(5), np.arange(5.0)))


def test_log_loss_is_its_definition_and_stays_finite_at_certainty():
    labels, probabilities = np.array([1.0, 0.0, 1.0]), np.array([0.7, 0.2, 0.0])
    expected = -(math.log(0.7) + math.log(0.8) + math.log(metrics.SMALLEST)) / 3
    assert metrics.log_loss(labels, probabilities) == pytest.approx(expected)


def test_weights_count_rows_as_often_as_they_say():
    rng = np.random.default_rng(0)
    labels, scores, weights = rng.integers(0, 2, 50).astype(float), rng.random(50), rng.integers(0, 4, 50)
    repeated = np.repeat(labels, weights), np.repeat(scores, weights)
    assert metrics.auc_statistic(labels, scores)(weights.astype(float)) == pytest.approx(metrics.auc(*repeated))
    assert metrics.log_loss_statistic(labels, scores)(weights) == pytest.approx(metrics.log_loss(*repeated))


def test_calibration_error_is_the_weighted_gap_of_the_bins():
    rng = np.random.default_rng(1)
    probabilities = rng.random(1000) ** 3
    labels = (rng.random(1000) < probabilities / 2).astype(float)
    group = metrics.equal_mass_bins(probabilities, 10)
    sizes = np.bincount(group)
    assert len(sizes) == 10
    assert sizes.max() - sizes.min() <= 2
    expected = sum(
        (group == bin_).mean() * abs(probabilities[group == bin_].mean() - labels[group == bin_].mean())
        for bin_ in range(10)
    )
    assert metrics.calibration_error(labels, probabilities) == pytest.approx(expected)
    assert expected == pytest.approx(probabilities.mean() / 2, rel=0.2)


def test_true_probabilities_are_calibrated_up_to_chance():
    rng = np.random.default_rng(2)
    probabilities = rng.random(100_000) * 0.2
    labels = (rng.random(100_000) < probabilities).astype(float)
    assert metrics.calibration_error(labels, probabilities) < 0.005


def test_one_probability_for_all_rows_is_one_bin():
    assert metrics.calibration_error(np.array([1.0, 0, 0, 0]), np.full(4, 0.5)) == pytest.approx(0.25)


@pytest.mark.parametrize("metric", [metrics.auc, metrics.log_loss, metrics.calibration_error])
@pytest.mark.parametrize(
    ("labels", "scores", "sentence"),
    [([], [], "N > 0"), ([1.0], [0.5, 0.5], "same"), ([1.0, 0.0], [0.5, np.nan], "NaN or infinite")],
)
def test_rows_that_cannot_be_measured_are_refused(metric, labels, scores, sentence):
    with pytest.raises(ValueError, match=sentence):
        metric(np.array(labels), np.array(scores))


def test_coverage_counts_each_item_once_and_no_empty_place():
    assert metrics.coverage(np.array([[0, 1], [1, -1], [0, 2]]), 6) == 0.5
    with pytest.raises(ValueError, match="empty catalogue"):
        metrics.coverage(np.array([], int), 0)
