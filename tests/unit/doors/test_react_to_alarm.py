"""functions/react_to_alarm: one decision an occasion, written with its reason, however often and in whatever order it is told."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from support.doors import CONTEXT, golden, load_door
from support.reacting import MACHINES, NEW, NOW, create_tables, event, occasion, reactor
from understudy.domain import traffic_moves
from understudy.domain.traffic_moves import By


@pytest.fixture
def world(aws, monkeypatch):
    dynamodb = aws.client("dynamodb")
    world, door = reactor(dynamodb, create_tables(dynamodb)), load_door("react_to_alarm")
    monkeypatch.setattr(door, "world", lambda: world)
    return world, lambda told: door.handler(told, CONTEXT)


def put_on_stage(world, *, promoted: bool, at=NOW - timedelta(minutes=5)):
    by = By("r-new:stage:1000", "r-new", at, "stage")
    now = world.traffic.current()
    now = world.traffic.replace(now, traffic_moves.stage(now, NEW, by, share_bp=1000).traffic, 2)
    if promoted:
        by = By("r-new:promote", "r-new", at, "promote")
        world.traffic.replace(now, traffic_moves.promote(now, NEW, by, holdback_bp=500).traffic, 2)


def decisions(world, action=None):
    found = world.reactions.of_days(NOW.date() + timedelta(days=1), 3)
    return [one for one in found if action in (None, one.action)]


def test_a_drift_starts_one_retrain_which_says_what_it_answers(world):
    w, told = world
    w.alarms.ring("drift-ranking-quality")
    said = told(golden("react_to_alarm/drift"))
    assert said["action"] == "retrain"
    assert w.states.started[said["execution"]]["alarms"] == ["understudy-drift-ranking-quality"]
    episode = w.episodes.current()
    assert (episode.run, episode.started_at is not None) == (said["execution"], True)
    [written] = decisions(w)
    assert (written.action, written.settled, written.episode_id) == ("retrain", True, episode.episode_id)


def test_an_alarm_told_three_times_and_again_the_next_day_is_one_decision(world):
    w, told = world
    w.alarms.ring("drift-ranking-quality")
    said = [told(golden("react_to_alarm/drift")) for _ in range(3)]
    w.states.ends(said[0]["execution"], "SUCCEEDED")
    said.append(w.answer(occasion("drift-ranking-quality"), datetime.now(UTC) + timedelta(days=1)).told())
    assert all(each == said[0] for each in said)
    assert len(w.states.started) == len(decisions(w)) == 1


def test_every_kind_of_drift_joins_the_one_episode(world):
    w, told = world
    for kind in ("bias", "data-quality", "explainability"):
        w.alarms.ring(f"drift-{kind}")
        told(event(f"drift-{kind}"))
    assert len(w.states.nights()) == 1
    assert sorted(w.episodes.current().alarms) == [
        f"understudy-drift-{kind}" for kind in ("bias", "data-quality", "explainability")
    ]
    assert len(decisions(w, "ignore")) == 2


def test_an_alarm_that_flaps_twenty_times_an_hour_is_one_retrain(world):
    w, told = world
    for minute in range(0, 60, 3):
        for at, state in ((0, "ALARM"), (90, "OK")):
            since = NOW + timedelta(minutes=minute, seconds=at)
            w.alarms.ring("drift-bias", since, state)
            told(event("drift-bias", since, state))
    assert len(w.states.nights()) == 1
    assert len(decisions(w)) == 40


def test_a_retrain_whose_start_failed_is_started_by_the_same_event_again(world):
    w, told = world
    w.alarms.ring("drift-bias")
    w.states.down = True
    with pytest.raises(ConnectionError):
        told(event("drift-bias"))
    [written] = decisions(w)
    assert (written.action, written.settled) == ("retrain", False)
    w.states.down = False
    later = w.answer(occasion("drift-bias"), datetime.now(UTC) + timedelta(minutes=1))
    assert (later.settled, w.states.nights()) == (True, [later.execution])


def test_a_broken_schema_pages_and_holds_the_retrain_back(world):
    w, told = world
    w.alarms.ring("schema-data-quality")
    w.alarms.ring("drift-data-quality")
    assert told(golden("react_to_alarm/schema_is_broken"))["action"] == "page"
    assert told(event("drift-data-quality"))["action"] == "wait"
    assert w.states.started == {}
    [page] = w.functions.told
    assert (page["kind"], page["facts"]["alarm"]) == ("alarm", "understudy-schema-data-quality")


def test_a_page_is_not_sent_twice(world):
    w, told = world
    for _ in range(3):
        told(event("silent-bias"))
    assert len(w.functions.told) == 1


def test_a_candidate_that_falters_is_rolled_back_once_whatever_rings(world):
    w, told = world
    put_on_stage(w, promoted=False)
    said = [
        told(event(what)) for what in ("health-green", "errors-ranker-green", "latency-ranker-green", "health-green")
    ]
    assert [each["action"] for each in said] == ["roll_back", "ignore", "ignore", "roll_back"]
    [(name, asked)] = w.states.started.items()
    assert (name, asked["cause"], asked["release_id"], asked["rollout_id"]) == (
        said[0]["execution"],
        "alarm",
        "r-new",
        "r-new",
    )


def test_an_alarm_one_second_after_the_promotion_brings_the_release_before_back(world):
    w, told = world
    put_on_stage(w, promoted=True, at=NOW - timedelta(seconds=1))
    assert told(event("health-green"))["action"] == "roll_back"
    [asked] = w.states.started.values()
    assert asked["release_id"] == "r-new"


def test_an_alarm_during_a_night_waits_and_is_written_as_that(world):
    w, told = world
    w.leases.acquire("night", MACHINES.night("night-1"), 46_800, datetime.now(UTC))
    w.states.ends("night-1", "RUNNING")
    w.alarms.ring("drift-bias")
    assert told(event("drift-bias"))["action"] == "wait"
    assert (w.states.started, w.episodes.current()) == ({}, None)


def test_a_night_that_died_with_its_lease_holds_nothing_up(world):
    w, told = world
    w.leases.acquire("night", MACHINES.night("night-1"), 46_800, datetime.now(UTC))
    w.states.ends("night-1", "ABORTED")
    w.alarms.ring("drift-bias")
    assert told(event("drift-bias"))["action"] == "retrain"


@pytest.mark.parametrize(
    "poison",
    [
        pytest.param({}, id="empty"),
        pytest.param({**golden("react_to_alarm/drift"), "source": "my.app"}, id="not CloudWatch's"),
        pytest.param(
            {**golden("react_to_alarm/drift"), "detail": {"alarmName": "understudy-drift-bias"}}, id="without a state"
        ),
        pytest.param(event("drift-bias", state="BROKEN"), id="a state that is none"),
    ],
)
def test_a_poison_event_is_refused_with_what_is_wrong(world, poison):
    w, told = world
    with pytest.raises(ValidationError):
        told(poison)
    assert decisions(w) == []
