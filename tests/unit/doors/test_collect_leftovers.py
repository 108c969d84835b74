"""functions/collect_leftovers: what is referenced stays (R12), what nobody serves from goes."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from support.doors import CONTEXT, golden, load_door
from support.releases import release
from understudy.adapters.memory import MemoryReleases, MemoryTraffic
from understudy.contracts.traffic import Standing, Traffic
from understudy.errors import FencedOff, NotReady
from understudy.settings import CollectLeftoversSettings

EVENT = golden("collect_leftovers/after_draining")
GONE = EVENT["leaving"]
AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
TOWER, RANKER = "u-two-tower", "u-ranker"
SETTINGS = CollectLeftoversSettings(
    traffic_table="t", releases_table="r", two_tower_endpoint=TOWER, ranker_endpoint=RANKER, opensearch_url="http://i"
)
RUNS, OLD, OTHER = "0" * 12, "1" * 12, "abcdef012345"


class Hosting:
    """SageMaker as far as leftovers go: who runs what, and what lies about."""

    def __init__(self) -> None:
        self.endpoints: dict[str, dict] = {}
        self.configs: dict[str, list[str]] = {}
        self.models: set[str] = set()
        for endpoint in (TOWER, RANKER):
            self.endpoints[endpoint] = {"EndpointStatus": "InService", "EndpointConfigName": f"{endpoint}-{RUNS}"}
            self.configs |= {f"{endpoint}-{RUNS}": [f"{endpoint}-r-old"], f"{endpoint}-{OLD}": [f"{endpoint}-{GONE}"]}
            self.models |= {f"{endpoint}-r-old", f"{endpoint}-{GONE}"}
        self.configs[f"{TOWER}-by-hand"] = []
        self.models.add(f"{TOWER}-by-hand")

    def describe_endpoint(self, EndpointName):
        return self.endpoints[EndpointName]

    def describe_endpoint_config(self, EndpointConfigName):
        return {"ProductionVariants": [{"ModelName": name} for name in self.configs[EndpointConfigName]]}

    def get_paginator(self, operation):
        member, key, names = {
            "list_endpoint_configs": ("EndpointConfigs", "EndpointConfigName", self.configs),
            "list_models": ("Models", "ModelName", self.models),
        }[operation]

        class Pages:
            def paginate(self, NameContains):
                return [{member: [{key: name} for name in sorted(names) if NameContains in name]}]

        return Pages()

    def delete_endpoint(self, EndpointName):
        self.endpoints[EndpointName]["EndpointStatus"] = "Deleting"

    def delete_endpoint_config(self, EndpointConfigName):
        del self.configs[EndpointConfigName]

    def delete_model(self, ModelName):
        self.models.remove(ModelName)


class Names:
    def __init__(self, *names) -> None:
        self.names = set(names)

    def there(self):
        return sorted(self.names)

    def delete(self, name):
        self.names.remove(name)


@pytest.fixture
def world(monkeypatch):
    door = load_door("collect_leftovers")
    champion = Standing(release="r-old", slot="blue")
    now = Traffic(change_id="c", salt="s", reason="r", changed_at=AT, fence=9, champion=champion)
    records = [
        release("r-old", status="champion"),
        release(GONE, status="approved"),
        release("r-waits", status="approved"),
        release("r-refused", status="rejected"),
    ]
    indices = Names(*(record.index for record in records), "items-tonight")
    world = door.World(SETTINGS, MemoryTraffic(now), MemoryReleases(*records), Hosting(), indices)
    monkeypatch.setattr(door, "world", lambda: world)
    return world, lambda **changes: door.handler(EVENT | changes, CONTEXT)


def test_what_nobody_serves_from_goes_and_what_serves_or_waits_stays(world):
    w, collect = world
    deleted = collect()
    assert w.indices.names == {"items-r-old", "items-r-waits", "items-tonight"}
    assert set(w.sagemaker.configs) == {f"{TOWER}-{RUNS}", f"{RANKER}-{RUNS}", f"{TOWER}-by-hand"}
    assert w.sagemaker.models == {f"{TOWER}-r-old", f"{RANKER}-r-old", f"{TOWER}-by-hand"}
    assert (len(deleted["configs"]), len(deleted["models"]), len(deleted["indices"])) == (2, 2, 2)


def test_collecting_twice_deletes_nothing_more(world):
    _, collect = world
    collect()
    assert not any(collect().values())


def test_a_configuration_that_an_endpoint_goes_to_is_referenced_too(world):
    w, collect = world
    w.sagemaker.endpoints[TOWER]["PendingDeploymentSummary"] = {"EndpointConfigName": f"{TOWER}-{OLD}"}
    collect()
    assert f"{TOWER}-{OLD}" in w.sagemaker.configs
    assert f"{TOWER}-{GONE}" in w.sagemaker.models


@pytest.mark.parametrize("status", ["Updating", "RollingBack", "SystemUpdating", "Creating"])
def test_while_an_endpoint_changes_nothing_of_it_is_deleted(world, status):
    w, collect = world
    w.sagemaker.endpoints[TOWER]["EndpointStatus"] = status
    configs, models = dict(w.sagemaker.configs), set(w.sagemaker.models)
    with pytest.raises(NotReady):
        collect()
    assert (w.sagemaker.configs, w.sagemaker.models) == (configs, models)


def test_a_release_that_serves_keeps_all_of_it_even_if_it_is_said_to_leave(world):
    w, collect = world
    collect(leaving="r-old")
    assert "items-r-old" in w.indices.names


def test_a_stale_rollout_deletes_nothing(world):
    _, collect = world
    with pytest.raises(FencedOff):
        collect(fence=8)


def test_without_traffic_the_endpoints_themselves_are_left_over(world):
    w, collect = world
    w.traffic._traffic = None
    for endpoint in (TOWER, RANKER):
        with pytest.raises(NotReady):
            collect()
        assert w.sagemaker.endpoints[endpoint]["EndpointStatus"] == "Deleting"
        w.sagemaker.endpoints[endpoint] = {"EndpointStatus": None, "EndpointConfigName": None}
