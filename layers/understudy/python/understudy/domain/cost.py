"""What a job cost: billable seconds times the price of its instance type."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import sqrt
from statistics import median

# USD an hour, on demand, us-east-1, SageMaker's public price list of 2026-11 [?]; other regions differ by up to a third.
PRICES_USD_PER_HOUR = {
    "ml.t3.medium": 0.05,
    "ml.m5.large": 0.115,
    "ml.m5.xlarge": 0.23,
    "ml.m5.2xlarge": 0.461,
    "ml.m5.4xlarge": 0.922,
    "ml.m5.12xlarge": 2.765,
    "ml.c5.2xlarge": 0.408,
    "ml.c6i.large": 0.102,
    "ml.r5.2xlarge": 0.605,
    "ml.g4dn.xlarge": 0.7364,
    "ml.g5.xlarge": 1.408,
    "ml.p3.2xlarge": 3.825,
}


@dataclass(frozen=True, slots=True)
class JobRun:
    """One finished job: seconds that are billed, on how many instances of which type."""

    arn: str
    instance_type: str
    instance_count: int
    billable_s: float


def cost_usd(runs: Iterable[JobRun]) -> float | None:
    """Sum over jobs, or None when a type has no known price: a guess would be believed.

    Examples
    --------
    >>> cost_usd([JobRun("a", "ml.m5.xlarge", 2, 1800.0)])
    0.23
    >>> cost_usd([JobRun("a", "ml.unheard.of", 1, 10.0)]) is None
    True
    """
    total = 0.0
    for run in runs:
        price = PRICES_USD_PER_HOUR.get(run.instance_type)
        if price is None:
            return None
        total += run.billable_s / 3600 * price * run.instance_count
    return round(total, 6)


@dataclass(frozen=True, slots=True)
class Forecast:
    """What the next one will take: `low` to `high` holds with `chance`, if nights are alike but for their rows.

    `chance` is None where one night is all that is known: then half and twice stand for what nobody can know.
    """

    low: float
    middle: float
    high: float
    chance: float | None


def forecast(past: Sequence[tuple[float, float]], rows: float) -> Forecast:
    """Time or cost of the next night, from (rows, value) of earlier ones.

    A job takes some time whatever its data and some for each row, so a value grows by nothing at least and in proportion at
    most; both ends are taken of every night. Of n exchangeable nights the next lies between the least and the greatest with
    chance (n - 1) / (n + 1), whatever their distribution (Wilks, 1941, Annals of Mathematical Statistics 12, p. 91).

    Raises
    ------
    ValueError
        No earlier night, or one without rows.

    Examples
    --------
    >>> forecast([(100, 60.0), (100, 80.0), (200, 90.0)], 100)
    Forecast(low=45.0, middle=63.63961030678928, high=90.0, chance=0.5)
    >>> forecast([(100, 60.0)], 100)
    Forecast(low=30.0, middle=60.0, high=120.0, chance=None)
    """
    if not past or rows <= 0 or any(known <= 0 for known, _ in past):
        raise ValueError("a forecast needs an earlier night, and rows in it and in the next")
    ends = [sorted((value, value * rows / known)) for known, value in past]
    low, high = min(least for least, _ in ends), max(most for _, most in ends)
    middle = median(sqrt(least * most) for least, most in ends)
    if len(past) == 1:
        return Forecast(low / 2, middle, high * 2, None)
    return Forecast(low, middle, high, (len(past) - 1) / (len(past) + 1))


def price_usd_per_s(instance_type: str) -> float | None:
    """Of one instance; None where no price is known."""
    price = PRICES_USD_PER_HOUR.get(instance_type)
    return None if price is None else price / 3600
