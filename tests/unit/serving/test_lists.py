"""Arms, ranking rows and lists: the pure part of an answer."""

from __future__ import annotations

import csv
import io
import random
from collections import Counter
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from support.kitchen import BLUE, GREEN, traffic
from support.releases import release
from understudy.contracts.traffic import Standing
from understudy.domain.diversity import diversify, explore
from understudy.domain.ranking_rows import ranking_csv
from understudy.domain.traffic import assign, bucket_of

NOW = datetime(2026, 3, 1, 4, 30, tzinfo=UTC)  # a Sunday


def test_a_bucket_is_the_hash_of_salt_and_user() -> None:
    # sha256("salt:user"): the number every other reader of the rule must come to
    from hashlib import sha256

    assert bucket_of("salt", "user") == int(sha256(b"salt:user").hexdigest(), 16) % 10_000
    assert bucket_of("salt", "user") != bucket_of("pepper", "user")


def test_buckets_are_spread_evenly() -> None:
    tenths = Counter(bucket_of("s", f"u{n}") // 1000 for n in range(20_000))
    assert set(tenths) == set(range(10))
    assert all(1800 < count < 2200 for count in tenths.values())


@pytest.mark.parametrize(
    ("share_bp", "arm"),
    [
        pytest.param(0, "champion", id="no share: nobody"),
        pytest.param("bucket", "champion", id="a share as large as the bucket ends before it"),
        pytest.param("bucket + 1", "candidate", id="one more reaches it"),
        pytest.param(10_000, "candidate", id="all"),
    ],
)
def test_the_candidate_gets_the_lowest_buckets(share_bp: Any, arm: str) -> None:
    bucket = bucket_of("salt", "u")
    share = {"bucket": bucket, "bucket + 1": bucket + 1}.get(share_bp, share_bp)
    assigned = assign(traffic(candidate=GREEN, share_bp=share), "u")
    assert (assigned.arm, assigned.standing) == (arm, GREEN if arm == "candidate" else BLUE)


@pytest.mark.parametrize(("more", "arm"), [(0, "holdback"), (-1, "champion")])
def test_the_holdback_keeps_the_highest_buckets(more: int, arm: str) -> None:
    holdback_bp = 10_000 - bucket_of("salt", "u") + more
    assert assign(traffic(previous=GREEN, holdback_bp=holdback_bp), "u").arm == arm


@pytest.mark.parametrize(
    "changes",
    [
        pytest.param({"candidate": GREEN, "previous": GREEN}, id="three releases in two slots"),
        pytest.param({"candidate": Standing(release="r-2", slot="blue")}, id="two releases in one slot"),
        pytest.param({"share_bp": 1}, id="a share without a candidate"),
        pytest.param({"holdback_bp": 1}, id="a holdback without a previous release"),
        pytest.param({"candidate": GREEN, "share_bp": 10_001}, id="more than everybody"),
        pytest.param({"salt": ""}, id="no salt"),
    ],
)
def test_traffic_that_cannot_be_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        traffic(**changes)


RECORD = release(
    ranker_columns=[
        ("user_age", "number", None),
        ("user_city", "category", ""),
        ("user_clicks_7d", "number", 0),
        ("item_topic", "category", ""),
        ("item_ctr_7d", "number", None),
        ("topic_affinity", "number", 0),
        ("hour", "number", None),
        ("weekday", "number", None),
        ("position", "number", 1),
    ],
    crosses=[{"name": "topic_affinity", "user": "topic_shares_30d", "item": "topic", "default": 0}],
)


def cells(user: dict[str, Any], *items: dict[str, Any]) -> list[list[str]]:
    return list(csv.reader(io.StringIO(ranking_csv(RECORD, user, items, NOW))))


def test_a_row_holds_the_declared_cells_in_order() -> None:
    user = {"age": 31, "city": "Paris", "clicks_7d": 4, "topic_shares_30d": {"travel": 0.25}}
    (row,) = cells(user, {"item_topic": "travel", "item_ctr_7d": 0.5})
    assert row == ["31", "Paris", "4", "travel", "0.5", "0.25", "4", "6", "1"]


def test_what_is_missing_is_an_empty_cell_or_the_default() -> None:
    (row,) = cells({}, {"item_topic": None})
    assert row == ["", "", "0.0", "", "", "0.0", "4", "6", "1"]


def test_a_value_with_comma_quote_or_newline_stays_one_cell() -> None:
    rows = cells({"city": 'a,"b"\nc'}, {"item_topic": "x,y"}, {"item_topic": "z"})
    assert [(row[1], row[3]) for row in rows] == [('a,"b"\nc', "x,y"), ('a,"b"\nc', "z")]


def items(*authors_topics: str) -> list[dict[str, str]]:
    """`items("aX")` is one item of author a and topic X."""
    return [
        {"item_id": str(n), "item_author_id": each[0], "item_topic": each[1]} for n, each in enumerate(authors_topics)
    ]


def test_no_author_and_no_topic_takes_more_than_its_share_while_others_wait() -> None:
    ranked = items("aX", "aX", "aX", "bX", "bX", "cY", "dY", "eZ")
    first = diversify(ranked, 4, max_per_author=2, max_per_topic_share=0.5)[:4]
    assert [item["item_id"] for item in first] == ["0", "1", "5", "6"]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("XY")), max_size=30),
    st.integers(1, 12),
    st.integers(1, 3),
    st.floats(0.1, 1.0),
)
def test_caps_move_items_and_lose_none(
    kinds: list[tuple[str, str]], k: int, max_per_author: int, max_per_topic_share: float
) -> None:
    ranked = items(*(author + topic for author, topic in kinds))
    ordered = diversify(ranked, k, max_per_author=max_per_author, max_per_topic_share=max_per_topic_share)
    assert sorted(item["item_id"] for item in ordered) == sorted(item["item_id"] for item in ranked)
    assert ordered[:1] == ranked[:1]  # the best item always leads


def test_exploration_happens_as_often_as_its_logged_propensity_says() -> None:
    ranked, rng, shown = items(*["aX"] * 12), random.Random(1), Counter[str]()
    rounds = 20_000
    for _ in range(rounds):
        slate = explore(ranked, 1, exploration_bp=2000, rng=rng)
        shown[slate.items[0]["item_id"]] += 1
    assert shown["0"] / rounds == pytest.approx(0.8, abs=0.01)
    for item in range(1, 12):
        assert shown[str(item)] / rounds == pytest.approx(0.2 / 11, abs=0.004)


def test_explored_places_are_named_and_never_show_an_item_twice() -> None:
    ranked = items(*["aX"] * 30)
    for seed in range(200):
        slate = explore(ranked, 10, exploration_bp=3000, rng=random.Random(seed))
        ids = [item["item_id"] for item in slate.items]
        assert len(set(ids)) == 10
        for place, item in enumerate(ids, start=1):
            assert (int(item) >= 10) == (place in slate.explored)
            assert slate.propensity_at(place) == pytest.approx(0.3 / 20 if place in slate.explored else 0.7)


def test_without_a_pool_nothing_is_explored() -> None:
    slate = explore(items("aX", "bX"), 5, exploration_bp=10_000, rng=random.Random(0))
    assert (slate.explored, slate.propensity_at(1)) == ((), 1.0)
