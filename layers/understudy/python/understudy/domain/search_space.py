"""Which hyperparameters a search may change, and how far: the rest stays as the deployment has it.

A contract test holds every name and both ends of every range to the training programs.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from understudy.contracts.nightly import Parameters, Scalar
from understudy.contracts.tuning import Model, Strategy


@dataclass(frozen=True, slots=True)
class Range:
    """Both ends belong to it. `grid`: the values that a walk over all combinations takes."""

    name: str
    kind: Literal["integer", "continuous"]
    low: float
    high: float
    scaling: Literal["Linear", "Logarithmic"]
    grid: tuple[str, ...]

    def read(self, text: str) -> Scalar:
        """A tuned value as the hyperparameter's own type."""
        return int(text) if self.kind == "integer" else float(text)


# The most telling first: a grid takes as many as its number of jobs allows.
SEARCH_SPACE: Mapping[Model, tuple[Range, ...]] = {
    "two_tower": (
        Range("learning_rate", "continuous", 0.0001, 0.02, "Logarithmic", ("0.0003", "0.001", "0.003", "0.01")),
        Range("id_dropout", "continuous", 0.0, 0.6, "Linear", ("0.0", "0.2", "0.4")),
        Range("batch_size", "integer", 256, 4096, "Logarithmic", ("512", "1024", "2048")),
        Range("negatives", "integer", 64, 2048, "Logarithmic", ("128", "512", "2048")),
        Range("epochs", "integer", 2, 12, "Linear", ("3", "5", "10")),
    ),
    "ranker": (
        Range("learning_rate", "continuous", 0.02, 0.3, "Logarithmic", ("0.03", "0.06", "0.12", "0.24")),
        Range("num_leaves", "integer", 7, 127, "Logarithmic", ("7", "15", "31", "63")),
        Range("min_data_in_leaf", "integer", 10, 500, "Logarithmic", ("20", "50", "200")),
        Range("lambda_l2", "continuous", 0.1, 100.0, "Logarithmic", ("1.0", "5.0", "25.0")),
        Range("feature_fraction", "continuous", 0.3, 1.0, "Linear", ("0.5", "0.7", "1.0")),
        Range("smoothing", "continuous", 1.0, 200.0, "Logarithmic", ("5.0", "20.0", "80.0")),
    ),
}


def searched(model: Model, fixed: Collection[str]) -> tuple[Range, ...]:
    """The ranges of a model, without those that the deployment has fixed: a search could not change them."""
    return tuple(each for each in SEARCH_SPACE[model] if each.name not in fixed)


def parameter_ranges(ranges: tuple[Range, ...], strategy: Strategy, jobs: int) -> dict[str, Any]:
    """SageMaker's `ParameterRanges`; a grid has categories only, of as many parameters as `jobs` combinations allow."""
    if strategy == "Grid":
        return {"CategoricalParameterRanges": [{"Name": r.name, "Values": list(r.grid)} for r in _grid(ranges, jobs)]}
    found: dict[str, Any] = {"IntegerParameterRanges": [], "ContinuousParameterRanges": []}
    for each in ranges:
        low, high = (str(int(end)) if each.kind == "integer" else repr(end) for end in (each.low, each.high))
        row = {"Name": each.name, "MinValue": low, "MaxValue": high, "ScalingType": each.scaling}
        found["IntegerParameterRanges" if each.kind == "integer" else "ContinuousParameterRanges"].append(row)
    return found


def _grid(ranges: tuple[Range, ...], jobs: int) -> list[Range]:
    """The first one always, cut to `jobs` values by nobody: two combinations too many are better than no search."""
    taken = [ranges[0]]
    combinations = len(ranges[0].grid)
    for each in ranges[1:]:
        if combinations * len(each.grid) > jobs:
            break
        taken.append(each)
        combinations *= len(each.grid)
    return taken


def known(model: Model, parameters: Mapping[str, Scalar]) -> Parameters:
    """Tuned parameters that the code of today may still be given: within its search space, of the right kind.

    A parameter that a later version of the program no longer has would fail every night.
    """
    ranges = {each.name: each for each in SEARCH_SPACE[model]}
    return {
        name: value
        for name, value in parameters.items()
        if name in ranges
        and isinstance(value, int | float)
        and not isinstance(value, bool)
        and ranges[name].low <= value <= ranges[name].high
        and (ranges[name].kind == "continuous" or isinstance(value, int))
    }
