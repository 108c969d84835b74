"""The gate: both sides of each edge, and a reason for each answer."""

from __future__ import annotations

import copy

import pytest

from evaluation.gate import EXPECTED, Thresholds, decide_gate

GOOD = {
    "recall": {"recall_at_10": 0.1, "recall_at_50": 0.3, "recall_at_100": 0.5, "ndcg_at_10": 0.2, "coverage": 0.8},
    "ranking": {"auc": 0.7, "log_loss": 0.3, "ndcg_at_10": 0.5, "calibration_error": 0.02},
}
FIRST = Thresholds(popularity_recall_at_100=0.4)


def changed(stage: str, name: str, value: object) -> dict:
    figures = copy.deepcopy(GOOD)
    figures[stage][name] = value
    return figures


def test_a_good_first_release_passes_and_says_by_what():
    gate = decide_gate(GOOD, None, FIRST)
    assert gate.passed
    assert "recall.recall_at_100 0.5000, most popular items 0.4000" in gate.reasons


@pytest.mark.parametrize(
    ("stage", "name", "value", "passed"),
    [
        pytest.param("recall", "recall_at_100", 0.4001, True, id="just better than popularity"),
        pytest.param("recall", "recall_at_100", 0.4, False, id="no better than popularity"),
        pytest.param("ranking", "auc", 0.52, True, id="AUC at the floor"),
        pytest.param("ranking", "auc", 0.5199, False, id="AUC below the floor"),
        pytest.param("ranking", "calibration_error", 0.05, True, id="calibration at the ceiling"),
        pytest.param("ranking", "calibration_error", 0.0501, False, id="calibration beyond the ceiling"),
    ],
)
def test_floors_of_a_first_release(stage, name, value, passed):
    gate = decide_gate(changed(stage, name, value), None, FIRST)
    assert gate.passed is passed
    if not passed:
        assert len(gate.reasons) == 1
        assert gate.reasons[0].startswith(f"{stage}.{name}")


@pytest.mark.parametrize(("stage", "name"), [(stage, name) for stage, names in EXPECTED.items() for name in names])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), None, "0.5", True])
def test_a_figure_that_is_no_finite_number_is_rejected_by_name(stage, name, value):
    gate = decide_gate(changed(stage, name, value), None, FIRST)
    assert not gate.passed
    assert gate.reasons == (f"candidate {stage}.{name} is {value}; expected a finite number",)


@pytest.mark.parametrize("stage", ["recall", "ranking"])
def test_a_missing_stage_is_rejected_with_every_figure_it_lacks(stage):
    gate = decide_gate({other: GOOD[other] for other in GOOD if other != stage}, None, FIRST)
    assert gate.reasons == tuple(f"candidate {stage}.{name} is missing" for name in EXPECTED[stage])


def test_a_champion_without_figures_rejects_too_because_nothing_was_compared():
    gate = decide_gate(GOOD, changed("ranking", "auc", float("nan")), Thresholds())
    assert not gate.passed
    assert gate.reasons == ("champion ranking.auc is nan; expected a finite number",)


@pytest.mark.parametrize(
    ("stage", "name", "value", "passed"),
    [
        pytest.param("recall", "recall_at_100", 0.476, True, id="recall 4.8 % below"),
        pytest.param("recall", "recall_at_100", 0.474, False, id="recall 5.2 % below"),
        pytest.param("recall", "coverage", 0.41, True, id="coverage just above half"),
        pytest.param("recall", "coverage", 0.39, False, id="coverage below half"),
        pytest.param("ranking", "auc", 0.6861, True, id="AUC just within 2 %"),
        pytest.param("ranking", "auc", 0.685, False, id="AUC beyond 2 %"),
        pytest.param("ranking", "log_loss", 0.308, True, id="log loss 2.7 % above"),
        pytest.param("ranking", "log_loss", 0.31, False, id="log loss 3.3 % above"),
        pytest.param("ranking", "log_loss", 0.1, True, id="lower log loss is better"),
    ],
)
def test_tolerance_against_a_champion(stage, name, value, passed):
    gate = decide_gate(changed(stage, name, value), GOOD, Thresholds())
    assert gate.passed is passed
    if not passed:
        assert len(gate.reasons) == 1
        assert f"{stage}.{name}" in gate.reasons[0]
        assert "worse by" in gate.reasons[0]


@pytest.mark.parametrize(
    ("low", "high", "passed"),
    [
        pytest.param(-0.2, 0.0, True, id="the interval reaches 0"),
        pytest.param(-0.2, -0.001, False, id="the interval excludes 0"),
        pytest.param(float("nan"), float("nan"), False, id="no interval excuses nothing"),
    ],
)
def test_a_loss_beyond_tolerance_is_forgiven_only_where_it_may_be_chance(low, high, passed):
    worse = changed("recall", "recall_at_100", 0.4)
    gate = decide_gate(worse, GOOD, Thresholds(), {"recall.recall_at_100": {"low": low, "high": high}})
    assert gate.passed is passed


def test_floors_hold_beside_a_champion_that_is_no_better():
    poor = changed("ranking", "auc", 0.51)
    assert not decide_gate(poor, poor, Thresholds()).passed


def test_a_champion_no_better_than_popularity_may_still_be_replaced():
    assert decide_gate(GOOD, GOOD, Thresholds(popularity_recall_at_100=0.9)).passed
