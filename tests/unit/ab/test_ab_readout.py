"""The read-out of two releases: what it finds, how often it errs, and when it refuses."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest

from support.soak import examples
from understudy.domain.ab_readout import LEAST, Served, UserOutcome, read_out, versions_together
from understudy.errors import InvalidInput

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)


def crowd(
    seed: int,
    users: int = 600,
    lift: float = 0.0,
    share: float = 0.5,
    versions: tuple[int, ...] = (3,),
    spread: float = 1.0,
) -> list[UserOutcome]:
    """Users of very different taste: a user's rate is 0.1 on average; `lift` is what r-a adds to it, relatively."""
    rng = random.Random(seed)
    rows = []
    for n in range(users):
        rate = min(rng.gammavariate(1 / spread, 0.1 * spread), 0.6)
        release = "r-a" if rng.random() < share else "r-b"
        for version in versions:
            seen = rng.randrange(1, 30)
            chance = min(rate * (1 + lift * (release == "r-a")), 1.0)
            clicks = sum(rng.random() < chance for _ in range(seen))
            rows.append(UserOutcome(f"u{n}", version, release, seen, clicks, 0, {"city": "Paris" if n % 3 else "Rome"}))
    return rows


def test_a_difference_is_found_with_its_size() -> None:
    (found,) = read_out(crowd(1, users=6000, lift=0.3), "r-a", "r-b")
    assert found.value == "all"
    assert found.interval is not None
    assert 0 < found.interval.low < 0.3 < found.interval.high
    assert found.interval.estimate == pytest.approx(0.3, abs=0.1)
    (turned,) = read_out(crowd(1, users=6000, lift=0.3), "r-b", "r-a")
    assert turned.interval is not None
    assert turned.interval.estimate == pytest.approx(1 / (1 + found.interval.estimate) - 1)


def test_looking_daily_errs_no_more_often_than_stated() -> None:
    """Ten looks at each of many pairs of equal releases; at 90 % one in ten may exclude 0 at any of its looks."""
    runs, wrong = examples(120, 2000), 0
    for seed in range(runs):
        rows = crowd(seed, users=500)
        looks = (read_out(rows[: 50 * day], "r-a", "r-b", level=0.9)[0].interval for day in range(1, 11))
        wrong += any(look is not None and not look.low <= 0 <= look.high for look in looks)
    assert wrong <= 0.1 * runs


def test_users_not_impressions_are_independent() -> None:
    """Every user's events ten times over tell nothing new, and the interval is as wide as before."""
    rows = crowd(5)
    tenfold = [
        UserOutcome(row.user, row.version, row.release, 10 * row.impressions, 10 * row.clicks, groups=row.groups)
        for row in rows
    ]
    once, often = (read_out(each, "r-a", "r-b")[0].interval for each in (rows, tenfold))
    assert once is not None
    assert often is not None
    assert often.information == pytest.approx(once.information)


def test_arms_are_compared_within_a_version_of_traffic() -> None:
    """A quiet version with a small share and a busy one with a large share: pooled, the equal release would seem better."""
    quiet = [UserOutcome(f"q{n}", 1, "r-a" if n < 10 else "r-b", 100, 5) for n in range(100)]
    busy = [UserOutcome(f"b{n}", 2, "r-a" if n < 90 else "r-b", 100, 20) for n in range(100)]
    (found,) = read_out(quiet + busy, "r-a", "r-b")
    assert found.first.ctr == pytest.approx(0.185)
    assert found.second.ctr == pytest.approx(0.065)
    assert found.interval is None  # no user differs from the next: no spread to make an interval of
    jittered = [
        UserOutcome(row.user, row.version, row.release, 100, row.clicks + n % 3 - 1)
        for n, row in enumerate(quiet + busy)
    ]
    (found,) = read_out(jittered, "r-a", "r-b")
    assert found.interval is not None
    assert found.interval.low < 0 < found.interval.high
    assert found.interval.estimate == pytest.approx(0, abs=0.05)


def test_a_user_who_met_both_releases_counts_once_in_the_spread() -> None:
    rows = crowd(9, versions=(3,))
    other = {"r-a": "r-b", "r-b": "r-a"}
    moved = [
        UserOutcome(row.user, 4, other[row.release], row.impressions, min(row.clicks + n % 2, row.impressions))
        for n, row in enumerate(rows)
    ]
    (found,) = read_out(rows + moved, "r-a", "r-b")
    assert found.interval is not None
    assert found.interval.estimate == pytest.approx(0, abs=0.1)  # the same users on both sides
    (apart,) = read_out(rows + [UserOutcome(f"{r.user}'", *_rest(r)) for r in moved], "r-a", "r-b")
    assert apart.interval is not None
    assert found.interval.information > 2 * apart.interval.information


def _rest(row: UserOutcome) -> tuple[int, str, int, int]:
    return row.version, row.release, row.impressions, row.clicks


def test_groups_come_apart_and_too_small_ones_get_no_interval() -> None:
    small = [
        UserOutcome(f"s{n}", 3, "r-a" if n % 2 else "r-b", 5, 1, 2, {"city": "Bern"}) for n in range(2 * LEAST - 1)
    ]
    rows = crowd(2, users=3000) + small + [UserOutcome("x", 3, "r-a", 1, 0)]
    found = {each.value: each for each in read_out(rows, "r-a", "r-b", by="city")}
    assert list(found) == ["Paris", "Rome", "Bern", "unknown"]
    assert found["Paris"].interval is not None
    assert found["Bern"].interval is None
    assert (found["Bern"].first.users, found["Bern"].second.late_clicks) == (LEAST - 1, 2 * LEAST)
    assert found["unknown"].second.ctr is None
    assert sum(each.first.impressions for each in found.values()) == read_out(rows, "r-a", "r-b")[0].first.impressions


def span(hour: int) -> Served:
    return Served(10, NOON + timedelta(hours=hour), NOON + timedelta(hours=hour + 1))


def test_only_versions_that_both_served_under_are_compared() -> None:
    served = {"r-a": {2: span(0), 3: span(1), 4: span(2)}, "r-b": {3: span(1), 4: span(2), 5: span(3)}}
    assert versions_together(served, "r-a", "r-b") == [3, 4]


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        pytest.param(
            "r-a", "r-b", "r-b from 2026-03-01 15:00 to 2026-03-01 16:00 under traffic versions 5", id="apart"
        ),
        pytest.param("r-a", "r-z", "r-z served no request", id="one never served"),
        pytest.param("r-a", "r-a", "r-a and r-a never served", id="one and the same"),
    ],
)
def test_releases_that_never_served_together_are_refused_with_their_times(first: str, second: str, said: str) -> None:
    served = {"r-a": {2: span(0), 3: span(1)}, "r-b": {5: span(3)}}
    with pytest.raises(InvalidInput, match=said):
        versions_together(served, first, second)


@pytest.mark.parametrize("level", [0.5, 1.0, 95])
def test_a_level_that_is_none_is_refused(level: float) -> None:
    with pytest.raises(InvalidInput):
        read_out([], "r-a", "r-b", level=level)
