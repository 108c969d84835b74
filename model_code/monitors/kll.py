"""Numbers as Model Monitor's statistics.json describes them: ten buckets, and a KLL sketch.

Karnin, Lang & Liberty (2016), "Optimal quantile approximation in streams", FOCS. Level h of the sketch holds values that stand
for 2^h rows each. All values are at hand here, so compaction takes evenly spaced ones of the sorted values instead of
drawn ones: the same format, ranks off by at most 2^h rows, and the same bytes for the same values.
"""

from __future__ import annotations

from typing import Any

import numpy as np

BUCKETS = 10
K, C = 2048.0, 0.64  # as Model Monitor writes them: capacity of the top level, and decay below it


def kll(values: np.ndarray) -> dict[str, Any]:
    """`distribution.kll` of finite values, at least one.

    Examples
    --------
    >>> found = kll(np.arange(20.0))
    >>> found["buckets"][0], found["buckets"][-1]["count"], len(found["sketch"]["data"])
    ({'lower_bound': 0.0, 'upper_bound': 1.9, 'count': 2.0}, 2.0, 1)
    """
    return {"buckets": buckets(values), "sketch": {"parameters": {"c": C, "k": K}, "data": sketch(values)}}


def buckets(values: np.ndarray) -> list[dict[str, float]]:
    """Ten of equal width from the least to the greatest value; equal values make one bucket that holds all."""
    counts, edges = np.histogram(values, bins=BUCKETS) if np.ptp(values) else (None, None)
    if counts is None or edges is None:
        return [{"lower_bound": float(values[0]), "upper_bound": float(values[0]), "count": float(len(values))}]
    return [
        {"lower_bound": float(low), "upper_bound": float(high), "count": float(count)}
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]


def sketch(values: np.ndarray, k: int = int(K)) -> list[list[float]]:
    """Levels of the sketch; sizes times 2^level add up to the rows.

    Examples
    --------
    >>> sketch(np.arange(9.0), k=4)
    [[0.0], [2.0, 4.0, 6.0, 8.0]]
    """
    ordered = np.sort(values)
    level = 0
    while len(ordered) >> level > k:
        level += 1
    levels: list[list[float]] = [[] for _ in range(level + 1)]
    rest = len(ordered) % (1 << level)
    start = 0
    for lower in range(level):  # the rows that make no whole group of 2^level, by the binary digits of their number
        if rest >> lower & 1:
            levels[lower] = [float(ordered[start + (1 << lower) // 2])]
            start += 1 << lower
    levels[level] = ordered[start + (1 << level) // 2 :: 1 << level].tolist()
    return levels


def rank(data: list[list[float]], value: float) -> float:
    """Share of the rows that are at most `value`, by the sketch."""
    weights = np.concatenate([np.full(len(kept), 2.0**level) for level, kept in enumerate(data)])
    kept = np.concatenate([np.asarray(kept, np.float64) for kept in data])
    return float(weights[kept <= value].sum() / weights.sum())
