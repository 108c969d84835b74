"""What a job cost: billable seconds times the price of its instance type."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

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
