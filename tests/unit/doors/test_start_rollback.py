"""functions/start_rollback: what the bad end of a rollout or a rollback leads to, however often it is told."""

from __future__ import annotations

import copy
import json
from datetime import UTC, datetime

import pytest

from support.doors import CONTEXT, golden, load_door
from support.releases import release
from understudy.adapters.memory import MemoryLeases, MemoryReleases, MemoryTraffic
from understudy.contracts.traffic import Standing
from understudy.domain import traffic_moves
from understudy.domain.rollback import rollback_name
from understudy.domain.traffic_moves import By
from understudy.settings import StartRollbackSettings

STOPPED, VERDICT, TIMED_OUT = (
    golden(f"start_rollback/{name}")
    for name in ("rollout_was_stopped", "rollout_lost_its_verdict", "rollback_timed_out")
)
RELEASE = STOPPED["detail"]["name"]
NOW = datetime(2026, 11, 23, 6, tzinfo=UTC)
OLD, NEW = Standing(release="r-old", slot="blue"), Standing(release=RELEASE, slot="green")
SETTINGS = StartRollbackSettings(
    traffic_table="t", lease_table="l", releases_table="r", roll_back_machine_arn="machine", notify_function="notify"
)


class Executions:
    class exceptions:
        class ExecutionAlreadyExists(Exception): ...

    def __init__(self) -> None:
        self.started: dict[str, dict] = {}
        self.running: set[str] = set()

    def get_paginator(self, _operation):
        return self

    def paginate(self, stateMachineArn, statusFilter):
        return [{"executions": [{"name": name} for name in self.running]}]

    def start_execution(self, stateMachineArn, name, input):
        if name in self.started:
            raise self.exceptions.ExecutionAlreadyExists
        self.started[name] = json.loads(input)


class Pages:
    def __init__(self) -> None:
        self.told: list[dict] = []

    def invoke(self, FunctionName, InvocationType, Payload):
        self.told.append(json.loads(Payload))


@pytest.fixture
def world(monkeypatch):
    door = load_door("start_rollback")
    store, leases = MemoryTraffic(), MemoryLeases()
    store.replace(None, traffic_moves.first(OLD, By("r-old:champion", "r-old", NOW, "first")), 1)
    records = MemoryReleases(release(RELEASE, status="approved"), release("r-old", status="champion"))
    world = door.World(SETTINGS, store, leases, records, Executions(), Pages())
    monkeypatch.setattr(door, "world", lambda: world)
    return world, lambda event: door.handler(event, CONTEXT)


def rehearse(world):
    now = world.traffic.current()
    by = By(f"{RELEASE}:stage:1000", RELEASE, NOW, "stage")
    world.traffic.replace(now, traffic_moves.stage(now, NEW, by, share_bp=1000).traffic, 2)


def with_detail(event, **changes):
    changed = copy.deepcopy(event)
    changed["detail"] |= changes
    return changed


def closed(world, status="rejected"):
    record = world.releases.get(RELEASE)
    world.releases.move_status(record, status, record.fence)


def test_a_rollout_that_was_stopped_is_rolled_back(world):
    w, told = world
    rehearse(w)
    answer = told(STOPPED)
    started = w.states.started[answer["name"]]
    assert (started["release_id"], started["rollout_id"], started["cause"]) == (RELEASE, RELEASE, "ended")
    assert answer["name"] == rollback_name(RELEASE, "roll_out ended with ABORTED")


def test_an_end_told_three_times_is_one_rollback(world):
    w, told = world
    rehearse(w)
    for _ in range(3):
        told(STOPPED)
    assert len(w.states.started) == 1


def test_while_its_rollback_runs_another_is_not_started(world):
    w, told = world
    rehearse(w)
    w.states.running.add(rollback_name(RELEASE, "an operator's"))
    assert told(STOPPED)["action"] == "leave"


