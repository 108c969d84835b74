from __future__ import annotations

import math

import pytest

from local_account.sagemaker.tuning_optimiser import Tried, propose
from local_account.sagemaker.tuning_request import read_search
from local_account.sagemaker.tuning_rules import is_hopeless, why_over
from local_account.sagemaker.tuning_space import read_space
from local_account.wire import AwsError

SPACE = read_space(
    {
        "IntegerParameterRanges": [{"Name": "leaves", "MinValue": "2", "MaxValue": "64"}],
        "ContinuousParameterRanges": [
            {"Name": "rate", "MinValue": "0.0001", "MaxValue": "0.1", "ScalingType": "Logarithmic"},
            {"Name": "momentum", "MinValue": "0.5", "MaxValue": "0.999", "ScalingType": "ReverseLogarithmic"},
        ],
        "CategoricalParameterRanges": [{"Name": "form", "Values": ["a", "b"]}],
    }
)
GRID = read_space(
    {"CategoricalParameterRanges": [{"Name": "a", "Values": ["1", "2"]}, {"Name": "b", "Values": ["x", "y"]}]}
)


def one(kind: str, low: str, high: str, scaling: str = "Auto") -> dict:
    return {f"{kind}ParameterRanges": [{"Name": "p", "MinValue": low, "MaxValue": high, "ScalingType": scaling}]}


def walk(strategy: str, seed: int, count: int) -> list[Tried]:
    """A search over a bowl whose bottom is at rate 0.003, momentum 0.95, form a."""
    tried: list[Tried] = []
    for _ in range(count):
        found = propose(SPACE, strategy, tried, maximise=False, seed=seed)
        assert found is not None
        loss = (math.log10(float(found["rate"])) + 2.5) ** 2 + (math.log10(1 - float(found["momentum"])) + 1.3) ** 2
        tried.append(Tried(found, loss + (found["form"] == "b"), ended=True))
    return tried


@pytest.mark.parametrize("strategy", ["Bayesian", "Random"])
def test_every_proposal_lies_in_its_range_and_the_same_seed_gives_the_same_walk(strategy):
    tried = walk(strategy, 3, 20)
    for trial in tried:
        assert 2 <= int(trial.parameters["leaves"]) <= 64
        assert 0.0001 <= float(trial.parameters["rate"]) <= 0.1
        assert 0.5 <= float(trial.parameters["momentum"]) <= 0.999
        assert trial.parameters["form"] in ("a", "b")
    assert walk(strategy, 3, 20) == tried
    assert walk(strategy, 4, 20) != tried
    assert len({str(trial.parameters) for trial in tried}) == 20


def test_a_logarithmic_range_is_drawn_evenly_over_its_magnitudes_and_a_reversed_one_towards_one():
    tried = [Tried(propose(SPACE, "Random", [], maximise=True, seed=seed) or {}) for seed in range(200)]
    assert 40 < sum(float(t.parameters["rate"]) < 0.001 for t in tried) < 100  # a third of three magnitudes
    assert sum(float(t.parameters["momentum"]) > 0.95 for t in tried) > 90  # 1.7 of 2.7 magnitudes


def test_bayesian_finds_lower_ground_than_random_on_most_seeds():
    best = {name: [min(t.value or 0.0 for t in walk(name, s, 24)) for s in range(7)] for name in ("Bayesian", "Random")}
    assert sorted(best["Bayesian"])[3] < sorted(best["Random"])[3]


def test_running_and_failed_trials_are_no_obstacle_and_are_not_proposed_again():
    tried = [Tried(t.parameters, None, ended=bool(i % 2)) for i, t in enumerate(walk("Random", 1, 8))]
    found = propose(SPACE, "Bayesian", tried, maximise=True, seed=1)
    assert found is not None
    assert found not in [t.parameters for t in tried]


def test_a_grid_tries_every_combination_once_and_then_nothing():
    tried: list[Tried] = []
    while (found := propose(GRID, "Grid", tried, maximise=True, seed=0)) is not None:
        tried.append(Tried(found))
    assert [tuple(t.parameters.values()) for t in tried] == [("1", "x"), ("1", "y"), ("2", "x"), ("2", "y")]


@pytest.mark.parametrize(
    ("ranges", "said"),
    [
        ({}, "no hyperparameter"),
        (one("Integer", "5", "1"), "MinValue at most MaxValue"),
        (one("Integer", "1.5", "3"), "expected integer numbers"),
        (one("Continuous", "nan", "1"), "MinValue at most MaxValue"),
        (one("Continuous", "0", "1", "Logarithmic"), "above 0"),
        (one("Continuous", "0.5", "1", "ReverseLogarithmic"), "within 0 <= x < 1"),
        (one("Integer", "0", "0", "ReverseLogarithmic"), "within 0 <= x < 1"),
        ({"CategoricalParameterRanges": [{"Name": "p", "Values": ["a", "a"]}]}, "each once"),
        (one("Integer", "1", "2") | one("Continuous", "1", "2"), "more than one range: p"),
        ({"AutoParameters": [{"Name": "p", "ValueHint": "1"}]}, "Autotune"),
    ],
)
def test_a_range_that_is_none_is_refused_with_its_reason(ranges, said):
    with pytest.raises(AwsError, match=said):
        read_space(ranges)


