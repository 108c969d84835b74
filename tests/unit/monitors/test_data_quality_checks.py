from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from monitors.data_quality import judge_data_quality
from monitors.distances import drift, linf, robust
from monitors.noise import effective, ks_coefficient
from monitors.window import HOUR_US
from support.monitor_tables import NOON, baseline_of, table

RNG = np.random.default_rng(0)
CITIES = np.array(["Oslo", "Turin", "Ghent"], object)


def people(rows: int = 3000, seed: int = 0, **changes):
    rng = np.random.default_rng(seed)
    columns = {
        "age": rng.integers(18, 70, rows).astype(float),
        "ctr": rng.random(rows),
        "city": CITIES[rng.integers(3, size=rows)],
    }
    return table(**columns | changes)


def checks(now, then=None) -> set[tuple[str, str]]:
    found = judge_data_quality(now, baseline_of(then or people())).violations
    return {(one["feature_name"], one["constraint_check_type"]) for one in found}


def test_more_of_the_same_raises_nothing():
    assert checks(people(seed=5)) == set()


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param({"age": np.full(3000, np.nan)}, ("age", "completeness_check"), id="all null"),
        pytest.param({"ctr": RNG.random(3000) * 100}, ("ctr", "baseline_drift_check"), id="another unit"),
        pytest.param({"age": RNG.random(3000) * 50 + 18}, ("age", "data_type_check"), id="whole numbers no more"),
        pytest.param(
            {"city": np.where(RNG.random(3000) < 0.3, "Graz", CITIES[0])},
            ("city", "categorical_values_check"),
            id="new category",
        ),
        pytest.param(
            {"city": np.where(RNG.random(3000) < 0.9, "Oslo", "Turin")},
            ("city", "baseline_drift_check"),
            id="other shares",
        ),
    ],
)
def test_a_broken_column_is_found_by_its_check(change, expected):
    assert expected in checks(people(seed=5, **change))


def test_a_rare_new_category_is_within_the_threshold():
    city = np.where(RNG.random(3000) < 0.03, "Graz", CITIES[RNG.integers(3, size=3000)])
    assert ("city", "categorical_values_check") not in checks(people(seed=5, city=city))


def test_a_column_less_and_a_column_more_are_named():
    assert ("city", "missing_column_check") in checks(replace(people(seed=5), cells=2))
    assert ("column_4", "extra_column_check") in checks(replace(people(seed=5), cells=4))


def test_ten_times_the_volume_is_no_drift():
    assert checks(people(30_000, seed=6)) == set()


def test_a_few_users_with_many_rows_are_a_few_observations():
    ages = np.repeat([20.0, 21.0, 60.0], 1000)
    found = judge_data_quality(people(seed=5, age=ages, user=np.repeat([0, 1, 2], 1000)), baseline_of(people()))
    assert found.violations == []
    assert any("too few to speak of drift" in note for note in found.notes)


def test_a_weekend_is_compared_with_weekends():
    """Half of the baseline's rows are of Saturdays, when people are 60; on Mondays they are 20."""
    saturday = NOON + 5 * 24 * HOUR_US
    then = people(4000, age=np.repeat([20.0, 60.0], 2000), at_us=np.repeat([NOON, saturday], 2000))
    usual = people(1000, seed=5, age=np.full(1000, 60.0), at_us=np.full(1000, saturday))
    unusual = people(1000, seed=5, age=np.full(1000, 60.0), at_us=np.full(1000, NOON))
    assert ("age", "baseline_drift_check") not in checks(usual, then)
    assert ("age", "baseline_drift_check") in checks(unusual, then)


def test_distances_are_those_worked_out_by_hand():
    first, second = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    assert linf(first, second, ordered=True) == pytest.approx(0.3)
    assert linf(first, np.array([0.1, 0.7, 0.2]), ordered=False) == pytest.approx(0.4)
    assert robust(0.3, 100, 100, 1.8) == pytest.approx(0.3 - 1.8 * np.sqrt(0.02))
    assert effective(np.array([0, 0, 0, 1, 2])) == pytest.approx(25 / 11)


@pytest.mark.parametrize(
    ("method", "ordered", "expected"),
    [
        pytest.param("Simple", True, 0.3, id="Simple is the bare distance"),
        pytest.param("Robust", True, 0.3 - 2.3 * np.sqrt(0.002), id="Robust is what noise leaves of it"),
        pytest.param("LInfinity", False, 0.3 - 2.3 * np.sqrt(0.002), id="LInfinity of shares"),
        pytest.param("ChiSquared", False, np.sqrt(2 * 0.09 / 0.35), id="ChiSquared as an effect size"),
    ],
)
def test_each_method_measures_as_it_says(method, ordered, expected):
    first, second = np.array([0.5, 0.3, 0.2]), np.array([0.2, 0.3, 0.5])
    found = drift(first, second, observations=1000, reference=1000, method=method, ordered=ordered, coefficient=2.3)
    assert found == pytest.approx(expected)


def test_chance_alone_is_no_chi_squared_effect():
    first = np.bincount(RNG.integers(5, size=400), minlength=5) / 400
    found = drift(
        first,
        np.full(5, 0.2),
        observations=400,
        reference=400,
        method="ChiSquared",
        ordered=False,
        coefficient=ks_coefficient(20),
    )
    assert found == 0