def test_a_verdict_whose_rollback_could_not_be_started_is_rolled_back_as_the_verdict_it_was(world):
    """The reply of StartExecution was lost, or it never came: the name is the one that roll_out itself would have given."""
    w, told = world
    rehearse(w)
    answer = told(VERDICT)
    assert answer["name"] == rollback_name(RELEASE, VERDICT["detail"]["cause"])
    assert w.states.started[answer["name"]]["cause"] == "verdict"


def test_a_rollout_that_holds_the_stage_but_stands_on_none_is_cleaned_up(world):
    w, told = world
    closed(w)
    w.leases.acquire("stage", STOPPED["detail"]["executionArn"], 3600, NOW)
    assert told(STOPPED)["action"] == "start"


def test_a_rollout_that_only_waited_leaves_its_word_to_be_written(world):
    _, told = world
    assert told(STOPPED)["action"] == "start"


def test_a_rollout_that_left_nothing_needs_nothing(world):
    w, told = world
    closed(w, "retired")
    assert told(STOPPED)["action"] == "leave"
    assert w.states.started == {}


@pytest.mark.parametrize("holder", [None, "rollout"])
def test_a_rollback_that_was_killed_before_it_had_the_stage_is_followed_by_another(world, holder):
    """The stage is its dead rollout's still, or its own door is about to take it: nobody else would ever give it back."""
    w, told = world
    closed(w, "retired")
    if holder:
        w.leases.acquire("stage", STOPPED["detail"]["executionArn"], 3600, NOW)
    killed = with_detail(TIMED_OUT, status="ABORTED")
    answer = told(killed)
    assert answer["action"] == "start"
    assert [told(killed)["name"], list(w.states.started)] == [answer["name"], [answer["name"]]]


def test_a_late_event_of_a_rollout_whose_release_serves_changes_nothing(world):
    w, told = world
    rehearse(w)
    now = w.traffic.current()
    by = By(f"{RELEASE}:promote", RELEASE, NOW, "promote")
    now = w.traffic.replace(now, traffic_moves.promote(now, NEW, by, holdback_bp=0).traffic, 2)
    w.traffic.replace(now, traffic_moves.retire_previous(now, by).traffic, 2)
    record = w.releases.move_status(w.releases.get(RELEASE), "champion", 2)
    assert told(STOPPED)["action"] == "leave"
    assert w.releases.get(RELEASE) == record


def test_a_rollback_that_failed_is_started_again_under_another_name_and_people_are_told(world):
    w, told = world
    rehearse(w)
    first = told(TIMED_OUT)
    started = w.states.started[first["name"]]
    assert first["name"] != TIMED_OUT["detail"]["name"]
    assert (started["cause"], started["reason"]) == ("verdict", "errors: 5.1 % of the candidate's requests failed")
    assert (started["attempt"], started["pause_s"]) == (1, 0)  # the first that follows goes on at once
    assert w.functions.told[0]["kind"] == "stuck"
    again = told(with_detail(TIMED_OUT, name=first["name"], input=json.dumps(started)))
    assert w.states.started[again["name"]]["pause_s"] > started["pause_s"]
    assert w.states.started[again["name"]]["asked_at"] == started["asked_at"]


@pytest.mark.parametrize(("hours", "action"), [(23.9, "start"), (24.1, "give_up")])
def test_rollbacks_that_keep_failing_for_a_day_are_peoples_business(world, hours, action):
    w, told = world
    rehearse(w)
    began = TIMED_OUT["detail"]["startDate"]
    assert told(with_detail(TIMED_OUT, stopDate=began + int(hours * 3_600_000)))["action"] == action
    assert len(w.functions.told) == 1


def test_a_redriven_rollout_that_ends_again_is_rolled_back_again(world):
    w, told = world
    rehearse(w)
    names = {told(with_detail(STOPPED, redriveCount=count))["name"] for count in (0, 1)}
    assert len(names) == len(w.states.started) == 2
