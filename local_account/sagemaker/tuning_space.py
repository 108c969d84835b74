"""What a tuning job may choose from: its ranges, read, checked, and written as the strings that hyperparameters are."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local_account.sagemaker.errors import invalid

LARGEST_LINEAR_RATIO = 100.0  # what `Auto` still searches linearly: beyond it orders of magnitude matter


@dataclass(frozen=True, slots=True)
class Dimension:
    """One parameter that is searched.

    Attributes
    ----------
    kind : str
        ``integer``, ``continuous`` or ``categorical``.
    low, high : float
        Both ends belong to the range; of a categorical one they mean nothing.
    scaling : str
        ``Linear``, ``Logarithmic`` or ``ReverseLogarithmic`` (fine steps towards 1).
    values : tuple of str
        Of a categorical one.
    """

    name: str
    kind: str
    low: float = 0.0
    high: float = 0.0
    scaling: str = "Linear"
    values: tuple[str, ...] = ()

    def text(self, value: Any) -> str:
        """A value as the training job gets it.

        Examples
        --------
        >>> Dimension("rate", "continuous", 0.1, 0.5).text(0.25)
        '0.25'
        """
        if self.kind == "categorical":
            return str(value)
        return str(int(value)) if self.kind == "integer" else repr(float(value))


Space = tuple[Dimension, ...]


def read_space(ranges: Mapping[str, Any]) -> Space:
    """The dimensions of a `ParameterRanges`, in its order: integers, continuous ones, categories.

    Raises
    ------
    AwsError
        `ValidationException` for a range that is none, a name given twice, or nothing to search.
    """
    if ranges.get("AutoParameters"):
        raise invalid("ParameterRanges.AutoParameters needs Autotune, which the local account does not play")
    space = (
        *(_numeric(row, "integer") for row in ranges.get("IntegerParameterRanges", [])),
        *(_numeric(row, "continuous") for row in ranges.get("ContinuousParameterRanges", [])),
        *(_categorical(row) for row in ranges.get("CategoricalParameterRanges", [])),
    )
    names = [dimension.name for dimension in space]
    if not names:
        raise invalid("ParameterRanges names no hyperparameter: a tuning job needs at least one range")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise invalid(f"Hyperparameters with more than one range: {', '.join(twice)}")
    return space


def combinations(space: Space) -> Iterator[dict[str, str]]:
    """Every combination of categories, the last name changing fastest."""
    for values in itertools.product(*(dimension.values for dimension in space)):
        yield {dimension.name: value for dimension, value in zip(space, values, strict=True)}


def _categorical(row: Mapping[str, Any]) -> Dimension:
    values = tuple(row["Values"])
    if not values or len(set(values)) != len(values):
        raise invalid(f"The values of {row['Name']} must be at least one, each once; they are {list(values)}")
    return Dimension(row["Name"], "categorical", values=values)


def _numeric(row: Mapping[str, Any], kind: str) -> Dimension:
    name, read = row["Name"], int if kind == "integer" else float
    try:
        low, high = read(row["MinValue"]), read(row["MaxValue"])
    except ValueError:
        raise invalid(
            f"The range of {name} is {row['MinValue']!r} to {row['MaxValue']!r}; expected {kind} numbers"
        ) from None
    if not low <= high or high - low == float("inf"):
        raise invalid(f"The range of {name} must have MinValue at most MaxValue; it is {low} to {high}")
    asked = row.get("ScalingType", "Auto")
    scaling = _scaling(low, high) if asked == "Auto" else asked
    if scaling == "Logarithmic" and low <= 0:
        raise invalid(f"Logarithmic scaling of {name} needs a MinValue above 0; it is {low}")
    if scaling == "ReverseLogarithmic" and (kind == "integer" or low < 0 or high >= 1):
        raise invalid(
            f"Reverse logarithmic scaling needs a continuous range within 0 <= x < 1; {name} is {kind}, {low} to {high}"
        )
    return Dimension(name, kind, low, high, scaling)


def _scaling(low: float, high: float) -> str:
    return "Logarithmic" if low > 0 and high / low > LARGEST_LINEAR_RATIO else "Linear"
