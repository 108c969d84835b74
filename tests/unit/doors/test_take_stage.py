"""functions/take_stage: one rollout at a time, into the slot that is free."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from support.doors import CONTEXT, golden, load_door
from support.releases import release
from understudy.adapters.memory import MemoryLeases, MemoryReleases, MemoryTraffic
from understudy.contracts.traffic import Standing, Traffic
from understudy.errors import InvalidInput, LeaseHeld
from understudy.settings import TakeStageSettings


class States:
    def __init__(self, status: str) -> None:
        self.status = status

    def describe_execution(self, executionArn: str) -> dict[str, str]:
        return {"status": self.status}


@pytest.fixture
def door(monkeypatch):
    module = load_door("take_stage")
    parts = SimpleNamespace(
        leases=MemoryLeases(),
        traffic=MemoryTraffic(),
        releases=MemoryReleases(release(status="approved")),
        states=States("RUNNING"),
    )
    settings = TakeStageSettings(lease_table="l", traffic_table="t", releases_table="r")
    monkeypatch.setattr(module, "world", lambda: module.World(settings, **vars(parts)))
    module.parts = parts
    return module


def test_the_first_release_fills_blue_under_the_leases_fence(door):
    stage = door.handler(golden("take_stage/first_release"), CONTEXT)
    assert (stage["action"], stage["slot"]) == ("fill", "blue")
    assert stage["fence"] == door.parts.leases.holder("stage").fence


def test_the_same_rollout_asking_again_holds_the_same_fence(door):
    fences = {door.handler(golden("take_stage/first_release"), CONTEXT)["fence"] for _ in range(2)}
    assert len(fences) == 1


@pytest.mark.parametrize(("holder", "refused"), [("RUNNING", True), ("ABORTED", False)])
def test_a_second_rollout_waits_for_a_living_one_and_takes_over_from_a_dead_one(door, holder, refused):
    door.parts.leases.acquire("stage", "arn:another", 9000, datetime.now(UTC))
    door.parts.states.status = holder
    if refused:
        with pytest.raises(LeaseHeld, match="arn:another"):
            door.handler(golden("take_stage/first_release"), CONTEXT)
    else:
        assert door.handler(golden("take_stage/first_release"), CONTEXT)["fence"] == 2


@pytest.mark.parametrize(("serving", "reason"), [("r-0", "r-0 serves"), (release().release_id, "it serves already")])
def test_a_taken_stage_is_left(door, serving, reason):
    traffic = Traffic(
        change_id="c",
        champion=Standing(release=serving, slot="blue"),
        salt="s",
        reason="r",
        changed_at=datetime(2026, 11, 22, tzinfo=UTC),
    )
    door.parts.traffic.replace(None, traffic, 1)
    stage = door.handler(golden("take_stage/first_release"), CONTEXT)
    assert stage["action"] == "leave"
    assert reason in stage["reason"]


def test_a_release_nobody_registered_is_refused(door):
    with pytest.raises(InvalidInput, match="there is no release r-x"):
        door.handler({**golden("take_stage/first_release"), "release_id": "r-x"}, CONTEXT)
