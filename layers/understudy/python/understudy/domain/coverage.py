"""How many different items a release shows, approximately, in a size that fits beside its outcomes.

Distinct items do not add up, so they are kept as HyperLogLog sketches, whose union is the sketch of the union: a log object
may be counted twice, in any order, and changes nothing. More requests show more items whatever the release, so arms of
different size are compared where they have the same number of requests: users are divided into `GROUPS` by bucket modulo
`GROUPS`, each with a sketch of its own, and the larger arm is read off after as many groups as the smaller arm has requests.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import pairwise
from math import log

REGISTERS = 256  # standard error 1.04 / sqrt(256) = 6.5 %
GROUPS = 20
EMPTY = bytes(REGISTERS * GROUPS)
_ALPHA = 0.7213 / (1 + 1.079 / REGISTERS)


def add(sketch: bytearray, bucket: int, item_ids: Iterable[str]) -> None:
    """Note that users of `bucket` were shown these items."""
    group = bucket % GROUPS * REGISTERS
    for item_id in item_ids:
        register, *rest = sha256(item_id.encode()).digest()[:8]
        rank = 57 - int.from_bytes(rest).bit_length()
        sketch[group + register] = max(sketch[group + register], rank)


def union(first: bytes, second: bytes) -> bytes:
    return bytes(map(max, first, second))


def distinct(registers: bytes) -> float:
    """Estimated number of different items behind one group's registers, or behind a union of groups'.

    References
    ----------
    Flajolet, Fusy, Gandouet, Meunier (2007), "HyperLogLog: the analysis of a near-optimal cardinality estimation algorithm",
    AofA'07, figure 3; of the 56 bits that are ranked no collision has to be corrected for.
    """
    estimate = _ALPHA * REGISTERS**2 / sum(2.0**-rank for rank in registers)
    empty = registers.count(0)
    return REGISTERS * log(REGISTERS / empty) if estimate <= 2.5 * REGISTERS and empty else estimate


def curve(sketch: bytes, requests: Sequence[int]) -> list[tuple[int, float]]:
    """(requests so far, distinct items so far) after each group of users; `requests` by group."""
    seen, total, points = bytes(REGISTERS), 0, [(0, 0.0)]
    for group, count in enumerate(requests):
        seen = union(seen, sketch[group * REGISTERS : (group + 1) * REGISTERS])
        total += count
        points.append((total, distinct(seen)))
    return points


@dataclass(frozen=True, slots=True)
class Coverage:
    """Distinct items of both arms over the same number of requests; `ratio` is candidate over champion, 1 is alike."""

    requests: int
    candidate: float
    champion: float

    @property
    def ratio(self) -> float:
        return self.candidate / self.champion


def compare(
    candidate: bytes,
    champion: bytes,
    candidate_requests: Mapping[int, float],
    champion_requests: Mapping[int, float],
) -> Coverage | None:
    """Coverage of two arms at equal exposure; None while one of them showed nothing.

    Parameters
    ----------
    candidate, champion
        Sketches of GROUPS * REGISTERS bytes.
    candidate_requests, champion_requests
        Requests by user bucket, from the outcome rows of the same hours and versions of traffic.
    """
    ours = curve(candidate, by_group(candidate_requests))
    theirs = curve(champion, by_group(champion_requests))
    requests = min(ours[-1][0], theirs[-1][0])
    here, there = _at(ours, requests), _at(theirs, requests)
    return Coverage(requests, here, there) if here and there else None


def by_group(requests: Mapping[int, float]) -> list[int]:
    """Requests of each group, from requests by user bucket."""
    groups = [0] * GROUPS
    for bucket, count in requests.items():
        groups[bucket % GROUPS] += int(count)
    return groups


def _at(points: Sequence[tuple[int, float]], requests: int) -> float:
    """Straight between two points of the curve."""
    for (left, low), (right, high) in pairwise(points):
        if requests <= right:
            return low + (high - low) * (requests - left) / (right - left) if right > left else low
    return points[-1][1]
