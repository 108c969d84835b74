from __future__ import annotations

import numpy as np
import pytest

from monitors.bias import Rows, bias_constraints, judge_bias, measure_bias
from monitors.explainability import ndcg
from monitors.implied import implied_auc_statistic, implied_lists
from monitors.kll import kll, rank
from monitors.model_quality import judge_model_quality, model_quality_baseline, quality_figures
from monitors.ranking_quality import Catalogue, expected_items, ranking_figures
from monitors.slope import score_slope
from support.monitor_tables import table

RNG = np.random.default_rng(1)
ROWS = 8000
FIRST = 1 / (1 + np.exp(-RNG.normal(-2, 0.8, ROWS)))
PLACE = np.tile(np.arange(1.0, 11.0), ROWS // 10)
SHOWN = FIRST * PLACE**-0.3
USER = np.repeat(np.arange(ROWS // 10), 10)


def clicks(chances: np.ndarray, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(len(chances)) < chances).astype(float)


STATISTICS, CONSTRAINTS = model_quality_baseline(quality_figures(clicks(SHOWN, 1), SHOWN, FIRST, USER, 0.2), ROWS)


def judged(labels: np.ndarray, *, complete: bool) -> set[str]:
    found = judge_model_quality(
        labels, SHOWN, FIRST, USER, threshold=0.2, statistics=STATISTICS, constraints=CONSTRAINTS, complete=complete
    )
    return {one["metric_name"] for one in found.violations}


def test_a_ranker_that_is_right_violates_nothing():
    assert judged(clicks(SHOWN, 2), complete=True) == set()


def test_clicks_that_follow_the_place_alone_are_a_broken_score():
    chance = SHOWN.mean() * PLACE**-0.3 / (PLACE**-0.3).mean()
    assert {"score_slope", "auc_shortfall"} <= judged(clicks(chance, 3), complete=False)


@pytest.mark.parametrize(
    ("complete", "expected"),
    [
        pytest.param(False, set(), id="more may come: nothing is said"),
        pytest.param(True, {"calibration_ratio", "log_loss_excess"}, id="none will come: fewer clicks than promised"),
    ],
)
def test_labels_that_are_missing_count_only_when_no_more_will_come(complete, expected):
    labels = clicks(SHOWN, 4) * (np.random.default_rng(5).random(ROWS) < 0.3)
    assert judged(labels, complete=complete) == expected & judged(labels, complete=complete)
    assert ("calibration_ratio" in judged(labels, complete=complete)) is complete


def test_no_click_at_all_is_undecided_while_labels_are_fresh():
    assert judged(np.zeros(ROWS), complete=False) == set()


def test_few_samples_have_no_deviation():
    few = slice(0, 150)
    found = quality_figures(clicks(SHOWN, 6)[few], SHOWN[few], FIRST[few], USER[few], 0.2)
    assert found["auc"].to_document(150)["standard_deviation"] == "NaN"


def test_the_slope_of_true_scores_is_one_and_of_strangers_none():
    slope, sigma = score_slope(clicks(SHOWN, 7), FIRST, SHOWN, USER)
    assert abs(slope - 1) < 4 * sigma
    strangers = np.random.default_rng(8).permutation(FIRST)
    slope, sigma = score_slope(clicks(SHOWN, 7), strangers, strangers * PLACE**-0.3, USER)
    assert abs(slope) < 4 * sigma


def test_implied_auc_is_the_mean_over_drawn_labels():
    from evaluation.metrics import auc

    drawn = np.mean([auc(clicks(SHOWN, seed), SHOWN) for seed in range(30)])
    assert implied_auc_statistic(SHOWN)(np.ones(ROWS)) == pytest.approx(drawn, abs=0.005)


def test_an_expected_list_is_that_of_its_chances():
    chances = np.array([[0.0, 1.0, 0.0]])
    expected, chance = implied_lists(chances, np.ones((1, 3), bool), lambda hits: hits.argmax(1).astype(float))
    assert (expected.tolist(), chance.tolist()) == ([1.0], [1.0])


def groups(called_of_young: float) -> Rows:
    rng = np.random.default_rng(3)
    band = np.repeat(["18-24", "25-34"], 2000).astype(object)
    called = rng.random(4000) < np.repeat([called_of_young, 0.4], 2000)
    return Rows({"age_band": band}, called, np.full(4000, np.nan), np.arange(4000) // 4)


def test_bias_metrics_are_those_worked_out_by_hand():
    rows = Rows(
        {"facet": np.repeat(["d", "a"], 200).astype(object)},
        called=np.tile([True, False], 200) & np.r_[np.tile([True, True, False, False], 50), np.ones(200, bool)],
        label=np.r_[np.ones(200), np.zeros(200)],
        user=np.arange(400) // 2,
    )
    found = {one.metric: one.figure for one in measure_bias(rows) if one.value == "d"}
    assert found["DPPL"] == pytest.approx(0.5 - 0.25)
    assert found["DI"] == pytest.approx(0.25 / 0.5)
    assert found["AD"] == pytest.approx(0.5 - 0.25)


def test_a_group_that_is_treated_otherwise_is_bias_drift_and_chance_is_not():
    constraints = bias_constraints(measure_bias(groups(0.4)))
    assert judge_bias(groups(0.41), constraints, complete=True).violations == []
    found = judge_bias(groups(0.1), constraints, complete=True)
    assert {("age_band", "18-24", "DPPL"), ("age_band", "18-24", "DI")} <= {
        (one["facet"], one["facet_value"], one["metric_name"]) for one in found.violations
    }
    assert found.document()["version"] == "1.0"


def test_attributions_in_the_same_order_are_alike_whatever_their_size():
    before = np.array([0.5, 0.3, 0.1])
    assert ndcg(before, before * 7) == pytest.approx(1)
    swapped = (0.3 + 0.5 / np.log2(3) + 0.1 / 2) / (0.5 + 0.3 / np.log2(3) + 0.1 / 2)
    assert ndcg(before, np.array([0.2, 0.9, 0.1])) == pytest.approx(swapped)


def test_coverage_is_compared_at_the_same_number_of_users():
    shown_to = np.array([3, 1, 1])
    assert expected_items(shown_to, 3, 3)[0] == pytest.approx(3)
    assert expected_items(shown_to, 3, 1)[0] == pytest.approx(1 + 2 / 3)


def test_ranking_figures_of_two_lists():
    lists = table(
        x=np.zeros(4),
        user=[0, 0, 1, 1],
        request=[0, 0, 1, 1],
        item=["a", "b", "a", "c"],
        position=[1, 2, 1, 2],
        label=[0, 1, 1, 0],
    )
    catalogue = Catalogue(4, {"a": 1.0, "b": 3.0, "c": 5.0}, 9.0, np.array([2, 1, 1]), 2)
    found = ranking_figures(lists, np.full(4, 0.5), catalogue)
    assert found["ndcg_at_10"].value == pytest.approx((1 / np.log2(3) + 1) / 2)
    assert found["recall_at_5"].value == 1
    assert found["precision_at_10"].value == 0.5
    assert found["coverage"].value == 0.75
    assert found["novelty"].value == pytest.approx((1 + 3 + 1 + 5) / 4)


@pytest.mark.parametrize("rows", [1, 2048, 2049, 10_000])
def test_a_sketch_stands_for_every_row_and_keeps_ranks(rows):
    values = np.random.default_rng(rows).normal(size=rows)
    data = kll(values)["sketch"]["data"]
    assert sum(len(level) << height for height, level in enumerate(data)) == rows
    assert rank(data, float(np.median(values))) == pytest.approx(0.5, abs=0.01 + 0.5 / rows)
