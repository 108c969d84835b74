"""functions/retire_previous: after the watch nobody stays on the release before, and a rollback is never overwritten."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from support.doors import CONTEXT, golden, load_door
from understudy.adapters.memory import MemoryTraffic
from understudy.contracts.traffic import Standing, Traffic
from understudy.errors import FencedOff, StageLost

EVENT = golden("retire_previous/after_the_watch")
NEW, OLD = Standing(release="r-2", slot="green"), Standing(release="r-1", slot="blue")


@pytest.fixture
def store():
    return MemoryTraffic(
        Traffic(
            change_id="c",
            champion=NEW,
            previous=OLD,
            holdback_bp=500,
            salt="s",
            reason="r",
            fence=EVENT["fence"],
            changed_at=datetime(2026, 11, 22, tzinfo=UTC),
        )
    )


@pytest.fixture
def door(store, monkeypatch):
    module = load_door("retire_previous")
    monkeypatch.setattr(module, "world", lambda: store)
    return module


def test_nobody_stays_on_the_release_before(door, store):
    written = door.handler(EVENT, CONTEXT)
    assert (written["previous"], written["holdback_bp"], written["champion"]["release"]) == (None, 0, "r-2")
    assert store.current().change_id.endswith(":retire:r-1")


def test_asking_again_writes_nothing_more(door, store):
    assert door.handler(EVENT, CONTEXT) == door.handler(EVENT, CONTEXT)
    assert store.current().version == 2


def test_a_rollback_that_came_first_stands(door, store):
    now = store.current()
    back = now.next(
        change_id="back", reason="alarm", changed_at=now.changed_at, champion=OLD, previous=None, holdback_bp=0
    )
    store.replace(now, back, EVENT["fence"] + 1)
    with pytest.raises(FencedOff, match="back"):
        door.handler(EVENT, CONTEXT)
    assert store.current().champion == OLD


def test_without_anybody_on_stage_there_is_nobody_to_retire(door, monkeypatch):
    monkeypatch.setattr(door, "world", MemoryTraffic)
    with pytest.raises(StageLost, match="nobody serves"):
        door.handler(EVENT, CONTEXT)
