"""What a CreateHyperParameterTuningJob asks for, read and checked; what the local account does not play is refused by name."""

from __future__ import annotations

import math
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from local_account.sagemaker.errors import invalid
from local_account.sagemaker.room import Params
from local_account.sagemaker.tuning_space import Space, read_space

STRATEGIES = ("Bayesian", "Random", "Grid")
OBJECTIVE = "_tuning_objective_metric"  # the hyperparameter by which a training job knows that it is a trial
_UNPLAYED = {
    "TrainingJobDefinitions": "several training job definitions",
    "WarmStartConfig": "a warm start from earlier tuning jobs",
    "Autotune": "Autotune",
}


@dataclass(frozen=True, slots=True)
class Search:
    """One tuning job's question.

    Attributes
    ----------
    most : int
        Training jobs at most; of a grid, exactly.
    seed : int
        `RandomSeed`, or one made of the job's name: the same job asks for the same trials.
    """

    strategy: str
    space: Space
    metric: str
    maximise: bool
    most: int
    parallel: int
    limit_s: float | None
    stops_early: bool
    criteria: dict[str, Any]
    seed: int


def read_search(params: Params) -> Search:
    """The question of a Create call, or of a tuning job's record.

    Raises
    ------
    AwsError
        `ValidationException` naming what is missing, wrong or not played.
    """
    config = params["HyperParameterTuningJobConfig"]
    for member, words in _UNPLAYED.items():
        if member in params:
            raise invalid(f"The local account does not play {words} ({member}) in tuning jobs")
    if config["Strategy"] not in STRATEGIES:
        raise invalid(
            f"The local account does not play the strategy {config['Strategy']}; it plays {', '.join(STRATEGIES)}"
        )
    _check_definition(params)
    objective, limits = config["HyperParameterTuningJobObjective"], config["ResourceLimits"]
    space = read_space(config.get("ParameterRanges", {}))
    _check_static(params, space)
    if "ConvergenceDetected" in config.get("TuningJobCompletionCriteria", {}):
        raise invalid("The local account does not play TuningJobCompletionCriteria.ConvergenceDetected")
    name = params["HyperParameterTuningJobName"]
    return Search(
        strategy=config["Strategy"],
        space=space,
        metric=objective["MetricName"],
        maximise=objective["Type"] == "Maximize",
        most=_most(config["Strategy"], limits.get("MaxNumberOfTrainingJobs"), space),
        parallel=limits["MaxParallelTrainingJobs"],
        limit_s=limits.get("MaxRuntimeInSeconds"),
        stops_early=config.get("TrainingJobEarlyStoppingType") == "Auto",
        criteria=config.get("TuningJobCompletionCriteria", {}),
        seed=config.get("RandomSeed", int(sha256(name.encode()).hexdigest()[:8], 16)),
    )


def _check_definition(params: Params) -> None:
    definition = params.get("TrainingJobDefinition")
    if definition is None:
        raise invalid("A tuning job needs a TrainingJobDefinition")
    for member in ("HyperParameterTuningResourceConfig", "HyperParameterRanges", "TuningObjective"):
        if member in definition:
            raise invalid(f"The local account does not play TrainingJobDefinition.{member}")
    if "ResourceConfig" not in definition:
        raise invalid("TrainingJobDefinition needs a ResourceConfig")
    objective = params["HyperParameterTuningJobConfig"].get("HyperParameterTuningJobObjective")
    if objective is None:
        raise invalid("HyperParameterTuningJobConfig needs a HyperParameterTuningJobObjective")
    defined = [row["Name"] for row in definition["AlgorithmSpecification"].get("MetricDefinitions", [])]
    if objective["MetricName"] not in defined:
        raise invalid(
            f"The objective metric {objective['MetricName']} is none of the MetricDefinitions: {', '.join(defined) or 'none'}"
        )


def _check_static(params: Params, space: Space) -> None:
    static = params["TrainingJobDefinition"].get("StaticHyperParameters", {})
    if both := sorted({dimension.name for dimension in space} & static.keys()):
        raise invalid(f"Hyperparameters that are static and have a range: {', '.join(both)}")


def _most(strategy: str, asked: int | None, space: Space) -> int:
    if strategy != "Grid":
        if asked is None:
            raise invalid(f"ResourceLimits.MaxNumberOfTrainingJobs is needed for the strategy {strategy}")
        return asked
    if numbers := [dimension.name for dimension in space if dimension.kind != "categorical"]:
        raise invalid(f"The strategy Grid takes categorical ranges only; {', '.join(numbers)} are none")
    every = math.prod(len(dimension.values) for dimension in space)
    if asked is not None and asked != every:
        raise invalid(
            f"MaxNumberOfTrainingJobs of a grid is the number of its combinations, {every}, or not given; it is {asked}"
        )
    return every
