"""Who asks, what they look at and click, and how it is counted."""

import math
from datetime import timedelta
from random import Random

import numpy as np
import pyarrow as pa
import pytest

from cli.index_poisons import Poison, poisoned
from item_index.documents import Items
from simulator.files import write_world
from simulator.stream import HOURS, daily_events
from simulator.tally import ReleaseTally, Tally
from simulator.tastes import COLD_PREFIX, FutureTastes, WorldTastes, look, true_ndcg
from simulator.traffic import Options, load_at
from simulator.world import World, WorldSpec, examination
from support.releases import release

SPEC = WorldSpec(users=60, items=80, days=6, impressions_per_day=2000, seed=5)
WORLD = World(SPEC)


def test_a_world_goes_on_after_its_first_days_as_if_it_had_been_written_at_once(tmp_path):
    write_world(WORLD, tmp_path / "whole")
    write_world(WORLD, tmp_path / "parts", days=range(5))
    write_world(WORLD, tmp_path / "parts", days=range(5, 6))
    for file in sorted((tmp_path / "whole").rglob("*.parquet")):
        assert file.read_bytes() == (tmp_path / "parts" / file.relative_to(tmp_path / "whole")).read_bytes()
    assert len(list((tmp_path / "parts" / "events").iterdir())) == 6


def test_people_click_in_the_traffic_as_often_as_in_the_worlds_own_log():
    batches = [batch for _, day in daily_events(WORLD, range(5, 6)) for batch in day]
    log = pa.Table.from_batches(batches).to_pylist()
    shown = [row for row in log if row["event_type"] == "impression"]
    clicked = sum(row["event_type"] == "click" for row in log)
    tastes, rng = WorldTastes(WORLD, SPEC.end), Random(1)
    expected = sum(
        float(examination([row["position"]])[0] * tastes.likings(row["user_id"], [row["item_id"]])[0]) for row in shown
    )
    assert expected == pytest.approx(clicked, rel=0.15)
    drawn = sum(
        "click" in kinds for _ in range(400) for kinds in look(tastes.likings("u000003", WORLD.item_ids[:10]), rng)
    )
    chance = examination(np.arange(1, 11)) * tastes.likings("u000003", WORLD.item_ids[:10])
    assert drawn / 400 == pytest.approx(chance.sum(), rel=0.15)


def test_a_click_needs_an_impression_and_a_like_or_follow_needs_a_click():
    for kinds in look(np.full(50, 0.9), Random(2)):
        assert kinds[0] == "impression"
        assert "click" in kinds or kinds == ["impression"]


def test_who_signed_up_later_does_not_come_yet_and_active_people_come_more_often():
    tastes, rng = WorldTastes(WORLD, SPEC.start + timedelta(days=2)), Random(3)
    visits = [tastes.visitor(rng) for _ in range(4000)]
    known = {user for user, joined in zip(WORLD.user_ids, WORLD.signup_U, strict=True) if joined < 3}
    assert set(visits) <= known
    present = [index for index, user in enumerate(WORLD.user_ids) if user in known]
    busiest, quietest = max(present, key=lambda u: WORLD.activity_U[u]), min(present, key=lambda u: WORLD.activity_U[u])
    assert visits.count(WORLD.user_ids[busiest]) > visits.count(WORLD.user_ids[quietest])


def test_guests_have_the_taste_of_somebody_and_a_name_nobody_has_heard():
    tastes, rng = WorldTastes(WORLD, SPEC.end, cold_share=0.5), Random(4)
    visits = [tastes.visitor(rng) for _ in range(400)]
    guests = [user for user in visits if user.startswith(COLD_PREFIX)]
    assert 140 < len(guests) < 260
    twin = guests[0].removeprefix(COLD_PREFIX)
    items = WORLD.item_ids[:5]
    assert np.array_equal(tastes.likings(guests[0], items), tastes.likings(twin, items))


def test_the_best_list_there_is_has_an_ndcg_of_one_and_any_other_has_less():
    for tastes in (WorldTastes(WORLD, SPEC.end), FutureTastes({"u000001": {"i000002", "i000007"}})):
        items = WORLD.item_ids
        order = np.argsort(-tastes.likings("u000001", items), kind="stable")
        live = [items[place] for place in order if WORLD.live_from_I[place] <= SPEC.days][:10]
        best = tastes.best("u000001", 10)
        assert true_ndcg(tastes.likings("u000001", live), best) == pytest.approx(1.0)
        assert true_ndcg(tastes.likings("u000001", live[::-1]), best) < 1.0
        assert true_ndcg(np.zeros(10), best) == 0.0
    assert true_ndcg(np.array([0.0, 1.0]), np.ones(1)) == pytest.approx(1 / math.log2(3))


