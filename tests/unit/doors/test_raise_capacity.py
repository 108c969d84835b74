"""functions/raise_capacity: instances for the users to come, weights that mirror the share, nothing taken away."""

from __future__ import annotations

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from support.doors import CONTEXT, golden, load_door
from support.fake_endpoints import FakeEndpoints
from understudy.adapters.memory import MemoryTraffic
from understudy.contracts.traffic import Standing, Traffic
from understudy.errors import FencedOff, NotReady, SlotChanged
from understudy.settings import RaiseCapacitySettings

ENDPOINTS = ("understudy-two-tower", "understudy-ranker")
HALF, MIRROR = golden("raise_capacity/half_of_the_users"), golden("raise_capacity/as_traffic_says")
BLUE, GREEN = Standing(release="r-0", slot="blue"), Standing(release=HALF["release_id"], slot="green")


def traffic(**changes):
    fields = {"change_id": "c", "champion": BLUE, "salt": "s", "reason": "r", "changed_at": datetime.now(UTC)}
    return MemoryTraffic(Traffic.model_validate({**fields, "fence": 7, **changes}))


def row(slot, weight, count):
    return {
        "VariantName": slot,
        "DesiredWeight": weight,
        "CurrentWeight": weight,
        "DesiredInstanceCount": count,
        "CurrentInstanceCount": count,
    }


@pytest.fixture
def door(monkeypatch):
    module: Any = load_door("raise_capacity")
    sagemaker = FakeEndpoints()
    for name in ENDPOINTS:
        rows = [row("blue", 1.0, 6), row("green", 0.0, 1)]
        sagemaker.endpoints[name] = {
            "EndpointStatus": "InService",
            "EndpointConfigName": f"{name}-1",
            "ProductionVariants": rows,
        }
    settings = RaiseCapacitySettings(traffic_table="t", two_tower_endpoint=ENDPOINTS[0], ranker_endpoint=ENDPOINTS[1])
    parts = SimpleNamespace(traffic=traffic(), sagemaker=sagemaker)
    monkeypatch.setattr(module, "world", lambda: module.World(settings, parts.traffic, sagemaker))
    module.parts = parts
    return module


def variants(door, name=ENDPOINTS[0]):
    rows = door.parts.sagemaker.endpoints[name]["ProductionVariants"]
    return {one["VariantName"]: (one["DesiredWeight"], one["DesiredInstanceCount"]) for one in rows}


def test_half_of_the_users_get_half_of_the_instances_before_they_come(door):
    asked = door.handler(HALF, CONTEXT)
    for name in ENDPOINTS:
        assert variants(door, name) == {"blue": (0.5, 6), "green": (0.5, 3)}
    assert [one["counts"] for one in asked["endpoints"]] == [{"blue": 6, "green": 3}] * 2
    assert [one["config"] for one in asked["endpoints"]] == [f"{name}-1" for name in ENDPOINTS]


def test_everybody_gets_all_of_the_instances_and_the_champion_keeps_its_own(door):
    door.handler({**HALF, "share_bp": 10000, "holdback_bp": 500}, CONTEXT)
    assert variants(door) == {"blue": (0.05, 6), "green": (0.95, 6)}


def test_asking_twice_makes_one_call(door):
    assert door.handler(HALF, CONTEXT) == door.handler(HALF, CONTEXT)
    assert len(door.parts.sagemaker.calls) == 2


def test_a_weights_call_while_the_endpoint_updates_is_waited_for(door):
    door.parts.sagemaker.endpoints[ENDPOINTS[0]]["EndpointStatus"] = "Updating"
    with pytest.raises(NotReady, match="understudy-two-tower is Updating"):
        door.handler(HALF, CONTEXT)
    assert variants(door) == {"blue": (1.0, 6), "green": (0.0, 1)}


def test_a_weights_call_that_is_refused_in_flight_is_waited_for(door, monkeypatch):
    seen = dict(door.parts.sagemaker.endpoints[ENDPOINTS[0]])
    door.parts.sagemaker.endpoints[ENDPOINTS[0]]["EndpointStatus"] = "Updating"
    real = door.parts.sagemaker.update_endpoint_weights_and_capacities

    def refused(**asked: Any) -> None:
        monkeypatch.undo()
        real(**asked)

    monkeypatch.setattr(door.parts.sagemaker, "describe_endpoint", lambda EndpointName: seen)
    monkeypatch.setattr(door.parts.sagemaker, "update_endpoint_weights_and_capacities", refused)
    with pytest.raises(NotReady, match="in-progress"):
        door.handler(HALF, CONTEXT)


def test_after_a_rollback_a_stale_rollout_raises_nothing(door):
    door.parts.traffic = traffic(fence=8)
    with pytest.raises(FencedOff):
        door.handler(HALF, CONTEXT)
    assert door.parts.sagemaker.calls == []


@pytest.mark.parametrize(
    ("changes", "weights"),
    [
        pytest.param({}, {"blue": 1.0, "green": 0.0}, id="after a rollback the champion has all"),
        pytest.param({"candidate": GREEN, "share_bp": 1000}, {"blue": 0.9, "green": 0.1}, id="as the stage is"),
        pytest.param(
            {"champion": GREEN, "previous": BLUE, "holdback_bp": 500}, {"blue": 0.05, "green": 0.95}, id="in the watch"
        ),
    ],
)
def test_without_a_release_the_weights_mirror_what_traffic_says(door, changes, weights):
    door.parts.traffic = traffic(**changes)
    door.handler(MIRROR, CONTEXT)
    assert {slot: weight for slot, (weight, _) in variants(door).items()} == weights
    assert variants(door)["blue"][1] == 6


@pytest.mark.parametrize("event", [HALF, MIRROR])
def test_while_nobody_serves_there_is_nothing_to_raise(door, event):
    door.parts.traffic = MemoryTraffic()
    assert door.handler(event, CONTEXT) == {"endpoints": []}


def test_an_endpoint_that_is_gone_is_left_out(door):
    del door.parts.sagemaker.endpoints[ENDPOINTS[1]]
    assert [one["endpoint"] for one in door.handler(MIRROR, CONTEXT)["endpoints"]] == [ENDPOINTS[0]]


def test_a_rollback_goes_past_an_endpoint_whose_way_back_failed_and_a_rollout_does_not(door):
    door.parts.sagemaker.endpoints[ENDPOINTS[0]]["EndpointStatus"] = "UpdateRollbackFailed"
    assert [one["endpoint"] for one in door.handler(MIRROR, CONTEXT)["endpoints"]] == [ENDPOINTS[1]]
    with pytest.raises(SlotChanged, match="UpdateRollbackFailed"):
        door.handler(HALF, CONTEXT)


def test_a_rollback_waits_while_an_endpoint_rolls_back_by_itself(door):
    door.parts.sagemaker.endpoints[ENDPOINTS[0]]["EndpointStatus"] = "RollingBack"
    with pytest.raises(NotReady, match="RollingBack"):
        door.handler(MIRROR, CONTEXT)
