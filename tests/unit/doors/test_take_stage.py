"""functions/take_stage: one rollout at a time, the newest that waits, into the slot that is free, under a fence above all before."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from support.doors import CONTEXT, golden, load_door
from support.releases import release
from understudy.adapters.memory import MemoryLeases, MemoryReleases, MemoryTraffic
from understudy.adapters.stage import StageStores
from understudy.contracts.traffic import Standing, Traffic
from understudy.errors import InvalidInput, LeaseHeld, NotReady
from understudy.settings import TakeStageSettings

EVENT = golden("take_stage/first_release")
SETTINGS = {
    "lease_table": "l",
    "traffic_table": "t",
    "releases_table": "r",
    "rollout_stages": "1000,5000,10000",
    "bake_seconds": 60,
    "shadow_seconds": 0,
    "shadow_bp": 1000,
    "holdback_bp": 500,
}
BLUE = Standing(release="r-0", slot="blue")


def traffic(**changes):
    fields = {"change_id": "c", "champion": BLUE, "salt": "s", "reason": "r", "changed_at": datetime.now(UTC)}
    return Traffic.model_validate(fields | changes)


@pytest.fixture
def door(monkeypatch):
    module = load_door("take_stage")
    parts = SimpleNamespace(
        leases=MemoryLeases(), traffic=MemoryTraffic(), releases=MemoryReleases(release(status="approved"))
    )
    settings = SimpleNamespace(**SETTINGS)
    world = lambda: module.World(TakeStageSettings(**vars(settings)), StageStores(**vars(parts)))  # noqa: E731
    monkeypatch.setattr(module, "world", world)
    module.parts, module.settings = parts, settings
    return module


def test_the_first_release_finds_the_stage_empty_and_takes_blue(door):
    plan = door.handler(EVENT, CONTEXT)
    assert (plan["action"], plan["slot"], plan["stages"]) == ("first", "blue", [])
    assert plan["fence"] == door.parts.leases.holder("stage").fence


def test_a_later_release_goes_through_every_stage_in_the_other_slot(door):
    door.parts.traffic = MemoryTraffic(traffic())
    plan = door.handler(EVENT, CONTEXT)
    assert (plan["action"], plan["slot"], plan["previous"]) == ("roll_out", "green", None)
    assert [(s["kind"], s["share_bp"], s["next"], s["before_promotion"]) for s in plan["stages"]] == [
        ("share", 1000, 1, False),
        ("share", 5000, 2, True),
        ("watch", 10000, None, False),
    ]
    assert {s["bake_s"] for s in plan["stages"]} == {60}


def test_a_shadow_stage_comes_first_if_it_has_time(door):
    door.parts.traffic = MemoryTraffic(traffic())
    door.settings.shadow_seconds = 30
    first, second, *_ = door.handler(EVENT, CONTEXT)["stages"]
    assert (first["kind"], first["share_bp"], first["shadow_bp"], first["bake_s"]) == ("shadow", 0, 1000, 30)
    assert (second["kind"], second["index"]) == ("share", 1)


@pytest.mark.parametrize(
    "stages", ["", "1000", "10000", "5000,1000,10000", "1000,1000,10000", "a,10000", "0,10000", "10000,20000"]
)
def test_stages_that_do_not_grow_to_everybody_are_refused(door, stages):
    door.settings.rollout_stages = stages
    with pytest.raises(InvalidInput, match="growing basis points"):
        door.handler(EVENT, CONTEXT)
    assert door.parts.leases.holder("stage") is None


def test_the_same_rollout_asking_again_holds_the_same_fence(door):
    door.parts.traffic = MemoryTraffic(traffic(fence=9))
    assert [door.handler(EVENT, CONTEXT)["fence"] for _ in range(2)] == [10, 10]


def test_the_fence_is_above_every_fence_that_traffic_was_written_under(door):
    """A rollback raises traffic's fence without a lease of that height."""
    door.parts.traffic = MemoryTraffic(traffic(fence=7))
    fence = door.handler(EVENT, CONTEXT)["fence"]
    assert fence == 8
    assert door.parts.leases.holder("stage").fence == 8


