import hashlib
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from features.schema import EVENT_TYPES, EVENTS
from simulator.files import items_table, users_table, write_world
from simulator.stream import daily_events
from simulator.world import POSITION_POWER, SLOTS, TREND, World, WorldSpec, examination

SPEC = WorldSpec(users=300, items=200, days=5, impressions_per_day=8000, seed=3)


@pytest.fixture(scope="module")
def world():
    return World(SPEC)


@pytest.fixture(scope="module")
def events(world):
    return pa.Table.from_batches([batch for _, batches in daily_events(world) for batch in batches], EVENTS)


def only(events, kind):
    return events.filter(pc.equal(events["event_type"], kind))


@pytest.fixture(scope="module")
def shown(world, events):
    """Impressions as arrays: user and item index, position, time in days, and whether they were clicked."""
    impressions = only(events, "impression")
    clicked = set(zip(*(only(events, "click")[name].to_pylist() for name in ("request_id", "item_id")), strict=True))
    pairs = zip(impressions["request_id"].to_pylist(), impressions["item_id"].to_pylist(), strict=True)
    start = SPEC.start.timestamp()
    return {
        "user": np.array([world._user_index[user] for user in impressions["user_id"].to_pylist()]),
        "item": np.array([world._item_index[item] for item in impressions["item_id"].to_pylist()]),
        "position": impressions["position"].to_numpy(),
        "at": (impressions["event_time"].cast(pa.int64()).to_numpy() / 1e6 - start) / 86_400,
        "clicked": np.array([pair in clicked for pair in pairs]),
        "propensity": impressions["propensity"].to_numpy(),
    }


def auc(label, score):
    order = np.argsort(score, kind="stable")
    rank = np.empty(len(score))
    rank[order] = np.arange(1, len(score) + 1)
    positives = label.sum()
    return (rank[label].sum() - positives * (positives + 1) / 2) / (positives * (len(label) - positives))


def digest(folder):
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    return [(file.relative_to(folder), hashlib.sha256(file.read_bytes()).hexdigest()) for file in files]


def test_the_same_seed_writes_the_same_bytes_and_another_seed_others(tmp_path):
    small = {"users": 50, "items": 40, "days": 2, "impressions_per_day": 500}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        write_world(World(WorldSpec(**small, seed=seed)), tmp_path / name)
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    assert digest(tmp_path / "a") != digest(tmp_path / "c")


def test_events_are_canonical_and_lie_in_the_worlds_days(events):
    assert set(events["event_type"].to_pylist()) == set(EVENT_TYPES)
    assert pc.count_distinct(events["event_id"]).as_py() == events.num_rows
    assert pc.all(pc.greater_equal(events["known_at"], events["event_time"])).as_py()
    assert pc.min(events["event_time"]).as_py() >= SPEC.start
    assert pc.max(events["event_time"]).as_py() < SPEC.end


def test_nobody_acts_before_signing_up_and_nothing_is_shown_before_it_lives(world, shown):
    assert (shown["at"] >= world.signup_U[shown["user"]]).all()
    assert (shown["at"] >= world.live_from_I[shown["item"]]).all()


def test_users_and_items_keep_arriving(world):
    for born in (world.signup_U, world.birth_I):
        assert 0.1 < ((born > 0) & (born < SPEC.days)).mean() < 0.6


def test_clicks_happen_as_often_as_the_truth_says(world, shown):
    truth = examination(shown["position"]) * world.attraction(shown["user"], shown["item"], shown["at"])
    error = np.sqrt((truth * (1 - truth)).sum()) / len(truth)
    assert abs(shown["clicked"].mean() - truth.mean()) < 4 * error


def test_position_bias_can_be_recovered_from_the_log(world, shown):
    rates = np.array([shown["clicked"][shown["position"] == place].mean() for place in range(1, SLOTS + 1)])
    attraction = world.attraction(shown["user"], shown["item"], shown["at"])
    alike = np.array([attraction[shown["position"] == place].mean() for place in range(1, SLOTS + 1)])
    slope = np.polyfit(np.log(np.arange(1, SLOTS + 1)), np.log(rates / alike), 1)[0]
    assert slope == pytest.approx(-POSITION_POWER, abs=0.1)