def test_a_release_is_known_by_the_lists_of_a_time():
    tally = ReleaseTally(ndcgs=[(1.0, 0.5), (2.0, 0.7), (3.0, 0.1)])
    assert tally.ndcg(until=3.0) == pytest.approx(0.6)
    assert tally.ndcg(since=3.0) == pytest.approx(0.1)
    assert math.isnan(tally.ndcg(since=4.0))


def test_real_people_click_what_they_went_on_to_choose_and_nothing_else():
    tastes = FutureTastes({"u1": {"i2"}, "u2": set()})
    assert {tastes.visitor(Random(seed)) for seed in range(20)} == {"u1"}
    assert tastes.likings("u1", ["i1", "i2", "i3"]).tolist() == [0.0, 1.0, 0.0]
    with pytest.raises(ValueError, match="nobody has a future"):
        FutureTastes({"u1": set()})


def test_the_load_follows_the_hours_of_the_day_and_keeps_its_average():
    flat, daily = Options(rps=20), Options(rps=20, day_s=600)
    assert {load_at(flat, hour) for hour in range(24)} == {20}
    loads = [load_at(daily, hour) for hour in range(24)]
    assert sum(loads) / 24 == pytest.approx(20)
    assert loads.index(max(loads)) == int(HOURS.argmax())


def test_options_that_mean_nothing_are_refused():
    for wrong in ({"rps": 0}, {"seconds": -1}, {"k": 101}):
        with pytest.raises(ValueError, match="expected"):
            Options(**wrong)


def test_the_interval_of_a_rate_is_wider_where_few_people_make_all_the_clicks():
    even, lopsided = ReleaseTally(), ReleaseTally()
    for number in range(100):
        even.saw(f"u{number}", 100, 10)
        lopsided.saw(f"u{number}", 100, 100 if number < 10 else 0)
    assert even.rate().value == lopsided.rate().value == pytest.approx(0.1)
    assert even.rate().high - even.rate().low < 0.001
    assert lopsided.rate().low == pytest.approx(0.1 - 1.96 * 0.3 / math.sqrt(99), abs=0.001)


def test_errors_are_what_a_client_calls_one_and_a_degraded_answer_is_none():
    tally = Tally()
    tally.answer("r-1", ["ranker"], 12.0)
    tally.errors["HTTP 500"] += 1
    facts = tally.facts()
    assert (facts["client_errors"], facts["degraded"], facts["answered"]) == (1, 1, 1)
    assert facts["releases"]["r-1"]["ctr"] is None


RECORD = release(
    item_fields=["item_id", "title", "item_topic", "item_author_id", "item_clicks_7d"], popular=["i3", "i1"]
)


def content(count=40):
    ids = [f"i{number}" for number in range(count)]
    features = pa.table(
        {
            "item_id": ids,
            "title": [f"T{number}" for number in range(count)],
            "item_topic": [f"t{number % 4}" for number in range(count)],
            "item_author_id": [f"a{number}" for number in range(count)],
            "item_clicks_7d": [float(number) for number in range(count)],
        }
    )
    return Items(ids, np.eye(count, 64, dtype=np.float32), features, [])


def test_a_shuffled_index_holds_every_row_once_and_none_under_its_own_id():
    whole = content()
    bad = poisoned(whole, Poison("shuffled_index"), RECORD)
    assert bad.ids == bad.features["item_id"].to_pylist() == whole.ids
    assert bad.features["title"].to_pylist() == whole.features["title"].to_pylist()
    rows = [int(author[1:]) for author in bad.features["item_author_id"].to_pylist()]
    assert sorted(rows) == list(range(40))
    assert all(row != place for place, row in enumerate(rows))
    assert np.array_equal(bad.vectors_ID, whole.vectors_ID[rows]), "vector and features of an item stay together"


def test_a_share_of_the_rows_may_be_shuffled_and_the_others_stay():
    bad = poisoned(content(), Poison("shuffled_index", share=0.25), RECORD)
    moved = [place for place, author in enumerate(bad.features["item_author_id"].to_pylist()) if author != f"a{place}"]
    assert len(moved) == 10


def test_popularity_only_leaves_the_most_clicked_items_and_nothing_to_tell_them_apart_by():
    bad = poisoned(content(), Poison("popularity_only"), RECORD)
    assert bad.ids == ["i3", "i1"]
    assert bad.features["item_topic"].to_pylist() == [None, None]
    assert bad.features["item_clicks_7d"].to_pylist() == [3.0, 1.0]


def test_a_stale_index_needs_to_know_whose_and_only_it():
    other = content(10)
    assert poisoned(content(), Poison("stale_index", other=RECORD), RECORD, other) is other
    for wrong in (
        lambda: Poison("stale_index"),
        lambda: Poison("shuffled_index", other=RECORD),
        lambda: Poison("mould"),
    ):
        with pytest.raises(ValueError, match=r"expected|alone"):
            wrong()