@pytest.mark.parametrize(("high", "scaling"), [("0.1", "Linear"), ("0.101", "Logarithmic")])
def test_auto_scaling_is_logarithmic_beyond_two_magnitudes(high, scaling):
    assert read_space(one("Continuous", "0.001", high))[0].scaling == scaling


OTHERS = [[0.0, 0.5, 0.5], [0.25, 0.75, 0.6], [0.5, 1.0, 0.7]]  # running averages at epoch 2: .25 .5 .75


@pytest.mark.parametrize(
    ("curve", "others", "maximise", "hopeless"),
    [
        pytest.param([0.0, 0.49], OTHERS, True, True, id="just under the median of running averages"),
        pytest.param([0.0, 0.5], OTHERS, True, False, id="at the median"),
        pytest.param([0.9, 0.49], OTHERS, True, True, id="the value now counts, not an earlier one"),
        pytest.param([0.9, 0.51], OTHERS, False, True, id="higher is worse when minimising"),
        pytest.param([0.9, 0.5], OTHERS, False, False, id="minimising, at the median"),
        pytest.param([0.0, 0.49], OTHERS[:2], True, False, id="two curves judge nobody"),
        pytest.param([0.0, 0.0, 0.0, 0.0], OTHERS, True, False, id="an epoch nobody reached judges nobody"),
        pytest.param([], OTHERS, True, False, id="nothing measured yet"),
    ],
)
def test_the_median_rule(curve, others, maximise, hopeless):
    assert is_hopeless(curve, others, maximise=maximise) is hopeless


@pytest.mark.parametrize(
    ("criteria", "values", "seconds", "over"),
    [
        ({}, [1.0, 2.0, 3.0], 119.0, None),
        ({}, [], 120.0, "MaxRuntimeInSeconds"),
        ({"TargetObjectiveMetricValue": 0.9}, [0.5, 0.89], 0.0, None),
        ({"TargetObjectiveMetricValue": 0.9}, [0.5, 0.9], 0.0, "target"),
        ({"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 2}}, [0.5, 0.4], 0.0, None),
        ({"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 2}}, [0.5, 0.4, 0.3], 0.0, "last 2"),
        ({"BestObjectiveNotImproving": {"MaxNumberOfTrainingJobsNotImproving": 2}}, [0.3, 0.4, 0.5], 0.0, None),
    ],
)
def test_a_search_is_over_when_its_criteria_say_so(criteria, values, seconds, over):
    found = why_over(criteria, values, maximise=True, seconds=seconds, limit_s=120)
    assert found is None if over is None else over in str(found)


def asked(**config: object) -> dict:
    return {
        "HyperParameterTuningJobName": "t",
        "HyperParameterTuningJobConfig": {
            "Strategy": "Random",
            "HyperParameterTuningJobObjective": {"Type": "Maximize", "MetricName": "score"},
            "ResourceLimits": {"MaxNumberOfTrainingJobs": 3, "MaxParallelTrainingJobs": 1},
            "ParameterRanges": one("Integer", "1", "5"),
            **config,
        },
        "TrainingJobDefinition": {
            "AlgorithmSpecification": {"MetricDefinitions": [{"Name": "score", "Regex": "s=(.*)"}]},
            "ResourceConfig": {},
        },
    }


def with_(request: dict, **more: object) -> dict:
    return request | more


GRID_RANGES = {"CategoricalParameterRanges": [{"Name": "a", "Values": ["1", "2", "3"]}]}


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        (asked(Strategy="Hyperband"), "Hyperband"),
        (with_(asked(), WarmStartConfig={}), "warm start"),
        (with_(asked(), TrainingJobDefinitions=[]), "several training job definitions"),
        (with_(asked(), Autotune={"Mode": "Enabled"}), "Autotune"),
        (asked(Strategy="Grid"), "categorical ranges only; p"),
        (
            asked(
                Strategy="Grid",
                ParameterRanges=GRID_RANGES,
                ResourceLimits={"MaxNumberOfTrainingJobs": 2, "MaxParallelTrainingJobs": 1},
            ),
            "number of its combinations, 3",
        ),
        (asked(ResourceLimits={"MaxParallelTrainingJobs": 1}), "MaxNumberOfTrainingJobs is needed"),
        (
            asked(HyperParameterTuningJobObjective={"Type": "Maximize", "MetricName": "other"}),
            "none of the MetricDefinitions: score",
        ),
        (
            with_(
                asked(),
                TrainingJobDefinition={**asked()["TrainingJobDefinition"], "StaticHyperParameters": {"p": "1"}},
            ),
            "static and have a range: p",
        ),
    ],
)
def test_what_is_not_played_is_refused_by_name(request_, said):
    with pytest.raises(AwsError, match=said):
        read_search(request_)


def test_a_grid_without_a_number_has_as_many_jobs_as_combinations():
    limits = {"MaxParallelTrainingJobs": 2}
    assert read_search(asked(Strategy="Grid", ParameterRanges=GRID_RANGES, ResourceLimits=limits)).most == 3
