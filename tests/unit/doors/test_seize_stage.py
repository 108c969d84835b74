"""functions/seize_stage: the stage's lease from a rollout that was stopped, and a fence nobody before has."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from support.doors import CONTEXT, golden, load_door
from understudy.adapters.memory import MemoryLeases, MemoryTraffic
from understudy.contracts.traffic import Standing
from understudy.domain import traffic_moves
from understudy.domain.traffic_moves import By
from understudy.errors import LeaseHeld, TrafficMoved
from understudy.settings import SeizeStageSettings

EVENT = golden("seize_stage/after_the_stop")
RELEASE, OURS = EVENT["release_id"], EVENT["execution_arn"]
ROLLOUT = f"arn:aws:states:us-east-1:123456789012:execution:understudy-roll-out:{RELEASE}"
OTHER = "arn:aws:states:us-east-1:123456789012:execution:understudy-roll-out:r-other"
NOW = datetime.now(UTC)
OLD, NEW = Standing(release="r-old", slot="blue"), Standing(release=RELEASE, slot="green")


class Executions:
    """Step Functions, as far as it says which executions run."""

    def __init__(self) -> None:
        self.running: set[str] = set()

    def describe_execution(self, executionArn):
        return {"status": "RUNNING" if executionArn in self.running else "ABORTED"}


@pytest.fixture
def world(monkeypatch):
    door = load_door("seize_stage")
    store, leases = MemoryTraffic(), MemoryLeases()
    store.replace(None, traffic_moves.first(OLD, By("r-old:champion", "r-old", NOW, "first")), 1)
    world = door.World(SeizeStageSettings(traffic_table="t", lease_table="l"), store, leases, Executions())
    monkeypatch.setattr(door, "world", lambda: world)
    world_of = lambda: door.handler(EVENT, CONTEXT)  # noqa: E731
    return world, world_of


def rehearse(world, fence):
    now = world.traffic.current()
    stage = traffic_moves.stage(now, NEW, By(f"{RELEASE}:stage:1000", RELEASE, NOW, "stage"), share_bp=1000)
    return world.traffic.replace(now, stage.traffic, fence)


def test_the_lease_of_a_stopped_rollout_is_taken_over_and_traffic_carries_its_fence(world):
    w, ask = world
    held = w.leases.acquire("stage", ROLLOUT, 3600, NOW)
    seized = ask()
    assert seized["action"] == "clean"
    assert w.leases.holder("stage").owner == OURS
    assert w.traffic.current().fence == seized["fence"] > held.fence


def test_a_first_write_in_flight_is_refused_once_the_stage_is_seized(world):
    """The rollout was stopped before its release stood on stage, and its door still runs."""
    w, ask = world
    held, decided_on = w.leases.acquire("stage", ROLLOUT, 3600, NOW), w.traffic.current()
    ask()
    late = traffic_moves.stage(decided_on, NEW, By(f"{RELEASE}:stage:1000", RELEASE, NOW, "late"), share_bp=1000)
    with pytest.raises(TrafficMoved):
        w.traffic.replace(decided_on, late.traffic, held.fence)
    now = w.traffic.current()
    late = traffic_moves.stage(now, NEW, By(f"{RELEASE}:stage:1000", RELEASE, NOW, "late"), share_bp=1000)
    with pytest.raises(TrafficMoved):  # not even on what is there now
        w.traffic.replace(now, late.traffic, held.fence)


def test_a_first_write_that_landed_before_the_stage_was_seized_is_taken_down_with_it(world):
    w, ask = world
    rehearse(w, w.leases.acquire("stage", ROLLOUT, 3600, NOW).fence)
    ask()
    assert w.traffic.current().candidate is None


def test_while_its_rollout_runs_the_stage_is_not_ours(world):
    w, ask = world
    w.leases.acquire("stage", ROLLOUT, 3600, NOW)
    w.states.running.add(ROLLOUT)
    with pytest.raises(LeaseHeld):
        ask()


def test_another_rollout_that_runs_keeps_the_stage_and_its_fence(world):
    w, ask = world
    held = w.leases.acquire("stage", OTHER, 3600, NOW)
    w.states.running.add(OTHER)
    before = w.traffic.current()
    assert ask()["action"] == "close"
    assert (w.leases.holder("stage"), w.traffic.current()) == (held, before)


def test_seizing_twice_is_seizing_once(world):
    w, ask = world
    w.leases.acquire("stage", ROLLOUT, 3600, NOW)
    first = ask()
    version = w.traffic.current().version
    assert ask() == first
    assert w.traffic.current().version == version


def test_a_rollback_that_failed_hands_the_stage_to_the_one_that_follows(world):
    w, ask = world
    dead = OURS + "0"
    fence = w.leases.acquire("stage", dead, 3600, NOW).fence
    assert ask()["fence"] > fence


def test_on_an_empty_stage_only_the_lease_is_taken(world, monkeypatch):
    w, ask = world
    w.traffic._traffic = None
    assert ask() == {"action": "clean", "fence": 1, "reason": "nobody serves"}


@pytest.mark.parametrize("minutes", [-5, 5])
def test_a_lease_is_not_lost_to_a_clock_that_is_five_minutes_off(world, minutes):
    w, ask = world
    w.leases.acquire("stage", OTHER, 7 * 3600, NOW + timedelta(minutes=minutes))
    w.states.running.add(OTHER)
    assert ask()["action"] == "close"
