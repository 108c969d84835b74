"""functions/release_lease: a run's end frees its own leases, and nobody else's."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from support.doors import CONTEXT, golden, load_door
from understudy.adapters.memory import MemoryLeases

NOW = datetime(2026, 11, 23, 4, tzinfo=UTC)
OWNER = golden("release_lease/last_state")["owner"]


@pytest.fixture
def leases():
    return MemoryLeases()


@pytest.fixture
def door(leases, monkeypatch):
    module = load_door("release_lease")
    monkeypatch.setattr(module, "world", lambda: leases)
    return module


@pytest.mark.parametrize("event", ["last_state", "run_was_stopped"])
def test_a_run_that_ended_frees_its_lease_however_it_ended(door, leases, event):
    leases.acquire("night", OWNER, 3600, NOW)
    assert door.handler(golden(f"release_lease/{event}"), CONTEXT) == {"released": ["night"]}
    assert leases.holder("night") is None


@pytest.mark.parametrize("event", ["last_state", "run_was_stopped"])
def test_a_late_event_does_not_free_the_next_nights_lease(door, leases, event):
    held = leases.acquire("night", "the next night", 3600, NOW)
    assert door.handler(golden(f"release_lease/{event}"), CONTEXT) == {"released": []}
    assert leases.holder("night") == held


def test_the_same_event_again_changes_nothing(door, leases):
    leases.acquire("night", OWNER, 3600, NOW)
    door.handler(golden("release_lease/run_was_stopped"), CONTEXT)
    assert door.handler(golden("release_lease/run_was_stopped"), CONTEXT) == {"released": []}
