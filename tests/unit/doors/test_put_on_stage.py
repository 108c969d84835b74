"""functions/put_on_stage: each stage is one conditional write, the same however often it is asked for."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace

import pytest

from support.doors import CONTEXT, golden, load_door
from support.releases import release
from understudy.adapters.memory import MemoryReleases, MemoryTraffic
from understudy.contracts.traffic import Standing, Traffic
from understudy.errors import InvalidInput, StageLost, TrafficMoved

FIRST, SHARE, PROMOTION = (golden(f"put_on_stage/{name}") for name in ("first_champion", "first_share", "promotion"))
ID = release().release_id
OLD = release("r-0", status="champion", fence=40)  # a night's fence, of another lease than the stage's
BLUE, GREEN = Standing(release="r-0", slot="blue"), Standing(release=ID, slot="green")
NOW = datetime(2026, 11, 22, tzinfo=UTC)


def share(bp, **changes):
    return {**SHARE, "stage": {**SHARE["stage"], "share_bp": bp, **changes}}


@pytest.fixture
def stores():
    serving = Traffic(change_id="before", champion=BLUE, salt="s", reason="r", changed_at=NOW, fence=3)
    return SimpleNamespace(traffic=MemoryTraffic(serving), releases=MemoryReleases(release(status="approved"), OLD))


@pytest.fixture
def door(stores, monkeypatch):
    module = load_door("put_on_stage")
    monkeypatch.setattr(module, "world", lambda: (stores.traffic, stores.releases))
    return module


def test_the_first_release_becomes_champion(door, stores):
    stores.traffic = MemoryTraffic()
    door.handler(FIRST, CONTEXT)
    assert stores.traffic.current().champion == Standing(release=ID, slot="blue")
    assert (stores.traffic.current().share_bp, stores.traffic.current().candidate) == (0, None)
    assert stores.releases.get(ID).status == "champion"


def test_a_stage_shows_the_candidate_to_its_share_and_keeps_the_salt(door, stores):
    written = [door.handler(share(bp), CONTEXT) for bp in (1000, 5000)]
    assert [(one["share_bp"], one["candidate"]["release"], one["champion"]["release"]) for one in written] == [
        (1000, ID, "r-0"),
        (5000, ID, "r-0"),
    ]
    assert len({one["salt"] for one in written}) == 1
    assert {one["fence"] for one in written} == {SHARE["fence"]}
    assert stores.releases.get(ID).status == "approved"


def test_a_shadow_stage_shows_it_to_nobody(door):
    written = door.handler(share(0, kind="shadow", shadow_bp=700), CONTEXT)
    assert (written["share_bp"], written["shadow_bp"], written["candidate"]["release"]) == (0, 700, ID)


def test_the_promotion_makes_it_champion_and_keeps_the_one_before_for_the_holdback(door, stores):
    door.handler(share(5000), CONTEXT)
    written = door.handler(PROMOTION, CONTEXT)
    assert (written["champion"]["release"], written["previous"]["release"], written["holdback_bp"]) == (ID, "r-0", 500)
    assert (stores.releases.get(ID).status, stores.releases.get("r-0").status) == ("champion", "retired")


@pytest.mark.parametrize("event", [FIRST, SHARE, PROMOTION], ids=["first", "share", "promotion"])
def test_a_lost_reply_repeated_is_the_same_write(door, stores, event):
    if event is FIRST:
        stores.traffic = MemoryTraffic()
    if event is PROMOTION:
        door.handler(share(5000), CONTEXT)
    first, second = (door.handler(event, CONTEXT) for _ in range(2))
    assert first == second
    assert stores.traffic.current().version == first["version"]


def test_a_promotion_whose_function_died_between_its_two_writes_is_finished_by_the_next_attempt(door, stores):
    door.handler(share(5000), CONTEXT)
    stores.releases.move_status = None  # the process dies here
    with pytest.raises(TypeError):
        door.handler(PROMOTION, CONTEXT)
    del stores.releases.move_status
    door.handler(PROMOTION, CONTEXT)
    assert (stores.releases.get(ID).status, stores.releases.get("r-0").status) == ("champion", "retired")


def test_after_a_rollback_nothing_that_was_decided_before_can_land(door, stores):
    taken = door.handler(SHARE, CONTEXT)
    now = stores.traffic.current()
    back = now.next(change_id="back", reason="alarm", changed_at=NOW, candidate=None, share_bp=0)
    stores.traffic.replace(now, back, taken["fence"] + 1)
    for event in (SHARE, share(5000)):
        with pytest.raises(TrafficMoved, match="back"):
            door.handler(event, CONTEXT)
    with pytest.raises(StageLost, match="no longer this rollout's candidate"):
        door.handler(PROMOTION, CONTEXT)
    assert stores.traffic.current().candidate is None
    assert stores.releases.get(ID).status == "approved"


def test_a_stage_whose_slot_belongs_to_another_candidate_is_lost(door, stores):
    other = Standing(release="r-7", slot="green")
    now = stores.traffic.current()
    stores.traffic.replace(now, now.next(change_id="x", reason="r", changed_at=NOW, candidate=other, share_bp=1), 4)
    with pytest.raises(StageLost, match="r-7 is the candidate"):
        door.handler(SHARE, CONTEXT)


def test_a_first_release_that_lost_the_race_changes_nothing(door, stores):
    with pytest.raises(TrafficMoved, match="before"):
        door.handler(FIRST, CONTEXT)
    assert stores.traffic.current().champion.release == "r-0"
    assert stores.releases.get(ID).status == "approved"


def test_a_stage_without_anybody_who_serves_is_lost(door, stores):
    stores.traffic = MemoryTraffic()
    with pytest.raises(StageLost, match="nobody serves"):
        door.handler(SHARE, CONTEXT)


def test_a_release_nobody_registered_is_refused(door):
    with pytest.raises(InvalidInput, match="there is no release r-x"):
        door.handler({**SHARE, "release_id": "r-x"}, CONTEXT)
