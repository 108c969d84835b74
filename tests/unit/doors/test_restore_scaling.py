"""functions/restore_scaling: what scaled by itself before a rollout does so again, and keeps its instances."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from support.doors import CONTEXT, golden, load_door
from support.fake_endpoints import FakeEndpoints, FakeScaling, MemoryNotes
from understudy.adapters.memory import MemoryTraffic
from understudy.contracts.traffic import Standing, Traffic
from understudy.errors import FencedOff
from understudy.settings import RestoreScalingSettings

EVENT = golden("restore_scaling/after_a_rollout")
TOWER, RANKER = "understudy-two-tower", "understudy-ranker"
POLICY = {
    "PolicyName": "load",
    "PolicyType": "TargetTrackingScaling",
    "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 70.0},
}


@pytest.fixture
def door(monkeypatch):
    module: Any = load_door("restore_scaling")
    serving = Traffic(
        change_id="c",
        champion=Standing(release="r-2", slot="green"),
        salt="s",
        reason="r",
        fence=7,
        changed_at=datetime.now(UTC),
    )
    parts = SimpleNamespace(
        traffic=MemoryTraffic(serving), notes=MemoryNotes(), sagemaker=FakeEndpoints(), autoscaling=FakeScaling()
    )
    for name in (TOWER, RANKER):
        rows = [{"VariantName": "green", "CurrentInstanceCount": 5}]
        parts.sagemaker.endpoints[name] = {"EndpointStatus": "InService", "ProductionVariants": rows}
    settings = RestoreScalingSettings(
        traffic_table="t", state_table="s", two_tower_endpoint=TOWER, ranker_endpoint=RANKER
    )
    monkeypatch.setattr(module, "world", lambda: module.World(settings, **vars(parts)))
    module.parts = parts
    return module


def test_the_new_champions_slot_scales_as_the_old_ones_did(door):
    door.parts.notes.noted[TOWER] = {"blue": {"minimum": 2, "maximum": 9, "policies": [POLICY]}}
    assert door.handler(EVENT, CONTEXT) == {"restored": {TOWER: ["green"], RANKER: []}}
    resource = f"endpoint/{TOWER}/variant/green"
    assert door.parts.autoscaling.targets == {resource: {"MinCapacity": 2, "MaxCapacity": 9}}
    assert door.parts.autoscaling.policies == {resource: [POLICY]}
    assert door.parts.notes.noted == {}


def test_a_maximum_below_what_runs_would_take_instances_away_and_is_raised(door):
    door.parts.notes.noted[TOWER] = {"green": {"minimum": 1, "maximum": 3, "policies": []}}
    door.handler(EVENT, CONTEXT)
    assert door.parts.autoscaling.targets[f"endpoint/{TOWER}/variant/green"] == {"MinCapacity": 1, "MaxCapacity": 5}


def test_a_note_outlives_a_restoration_that_broke_off(door):
    door.parts.notes.noted[TOWER] = {"green": {"minimum": 1, "maximum": 3, "policies": [POLICY]}}
    door.parts.autoscaling.put_scaling_policy = None  # the process dies here
    with pytest.raises(TypeError):
        door.handler(EVENT, CONTEXT)
    del door.parts.autoscaling.put_scaling_policy
    door.handler(EVENT, CONTEXT)
    assert door.parts.autoscaling.policies == {f"endpoint/{TOWER}/variant/green": [POLICY]}
    assert door.parts.notes.noted == {}


def test_what_never_scaled_by_itself_does_not_begin_to(door):
    door.handler(EVENT, CONTEXT)
    assert door.parts.autoscaling.targets == {}


def test_after_a_rollback_the_rollback_restores(door):
    door.parts.notes.noted[TOWER] = {"green": {"minimum": 1, "maximum": 3, "policies": []}}
    with pytest.raises(FencedOff):
        door.handler({"fence": 6}, CONTEXT)
    assert door.parts.notes.noted
