"""functions/match_endpoints: exactly what traffic names plus what comes; approved and unaltered models only; repeating makes nothing twice."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from support.doors import CONTEXT, golden, load_door
from support.fake_endpoints import FakeEndpoints, FakeScaling, MemoryNotes
from support.releases import release
from understudy.adapters.memory import MemoryReleases, MemoryTraffic
from understudy.contracts.traffic import Standing, Traffic
from understudy.errors import FencedOff, InvalidInput, NotReady, SlotChanged
from understudy.settings import MatchEndpointsSettings

MODEL = b"a model archive"
ENDPOINTS = ("understudy-two-tower", "understudy-ranker")
COMES, NOBODY = golden("match_endpoints/green_comes"), golden("match_endpoints/nobody_comes")
NEW, OLD = release(status="approved"), release("r-0", status="champion")
BLUE, GREEN = Standing(release="r-0", slot="blue"), Standing(release=NEW.release_id, slot="green")
FIRST = {"coming": {"release": "r-0", "slot": "blue"}, "fence": 1}


class Anything(dict[str, Any]):
    """Configurations, the unknown ones empty."""

    def __missing__(self, _name: str) -> dict[str, Any]:
        return {"ProductionVariants": []}


def traffic(**changes):
    fields = {"change_id": "c", "champion": BLUE, "salt": "s", "reason": "r", "changed_at": datetime.now(UTC)}
    return MemoryTraffic(Traffic.model_validate({**fields, "fence": 3, **changes}))


@pytest.fixture
def door(artifacts, monkeypatch):
    module: Any = load_door("match_endpoints")
    sagemaker, scaling = FakeEndpoints(), FakeScaling()
    sagemaker.autoscaling = scaling
    artifacts.create_bucket(Bucket="artifacts")
    for record in (NEW, OLD):
        for uri in (record.two_tower_model_s3, record.ranker_model_s3):
            artifacts.put_object(Bucket="artifacts", Key=uri.removeprefix("s3://artifacts/"), Body=MODEL)
        for package in (record.two_tower_package_arn, record.ranker_package_arn):
            sagemaker.digests[package] = hashlib.sha256(MODEL).hexdigest()
    settings = MatchEndpointsSettings(
        traffic_table="t",
        releases_table="r",
        state_table="s",
        two_tower_endpoint=ENDPOINTS[0],
        ranker_endpoint=ENDPOINTS[1],
        endpoint_role_arn="arn:aws:iam::123456789012:role/endpoint",
        inference_image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/image:1",
        instance_type="ml.c5.large",
        capture_s3_uri="s3://lake/capture",
    )
    parts = SimpleNamespace(
        traffic=MemoryTraffic(), notes=MemoryNotes(), sagemaker=sagemaker, scaling=scaling, s3=artifacts
    )
    clients = module.Clients(MemoryReleases(NEW, OLD), artifacts, sagemaker, scaling, parts.notes)
    monkeypatch.setattr(module, "world", lambda: module.World(settings, parts.traffic, clients))
    module.parts = parts
    return module


@pytest.fixture
def serving(door):
    """r-0 in blue on both endpoints, scaled to four instances there."""
    door.handler(FIRST, CONTEXT)
    for name in ENDPOINTS:
        row = door.parts.sagemaker.endpoints[name]["ProductionVariants"][0]
        row |= {"CurrentInstanceCount": 4, "DesiredInstanceCount": 4}
    door.parts.traffic = traffic()
    return door


def slots(door):
    return [door.parts.sagemaker.slots(name) for name in ENDPOINTS]


def settle(door):
    for name in ENDPOINTS:
        door.parts.sagemaker.settle(name)


def test_the_first_release_makes_both_endpoints_with_one_variant_that_takes_all(door):
    asked = door.handler(FIRST, CONTEXT)
    assert [one["endpoint"] for one in asked["endpoints"]] == list(ENDPOINTS)
    assert slots(door) == [{"blue": f"{name}-r-0"} for name in ENDPOINTS]
    for one in asked["endpoints"]:
        config = door.parts.sagemaker.configs[one["config"]]
        assert [row["InitialVariantWeight"] for row in config["ProductionVariants"]] == [1.0]


def test_a_release_that_comes_gets_the_other_slot_and_the_champions_variant_stays_as_it_is(serving):
    before = serving.parts.sagemaker.configs[serving.parts.sagemaker.endpoints[ENDPOINTS[0]]["EndpointConfigName"]]
    serving.handler(COMES, CONTEXT)
    assert slots(serving) == [{"blue": f"{name}-r-0", "green": f"{name}-{NEW.release_id}"} for name in ENDPOINTS]
    updates = [asked for kind, asked in serving.parts.sagemaker.calls if kind == "update"]
    assert [asked["RetainAllVariantProperties"] for asked in updates] == [True, True]
    after = serving.parts.sagemaker.configs[updates[0]["config"]]
    assert after["ProductionVariants"][0] == before["ProductionVariants"][0]
    assert after["ProductionVariants"][1]["InitialVariantWeight"] == 0.0


def test_every_configuration_that_a_rollout_makes_captures(serving):
    serving.handler(COMES, CONTEXT)
    settle(serving)
    serving.handler(NOBODY, CONTEXT)
    configs = serving.parts.sagemaker.configs.values()
    assert len(configs) >= 4
    assert {config["DataCaptureConfig"]["EnableCapture"] for config in configs} == {True}
    assert {config["DataCaptureConfig"]["DestinationS3Uri"] for config in configs} == {"s3://lake/capture"}


def test_what_traffic_no_longer_names_loses_its_slot(serving):
    serving.handler(COMES, CONTEXT)
    settle(serving)
    serving.handler(NOBODY, CONTEXT)
    assert slots(serving) == [{"blue": f"{name}-r-0"} for name in ENDPOINTS]


def test_after_a_promotion_and_its_watch_only_the_new_champion_stays_and_somebody_is_routed_to(serving):
    serving.handler(COMES, CONTEXT)
    settle(serving)
    serving.parts.traffic = traffic(champion=GREEN)
    asked = serving.handler(NOBODY, CONTEXT)
    assert slots(serving) == [{"green": f"{name}-{NEW.release_id}"} for name in ENDPOINTS]
    rows = serving.parts.sagemaker.configs[asked["endpoints"][0]["config"]]["ProductionVariants"]
    assert [row["InitialVariantWeight"] for row in rows] == [1.0]


def test_making_the_endpoints_twice_is_making_them_once(door):
    assert door.handler(FIRST, CONTEXT) == door.handler(FIRST, CONTEXT)
    assert len(door.parts.sagemaker.configs) == 2


@pytest.mark.parametrize("event", [COMES, NOBODY], ids=["comes", "nobody"])
def test_asking_twice_is_asking_once(serving, event):
    assert serving.handler(event, CONTEXT) == serving.handler(event, CONTEXT)
    updates = [asked["endpoint"] for kind, asked in serving.parts.sagemaker.calls if kind == "update"]
    assert len(updates) == len(set(updates))


def test_a_name_clash_with_the_same_content_is_the_configuration_that_is_wanted(serving):
    asked = serving.handler(COMES, CONTEXT)
    for name in ENDPOINTS:  # the update was lost, its configuration was made
        serving.parts.sagemaker.endpoints[name].pop("PendingDeploymentSummary")
        serving.parts.sagemaker.endpoints[name]["EndpointStatus"] = "InService"
    assert serving.handler(COMES, CONTEXT) == asked


def test_a_name_clash_with_other_content_is_refused(serving):
    asked = serving.handler(COMES, CONTEXT)
    for name in ENDPOINTS:
        serving.parts.sagemaker.endpoints[name].pop("PendingDeploymentSummary")
        serving.parts.sagemaker.endpoints[name]["EndpointStatus"] = "InService"
    config = serving.parts.sagemaker.configs[asked["endpoints"][0]["config"]]
    config["DataCaptureConfig"] = {**config["DataCaptureConfig"], "EnableCapture": False}
    with pytest.raises(InvalidInput, match="has other content"):
        serving.handler(COMES, CONTEXT)


def test_an_endpoint_on_its_way_elsewhere_is_waited_for_and_left_alone(serving):
    endpoint = serving.parts.sagemaker.endpoints[ENDPOINTS[1]]
    endpoint |= {"EndpointStatus": "Updating", "PendingDeploymentSummary": {"EndpointConfigName": "by-somebody"}}
    with pytest.raises(NotReady, match="understudy-ranker is Updating towards by-somebody"):
        serving.handler(COMES, CONTEXT)
    assert endpoint["PendingDeploymentSummary"]["EndpointConfigName"] == "by-somebody"


def test_an_update_that_came_between_looking_and_asking_is_waited_for(serving, monkeypatch):
    monkeypatch.setattr(
        serving.parts.sagemaker,
        "create_endpoint_config",
        lambda **_: serving.parts.sagemaker.endpoints[ENDPOINTS[0]].update(EndpointStatus="Updating"),
    )
    serving.parts.sagemaker.configs = Anything(serving.parts.sagemaker.configs)
    with pytest.raises(NotReady, match="in-progress"):
        serving.handler(COMES, CONTEXT)


def test_an_endpoint_that_failed_is_said_so(serving):
    serving.parts.sagemaker.endpoints[ENDPOINTS[0]] |= {"EndpointStatus": "Failed", "FailureReason": "no capacity"}
    with pytest.raises(SlotChanged, match="no capacity"):
        serving.handler(COMES, CONTEXT)


@pytest.mark.parametrize("event", [COMES, NOBODY])
def test_an_endpoint_whose_update_and_way_back_failed_is_updated_again(serving, event):
    endpoint = serving.parts.sagemaker.endpoints[ENDPOINTS[0]]
    endpoint["EndpointStatus"] = "UpdateRollbackFailed"
    asked = serving.handler(event, CONTEXT)["endpoints"][0]
    assert (endpoint["EndpointStatus"], asked["endpoint"]) == ("Updating", ENDPOINTS[0])
    serving.parts.sagemaker.settle(ENDPOINTS[0])
    assert endpoint["EndpointConfigName"] == asked["config"]


def test_after_a_rollback_a_stale_rollout_moves_no_variant(serving):
    serving.parts.traffic = traffic(fence=COMES["fence"] + 1, change_id="r-1-back")
    with pytest.raises(FencedOff, match="r-1-back"):
        serving.handler(COMES, CONTEXT)
    assert slots(serving) == [{"blue": f"{name}-r-0"} for name in ENDPOINTS]


def test_a_variant_that_scales_by_itself_is_noted_and_deregistered_before_it_is_removed(serving):
    scaling, notes = serving.parts.scaling, serving.parts.notes
    resource = f"endpoint/{ENDPOINTS[0]}/variant/blue"
    policy = {
        "PolicyName": "load",
        "PolicyType": "TargetTrackingScaling",
        "TargetTrackingScalingPolicyConfiguration": {"TargetValue": 70.0},
    }
    scaling.targets[resource], scaling.policies[resource] = {"MinCapacity": 2, "MaxCapacity": 9}, [policy]
    serving.handler(COMES, CONTEXT)
    settle(serving)
    serving.parts.traffic = traffic(champion=GREEN)
    serving.handler(NOBODY, CONTEXT)
    assert slots(serving)[0] == {"green": f"{ENDPOINTS[0]}-{NEW.release_id}"}
    assert scaling.targets == {}
    assert notes.noted == {ENDPOINTS[0]: {"blue": {"minimum": 2, "maximum": 9, "policies": [policy]}}}


def test_an_altered_model_is_refused_before_a_model_is_made(serving):
    serving.parts.s3.put_object(
        Bucket="artifacts", Key=NEW.ranker_model_s3.removeprefix("s3://artifacts/"), Body=MODEL[:-1]
    )
    with pytest.raises(InvalidInput, match="truncated or altered"):
        serving.handler(COMES, CONTEXT)
    assert all(NEW.release_id not in name for name in serving.parts.sagemaker.models)


def test_a_model_name_that_holds_other_data_is_refused(serving):
    serving.parts.sagemaker.models[f"{ENDPOINTS[0]}-{NEW.release_id}"] = {
        "PrimaryContainer": {"ModelDataUrl": "s3://x"}
    }
    with pytest.raises(InvalidInput, match="holds s3://x"):
        serving.handler(COMES, CONTEXT)


def test_a_package_nobody_approved_is_refused(serving):
    serving.parts.sagemaker.approvals[NEW.ranker_package_arn] = "Rejected"
    with pytest.raises(InvalidInput, match="is not approved"):
        serving.handler(COMES, CONTEXT)
    assert all(NEW.release_id not in name for name in serving.parts.sagemaker.models)


def test_what_serves_is_not_asked_for_its_approval_again(serving):
    """A package that is rejected after the fact takes its release down by a rollback, not by a missing variant."""
    serving.parts.sagemaker.approvals[OLD.ranker_package_arn] = "Rejected"
    serving.handler(NOBODY, CONTEXT)
    assert slots(serving)[0] == {"blue": f"{ENDPOINTS[0]}-r-0"}


def test_with_nobody_on_stage_and_nobody_coming_nothing_is_asked_for(door):
    assert door.handler(NOBODY, CONTEXT) == {"endpoints": []}