def test_the_oracle_ranks_better_than_position_or_popularity(world, shown):
    truth = examination(shown["position"]) * world.attraction(shown["user"], shown["item"], shown["at"])
    popularity = np.bincount(shown["item"], shown["clicked"], SPEC.items)[shown["item"]]
    oracle = auc(shown["clicked"], truth)
    assert oracle > 0.7
    assert oracle > auc(shown["clicked"], -shown["position"].astype(float)) + 0.05
    assert oracle > auc(shown["clicked"], popularity) + 0.05


def test_propensities_are_those_of_the_feed(world, shown):
    """Inverse propensity weighting counts the live items: E[1 / pi(i)] over draws from pi is their number."""
    day = (shown["at"] >= 2) & (shown["at"] < 3) & (shown["position"] == 1)
    live = (world.live_from_I <= 2).sum()
    weights = 1 / shown["propensity"][day]
    assert weights.mean() == pytest.approx(live, abs=4 * weights.std() / np.sqrt(day.sum()))


def test_the_public_truth_is_the_truth_that_made_the_log(world):
    user, items = world.user_ids[5], world.item_ids[:4]
    expected = world.attraction(np.full(4, 5), np.arange(4), float(SPEC.days))
    assert world.click_probability(user, items) == pytest.approx(expected)
    assert world.click_probability(user, items, position=[1, 2, 3, 4]) == pytest.approx(
        expected * examination([1, 2, 3, 4])
    )
    with pytest.raises(KeyError):
        world.click_probability("nobody", items)


def test_from_its_day_on_a_shifted_taste_likes_what_was_popular_less_and_the_rest_more(world):
    shifted = World(replace(SPEC, taste_shift_day=3))
    users, items = np.repeat(np.arange(300), 200), np.tile(np.arange(200), 300)
    assert np.array_equal(world.attraction(users, items, 2.9), shifted.attraction(users, items, 2.9))
    before, after = (each.attraction(users, items, 3.0) for each in (world, shifted))
    added = np.log(after / (1 - after)) - np.log(before / (1 - before))
    topic = world.topic_I[items]
    by_topic = {int(each): set(added[topic == each].round(6)) for each in np.unique(topic)}
    assert all(values in ({TREND}, {-TREND}) for values in by_topic.values())
    favourite = int(world.interest_UK.mean(axis=0).argmax())
    assert by_topic[favourite] == {-TREND}
    assert {TREND} in by_topic.values()
    log = [pa.Table.from_batches(batches, EVENTS) for _, batches in daily_events(shifted, range(2, 4))]
    assert only(log[0], "click").num_rows == only(_day(world, 2), "click").num_rows
    shown_3 = only(_day(world, 3), "impression")
    assert only(log[1], "impression")["item_id"].equals(shown_3["item_id"]), "who comes and what is shown stay"
    assert not only(log[1], "click")["item_id"].equals(only(_day(world, 3), "click")["item_id"])


def _day(world, day):
    return pa.Table.from_batches(
        [b for _, batches in daily_events(world, range(day, day + 1)) for b in batches], EVENTS
    )


def test_tables_hold_every_user_and_item_with_a_title(world):
    assert users_table(world).num_rows == SPEC.users
    items = items_table(world)
    assert items.num_rows == SPEC.items
    assert all(title[0].isupper() or title[0].isdigit() for title in items["title"].to_pylist())


@pytest.mark.parametrize(
    ("change", "says"),
    [
        pytest.param({"users": 0}, "users is 0", id="no users"),
        pytest.param({"end": datetime(2026, 3, 1, 5, tzinfo=UTC)}, "expected a midnight", id="no midnight"),
        pytest.param({"end": datetime(2026, 3, 1)}, "expected a midnight with its time zone", id="no zone"),
    ],
)
def test_an_impossible_world_is_refused(change, says):
    with pytest.raises(ValueError, match=says):
        WorldSpec(**change)
