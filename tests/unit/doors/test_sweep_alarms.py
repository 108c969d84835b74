"""functions/sweep_alarms: nothing that rings stays unanswered, nothing that was begun stays half done."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from support.doors import CONTEXT, golden, load_door
from support.reacting import COOL_DOWN_S, MACHINES, NEW, NOW, create_tables, occasion, reactor
from understudy.adapters.aws_items import to_item
from understudy.contracts.reactions import Reaction
from understudy.domain import traffic_moves
from understudy.domain.traffic_moves import By

AFTER = timedelta(seconds=COOL_DOWN_S)


@pytest.fixture
def world(aws):
    dynamodb = aws.client("dynamodb")
    return reactor(dynamodb, create_tables(dynamodb))


def test_the_door_sweeps_with_what_the_schedule_sends(world, monkeypatch):
    door = load_door("sweep_alarms")
    monkeypatch.setattr(door, "world", lambda: world)
    world.alarms.ring("drift-bias", datetime.now(UTC))
    [answer] = door.handler(golden("sweep_alarms/schedule"), CONTEXT)["answers"]
    assert (answer["action"], world.states.nights()) == ("retrain", [answer["execution"]])


def test_an_alarm_whose_event_was_lost_is_answered(world):
    world.alarms.ring("drift-bias")
    world.alarms.ring("schema-bias", state="OK")
    [reaction] = world.sweep(NOW + timedelta(minutes=10))
    assert (reaction.action, world.states.nights()) == ("retrain", [reaction.execution])
    world.sweep(NOW + timedelta(minutes=25))
    assert len(world.states.nights()) == 1


def test_an_alarm_that_came_in_during_a_night_is_answered_after_it(world):
    world.leases.acquire("night", MACHINES.night("night-1"), 46_800, NOW)
    world.states.ends("night-1", "RUNNING")
    world.alarms.ring("drift-bias")
    assert [reaction.action for reaction in world.sweep(NOW)] == ["wait"]
    world.states.ends("night-1", "SUCCEEDED")
    [reaction] = world.sweep(NOW + timedelta(minutes=15))
    assert (reaction.action, len(world.states.nights())) == ("retrain", 1)
    assert world.reactions.get(occasion("drift-bias")).action == "retrain"


def test_what_waited_and_is_over_by_itself_is_closed_with_a_reason(world):
    world.alarms.ring("schema-bias")
    world.alarms.ring("drift-bias")
    world.sweep(NOW)
    for what in ("schema-bias", "drift-bias"):
        world.alarms.ring(what, NOW + timedelta(minutes=5), "OK")
    world.sweep(NOW + timedelta(minutes=15))
    reaction = world.reactions.get(occasion("drift-bias"))
    assert (reaction.action, reaction.settled, "has been OK since" in reaction.reason) == ("ignore", True, True)
    assert world.states.nights() == []


def test_a_crash_between_naming_the_run_and_starting_it_is_mended_under_the_same_name(world):
    world.alarms.ring("drift-bias")
    world.states.down = True
    with pytest.raises(ConnectionError):
        world.answer(occasion("drift-bias"), NOW)
    named = world.episodes.current()
    assert (named.started_at, world.states.nights()) == (None, [])
    world.states.down = False
    world.sweep(NOW + timedelta(seconds=10))
    assert world.states.nights() == [named.run]
    assert world.states.started[named.run] == named.request
    world.sweep(NOW + timedelta(minutes=10))
    assert world.states.nights() == [named.run]
    assert world.reactions.get(occasion("drift-bias")).settled


def test_a_crash_before_anything_was_written_down_is_mended_too(world):
    """The episode stands, the decision does not: the same occasion finds its own episode."""
    world.alarms.ring("drift-bias")
    world._decide(occasion("drift-bias"), NOW)
    world.sweep(NOW + timedelta(minutes=1))
    assert world.states.nights() == [world.episodes.current().run]
    assert world.reactions.get(occasion("drift-bias")).action == "retrain"


def test_a_retrain_that_found_another_night_is_started_again_after_it(world):
    world.alarms.ring("drift-bias")
    world.answer(occasion("drift-bias"), NOW)
    first = world.episodes.current()
    world.states.ends(first.run, "FAILED", "LeaseHeld")
    world.leases.acquire("night", MACHINES.night("night-1"), 46_800, NOW)
    world.states.ends("night-1", "RUNNING")
    world.sweep(NOW + timedelta(minutes=15))
    assert world.states.nights() == [first.run]
    world.states.ends("night-1", "SUCCEEDED")
    world.sweep(NOW + timedelta(minutes=30))
    world.sweep(NOW + timedelta(minutes=45))
    assert world.states.nights() == [first.run, f"{first.run}-2"]
    assert world.states.started[f"{first.run}-2"] == first.request


def test_a_retrain_that_failed_is_told_of_once(world):
    world.alarms.ring("drift-bias")
    world.answer(occasion("drift-bias"), NOW)
    run = world.episodes.current().run
    world.states.ends(run, "FAILED", "TrainingFailed", NOW + timedelta(minutes=9))
    for minutes in (15, 30):
        world.sweep(NOW + timedelta(minutes=minutes))
    [page] = world.functions.told
    assert run in page["facts"]["reason"]
    assert world.states.nights() == [run]


def test_an_episode_closes_when_its_alarms_are_ok_and_a_new_drift_opens_a_new_one(world):
    world.alarms.ring("drift-bias")
    world.answer(occasion("drift-bias"), NOW)
    first = world.episodes.current()
    world.states.ends(first.run, "SUCCEEDED")
    world.sweep(NOW + timedelta(minutes=15))
    assert world.episodes.current().closed_at is None
    world.alarms.ring("drift-bias", NOW + timedelta(minutes=20), "OK")
    world.sweep(NOW + timedelta(minutes=30))
    assert world.episodes.current().closed_at == NOW + timedelta(minutes=30)
    again = NOW + AFTER
    world.alarms.ring("drift-bias", again)
    assert world.answer(occasion("drift-bias", again), again).action == "retrain"
    second = world.episodes.current()
    assert (second.in_a_row, second.episode_id != first.episode_id) == (1, True)


@pytest.mark.parametrize("state", ["ALARM", "INSUFFICIENT_DATA"])
def test_an_episode_stays_open_while_an_alarm_of_it_is_not_ok(world, state):
    world.alarms.ring("drift-bias")
    world.answer(occasion("drift-bias"), NOW)
    world.states.ends(world.episodes.current().run, "SUCCEEDED")
    world.alarms.ring("drift-bias", NOW + timedelta(minutes=1), state)
    world.sweep(NOW + timedelta(minutes=15))
    assert world.episodes.current().closed_at is None


def test_a_drift_that_no_retrain_ends_is_asked_of_people_after_the_third(world):
    world.alarms.ring("drift-bias")
    for quarter in range(0, 5 * COOL_DOWN_S, 900):
        now = NOW + timedelta(seconds=quarter)
        world.sweep(now)
        for run in world.states.nights():
            world.states.ends(run, "SUCCEEDED", at=now)
    assert len(world.states.nights()) == 3
    assert [page["facts"]["alarm"] for page in world.functions.told] == ["understudy-drift-bias"]


def test_a_decision_that_was_cut_off_before_it_was_done_is_done(world):
    asked = occasion("silent-bias")
    world.reactions.record(Reaction(occasion=asked, action="page", reason="cut off", decided_at=NOW))
    world.sweep(NOW + timedelta(seconds=44))
    assert world.functions.told == []
    world.sweep(NOW + timedelta(seconds=46))
    world.sweep(NOW + timedelta(seconds=99))
    assert len(world.functions.told) == 1


def test_one_alarm_that_cannot_be_answered_keeps_no_other_waiting(world):
    world.alarms.ring("health-blue")
    world.alarms.ring("drift-bias")
    world.functions.invoke = None
    with pytest.raises(ExceptionGroup):
        world.sweep(NOW)
    assert len(world.states.nights()) == 1


def test_an_alarm_older_than_the_candidate_is_that_candidates_when_it_goes_on(world):
    world.alarms.ring("health-green", NOW - timedelta(hours=2))
    now = world.traffic.current()
    move = traffic_moves.stage(now, NEW, By("c", "r-new", NOW, "stage"), share_bp=1000)
    world.traffic.replace(now, move.traffic, 2)
    assert world.sweep(NOW + timedelta(seconds=899)) == []
    assert [reaction.action for reaction in world.sweep(NOW + timedelta(seconds=900))] == ["roll_back"]


def test_since_when_a_rollout_stands_is_what_its_first_window_says(world, aws):
    now = world.traffic.current()
    move = traffic_moves.stage(now, NEW, By("c", "r-new", NOW, "stage"), share_bp=5000)
    world.traffic.replace(now, move.traffic, 2)
    began = NOW - timedelta(hours=4)
    window = {
        "index": 0,
        "kind": "share",
        "share_bp": 1000,
        "version": 2,
        "control": "r-old",
        "started_at": began.isoformat(),
    }
    aws.client("dynamodb").put_item(TableName="state", Item=to_item({"id": "rollout#r-new", "windows": [window]}))
    assert world.answer(occasion("health-green", began), NOW).action == "roll_back"
