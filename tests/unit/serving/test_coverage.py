"""Distinct items by sketch: near the truth, indifferent to repetition and order, and compared at equal exposure."""

from __future__ import annotations

import random
from collections.abc import Iterable

import pytest

from understudy.domain.coverage import EMPTY, GROUPS, add, by_group, compare, curve, union

Lists = list[tuple[int, list[str]]]  # user bucket and the items of one answer


def lists(requests: int, catalogue: int, seed: int, buckets: range = range(10_000)) -> Lists:
    rng = random.Random(seed)
    return [(rng.choice(buckets), [f"i-{rng.randrange(catalogue)}" for _ in range(10)]) for _ in range(requests)]


def sketch(answers: Iterable[tuple[int, list[str]]]) -> bytes:
    made = bytearray(EMPTY)
    for bucket, items in answers:
        add(made, bucket, items)
    return bytes(made)


def requests(answers: Lists) -> dict[int, float]:
    counts: dict[int, float] = {}
    for bucket, _ in answers:
        counts[bucket] = counts.get(bucket, 0) + 1
    return counts


@pytest.mark.parametrize("catalogue", [5, 100, 1_000, 20_000])
def test_the_estimate_is_near_the_truth(catalogue: int) -> None:
    answers = lists(4_000, catalogue, seed=1)
    truth = len({item for _, items in answers for item in items})
    total, estimate = curve(sketch(answers), by_group(requests(answers)))[-1]
    assert total == 4_000
    assert estimate == pytest.approx(truth, rel=0.15)  # 6.5 % is one standard error


def test_repetition_and_order_change_nothing() -> None:
    answers = lists(200, 500, seed=2)
    assert sketch(reversed(answers * 2)) == union(sketch(answers[:90]), sketch(answers[50:])) == sketch(answers)


@pytest.mark.parametrize("share", [0.05, 0.10, 0.50])
def test_arms_of_one_release_cover_alike_whatever_their_share(share: float) -> None:
    border = int(10_000 * share)
    few, many = lists(int(6_000 * share), 3_000, 3, range(border)), lists(int(6_000 * (1 - share)), 3_000, 4)
    found = compare(sketch(few), sketch(many), requests(few), requests(many))
    assert found is not None
    assert found.requests == len(few)
    assert found.ratio == pytest.approx(1, abs=0.2)


def test_a_release_that_shows_everybody_the_same_covers_little() -> None:
    candidate, champion = lists(600, 20, 5, range(1_000)), lists(5_400, 3_000, 6)
    found = compare(sketch(candidate), sketch(champion), requests(candidate), requests(champion))
    assert found is not None
    assert found.ratio < 0.02


def test_nothing_shown_is_nothing_to_compare() -> None:
    answers = lists(10, 10, 7)
    assert compare(EMPTY, sketch(answers), {}, requests(answers)) is None
    assert curve(EMPTY, [0] * GROUPS)[-1] == (0, 0.0)
