"""Datapoints as CloudWatch keeps them: per metric, unit and ten seconds, with what every statistic needs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

SLOT_S = 10  # the shortest period an alarm may have

_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d{1,10})?|100)")
STATISTICS = ("SampleCount", "Average", "Sum", "Minimum", "Maximum")


@dataclass(frozen=True, slots=True)
class Metric:
    """What names a metric: two metrics of one name with other dimensions have nothing in common."""

    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]  # sorted by name

    @classmethod
    def of(cls, namespace: str, name: str, dimensions: Iterable[tuple[str, str]]) -> Metric:
        return cls(namespace, name, tuple(sorted(dimensions)))


@dataclass(slots=True)
class Datapoint:
    """Everything that was put of one metric and unit within the ten seconds from `at`.

    `values` holds each single value with how often it was put, for percentiles; it is None where what was put came as a
    statistic set of different values, of which nobody can tell the percentiles.
    """

    at: int  # epoch seconds, a multiple of SLOT_S
    unit: str
    count: float = 0.0
    total: float = 0.0
    low: float = float("inf")
    high: float = float("-inf")
    values: Counter[float] | None = field(default_factory=Counter)

    def add(self, value: float, count: float = 1.0, *, keep: bool = True) -> None:
        """`value`, put `count` times; its place in percentiles is kept only if somebody asks for it."""
        self.count += count
        self.total += value * count
        self.low, self.high = min(self.low, value), max(self.high, value)
        if keep and self.values is not None:
            self.values[value] += count  # type: ignore[assignment]  # counts of statistic sets may be fractions

    def add_set(self, count: float, total: float, low: float, high: float) -> None:
        """A statistic set; one of equal values is those values."""
        if low == high:
            self.add(low, count)
            return
        self.count += count
        self.total += total
        self.low, self.high = min(self.low, low), max(self.high, high)
        self.values = None


def is_statistic(name: str) -> bool:
    """Whether an alarm can be set on it here: the five statistics and percentiles `p0` to `p100`."""
    return name in STATISTICS or _PERCENTILE.fullmatch(name) is not None


def percent_of(statistic: str) -> float | None:
    """95.0 of `p95`; None of what is no percentile."""
    match = _PERCENTILE.fullmatch(statistic)
    return float(match[1]) if match else None


def statistic_of(datapoints: list[Datapoint], statistic: str) -> float | None:
    """One statistic over several datapoints; None when nothing was put, or a percentile cannot be told.

    A percentile is the smallest value that at least so many percent of the values do not exceed (nearest rank). AWS does
    not say how it interpolates, and gives none of metrics with negative values or of statistic sets.
    """
    count = sum(one.count for one in datapoints)
    if not count:
        return None
    if statistic == "SampleCount":
        return count
    if statistic == "Sum":
        return sum(one.total for one in datapoints)
    if statistic == "Average":
        return sum(one.total for one in datapoints) / count
    if statistic == "Minimum":
        return min(one.low for one in datapoints)
    if statistic == "Maximum":
        return max(one.high for one in datapoints)
    if (percent := percent_of(statistic)) is None:
        raise ValueError(f"{statistic} is no statistic")
    return _percentile(datapoints, percent)


def _percentile(datapoints: list[Datapoint], percent: float) -> float | None:
    values: Counter[float] = Counter()
    for one in datapoints:
        if one.values is None or one.low < 0:
            return None
        values.update(one.values)
    wanted = sum(values.values()) * percent / 100
    seen = 0.0
    for value in sorted(values):
        seen += values[value]
        if seen >= wanted:
            return value
    return None
