"""The search space is held to the training programs: every name, both ends of every range, every value of a grid."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import pytest

from ranker import boosting
from two_tower import parameters as tower
from understudy.domain.search_space import SEARCH_SPACE, Range, known, parameter_ranges, searched
from understudy.domain.tuning import METRICS

PROGRAMS: dict[str, Any] = {"two_tower": tower.Parameters, "ranker": boosting.Parameters}
RANGES = [(model, each) for model, ranges in SEARCH_SPACE.items() for each in ranges]


@pytest.mark.parametrize(("model", "each"), RANGES, ids=lambda value: getattr(value, "name", value))
def test_a_training_takes_what_a_search_may_choose(model: str, each: Range):
    default = asdict(PROGRAMS[model]())[each.name]
    ends = [each.read(str(int(end)) if each.kind == "integer" else repr(end)) for end in (each.low, each.high)]
    for value in [*ends, *map(each.read, each.grid)]:
        assert type(value) is type(default)
        PROGRAMS[model](**{each.name: value})  # refuses what it cannot train with
        assert known(model, {each.name: value}) == {each.name: value}  # type: ignore[arg-type]
    assert each.low <= default <= each.high, "today's default would lie outside"


def test_every_model_has_a_metric_and_its_log_holds_it():
    assert METRICS.keys() == SEARCH_SPACE.keys()
    assert METRICS["two_tower"] in tower.STOP_METRICS
    assert METRICS["two_tower"] == tower.Parameters().stop_metric  # what keeps an epoch is what chooses a trial


def test_numbers_of_a_range_are_written_as_sagemaker_reads_them():
    found = parameter_ranges(searched("ranker", {"lambda_l2", "feature_fraction", "smoothing"}), "Bayesian", 16)
    assert found["IntegerParameterRanges"][0] == {
        "Name": "num_leaves", "MinValue": "7", "MaxValue": "127", "ScalingType": "Logarithmic",
    }  # fmt: skip
    assert [row["Name"] for row in found["ContinuousParameterRanges"]] == ["learning_rate"]