def test_a_second_rollout_waits_for_the_first_one_or_for_its_rollback(door):
    door.parts.leases.acquire("stage", "arn:another", 9000, datetime.now(UTC))
    with pytest.raises(LeaseHeld, match="arn:another"):
        door.handler(EVENT, CONTEXT)


def test_a_candidate_that_a_dead_rollout_left_is_waited_for_and_the_lease_not_kept(door):
    green = Standing(release="r-1", slot="green")
    door.parts.traffic = MemoryTraffic(traffic(candidate=green, share_bp=1000, rollout_id="r-1"))
    with pytest.raises(NotReady, match="r-1"):
        door.handler(EVENT, CONTEXT)
    assert door.parts.leases.holder("stage") is None


def test_the_newest_that_waits_wins_and_the_older_one_is_superseded(door):
    older, newer = release(status="approved"), release("r-9", status="approved")
    newer = newer.model_copy(update={"created_at": older.created_at + timedelta(days=1)})
    door.parts.releases = MemoryReleases(older, newer)
    plan = door.handler(EVENT, CONTEXT)
    assert (plan["action"], plan["reason"]) == ("leave", "superseded by r-9, which is newer")
    assert door.parts.releases.get(older.release_id).status == "retired"
    won = door.handler({**EVENT, "release_id": "r-9"}, CONTEXT)
    assert won["action"] == "first"


@pytest.fixture
def newer_serves(door):
    """r-9 was promoted while an older release waited for the stage, or for its approval."""
    older = release(status="approved")
    newer = release("r-9", status="champion", created_at=older.created_at + timedelta(days=1))
    door.parts.releases = MemoryReleases(older, newer)
    door.parts.traffic = MemoryTraffic(traffic(champion=Standing(release="r-9", slot="green")))
    return older


def test_a_release_that_is_older_than_the_champion_does_not_replace_it(door, newer_serves):
    plan = door.handler(EVENT, CONTEXT)
    assert (plan["action"], plan["reason"]) == ("leave", "superseded by r-9, which is newer")
    left = door.parts.releases.get(newer_serves.release_id)
    assert (left.status, left.status_reason) == ("retired", "superseded by r-9, which is newer")


def test_an_operator_may_bring_an_older_release_back(door, newer_serves):
    plan = door.handler({**EVENT, "by_hand": True}, CONTEXT)
    assert (plan["action"], plan["slot"]) == ("roll_out", "blue")


def test_a_release_that_was_rejected_while_it_waited_stays_rejected(door, newer_serves):
    rejected = newer_serves.model_copy(update={"status": "rejected"})
    door.parts.releases._records[rejected.release_id] = rejected
    plan = door.handler(EVENT, CONTEXT)
    assert (plan["action"], plan["reason"]) == ("leave", "it was rejected")
    assert door.parts.releases.get(rejected.release_id).status == "rejected"


@pytest.mark.parametrize("status", ["registered", "pending", "rejected", "retired"])
def test_a_newer_release_that_nobody_approved_supersedes_nothing(door, status):
    older = release(status="approved")
    newer = release("r-9", status=status, created_at=older.created_at + timedelta(days=1))
    door.parts.releases = MemoryReleases(older, newer)
    assert door.handler(EVENT, CONTEXT)["action"] == "first"


def test_what_is_still_kept_from_the_rollout_before_is_named_so_that_it_makes_room(door):
    kept = Standing(release="r-00", slot="green")
    door.parts.traffic = MemoryTraffic(traffic(previous=kept, holdback_bp=500))
    assert door.handler(EVENT, CONTEXT)["previous"] == {"release": "r-00", "slot": "green"}


def test_a_release_that_serves_already_is_left(door):
    door.parts.traffic = MemoryTraffic(traffic(champion=Standing(release=release().release_id, slot="blue")))
    plan = door.handler(EVENT, CONTEXT)
    assert (plan["action"], plan["reason"]) == ("leave", "it serves already")


def test_a_release_nobody_registered_is_refused(door):
    with pytest.raises(InvalidInput, match="there is no release r-x"):
        door.handler({**EVENT, "release_id": "r-x"}, CONTEXT)
