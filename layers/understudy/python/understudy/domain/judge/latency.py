"""The tail of the latency, from histograms: do more of the candidate's requests exceed the common p95?"""

from __future__ import annotations

from collections.abc import Sequence
from math import exp, log

from understudy.domain.judge.clusters import Rate, rate
from understudy.domain.judge.shapes import LATENCY_BINS, ArmOutcomes, BucketOutcome, StageWindow
from understudy.domain.outcomes import LATENCY_EDGES_MS

TAIL = 0.05


def tail_edge(counts: Sequence[int]) -> int | None:
    """Bin above whose upper edge the part of requests is nearest to 5 %, by ratio; None without requests.

    Of both arms together: under "no difference" the arms are exchangeable given the whole, so an edge that does not know the
    arms favours neither.
    """
    total, above = sum(counts), 0
    found: tuple[float, int] | None = None
    for place in range(LATENCY_BINS - 2, -1, -1):
        above += counts[place + 1]
        if above:
            distance = abs(log(above / total / TAIL))
            if found is None or distance < found[0]:
                found = distance, place
    return None if found is None else found[1]


def slow_rates(window: StageWindow) -> tuple[Rate, Rate]:
    """Answers beyond the edge of both arms together, per answer; (candidate, champion)."""
    both = [a + b for a, b in zip(window.candidate.histogram, window.champion.histogram, strict=True)]
    edge = tail_edge(both)
    return _slow(window.candidate, edge), _slow(window.champion, edge)


def _slow(arm: ArmOutcomes, edge: int | None) -> Rate:
    return rate(_slow_of(each, LATENCY_BINS if edge is None else edge) for each in arm.buckets)


def _slow_of(each: BucketOutcome, edge: int) -> tuple[int, int]:
    failed = min(each.errors, each.latency.get(LATENCY_BINS - 1, 0)) if each.errors else 0
    slow = sum([requests for place, requests in each.latency.items() if place > edge])
    return max(0, slow - failed), sum(each.latency.values()) - failed


def p95_ms(counts: Sequence[int]) -> float | None:
    """95th percentile, straight on a log scale within its bin; None without requests. An open bin counts as one more step."""
    total = sum(counts)
    if not total:
        return None
    below, wanted = 0, (1 - TAIL) * total
    for place, requests in enumerate(counts):
        if requests and below + requests >= wanted:
            low, high = _edges(place)
            return low * (high / low) ** ((wanted - below) / requests)
        below += requests
    raise AssertionError("the bins hold all requests")


def _edges(place: int) -> tuple[float, float]:
    step = LATENCY_EDGES_MS[1] / LATENCY_EDGES_MS[0]
    high = LATENCY_EDGES_MS[place] if place < len(LATENCY_EDGES_MS) else LATENCY_EDGES_MS[-1] * step
    return (LATENCY_EDGES_MS[place - 1] if place else LATENCY_EDGES_MS[0] / step), high


def p95_ratio(windows: Sequence[StageWindow]) -> float | None:
    """Candidate's p95 over the champion's: mean of the windows' on a log scale, by the smaller arm's requests."""
    above = weights = 0.0
    for window in windows:
        candidate, champion = window.candidate.histogram, window.champion.histogram
        ours, theirs = p95_ms(candidate), p95_ms(champion)
        if ours and theirs:
            weight = min(sum(candidate), sum(champion))
            above, weights = above + weight * log(ours / theirs), weights + weight
    return exp(above / weights) if weights else None
