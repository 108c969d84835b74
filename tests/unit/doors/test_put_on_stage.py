"""functions/put_on_stage: one conditional write makes a release serve."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from support.doors import CONTEXT, golden, load_door
from support.releases import release
from understudy.adapters.memory import MemoryReleases, MemoryTraffic
from understudy.contracts.traffic import Standing, Traffic
from understudy.errors import TrafficMoved


@pytest.fixture
def stores():
    return MemoryTraffic(), MemoryReleases(release(status="approved"))


@pytest.fixture
def door(stores, monkeypatch):
    module = load_door("put_on_stage")
    monkeypatch.setattr(module, "world", lambda: stores)
    return module


def test_the_first_release_becomes_champion(door, stores):
    traffic, releases = stores
    door.handler(golden("put_on_stage/first_champion"), CONTEXT)
    assert traffic.current().champion == Standing(release=release().release_id, slot="blue")
    assert (traffic.current().share_bp, traffic.current().candidate) == (0, None)
    assert releases.get(release().release_id).status == "champion"


def test_a_lost_reply_repeated_is_the_same_write(door, stores):
    first, second = (door.handler(golden("put_on_stage/first_champion"), CONTEXT) for _ in range(2))
    assert first == second
    assert stores[0].current().version == 1


def test_a_rollout_that_lost_the_race_changes_nothing(door, stores):
    winner = Traffic(
        change_id="another",
        champion=Standing(release="r-0", slot="blue"),
        salt="s",
        reason="r",
        changed_at=datetime(2026, 11, 22, tzinfo=UTC),
    )
    stores[0].replace(None, winner, 2)
    with pytest.raises(TrafficMoved, match="another"):
        door.handler(golden("put_on_stage/first_champion"), CONTEXT)
    assert stores[0].current().champion.release == "r-0"
    assert stores[1].get(release().release_id).status == "approved"
