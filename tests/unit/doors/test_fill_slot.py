"""functions/fill_slot: approved and unaltered models only, and repeating it makes nothing twice."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.doors import CONTEXT, golden, load_door
from support.releases import release
from understudy.adapters.memory import MemoryReleases
from understudy.errors import InvalidInput, NotReady
from understudy.settings import FillSlotSettings

MODEL = b"a model archive"


class StrictNames:
    """moto's SageMaker, but a name that exists is refused, as AWS refuses it."""

    def __init__(self, sagemaker: Any) -> None:
        self._sagemaker, self._made = sagemaker, set[str]()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sagemaker, name)

    def create_endpoint(self, EndpointName: str, **asked: Any) -> Any:
        if EndpointName in self._made:
            message = f"Cannot create already existing endpoint {EndpointName}"
            raise ClientError({"Error": {"Code": "ValidationException", "Message": message}}, "CreateEndpoint")
        self._made.add(EndpointName)
        return self._sagemaker.create_endpoint(EndpointName=EndpointName, **asked)


@pytest.fixture
def door(aws, artifacts, monkeypatch):
    module: Any = load_door("fill_slot")
    sagemaker, record = aws.client("sagemaker"), release(status="approved")
    artifacts.create_bucket(Bucket="artifacts")
    for uri in (record.two_tower_model_s3, record.ranker_model_s3):
        artifacts.put_object(Bucket="artifacts", Key=uri.removeprefix("s3://artifacts/"), Body=MODEL)
    packages = {}
    for kind in ("two-tower", "ranker"):
        sagemaker.create_model_package_group(ModelPackageGroupName=f"understudy-{kind}")
        packages[f"{kind.replace('-', '_')}_package_arn"] = sagemaker.create_model_package(
            ModelPackageGroupName=f"understudy-{kind}",
            ModelApprovalStatus="Approved",
            CustomerMetadataProperties={"digest": hashlib.sha256(MODEL).hexdigest()},
        )["ModelPackageArn"]
    settings = FillSlotSettings(
        releases_table="r",
        two_tower_endpoint="understudy-two-tower",
        ranker_endpoint="understudy-ranker",
        endpoint_role_arn="arn:aws:iam::123456789012:role/endpoint",
        inference_image_uri="123456789012.dkr.ecr.us-east-1.amazonaws.com/image:1",
        instance_type="ml.c5.large",
        capture_s3_uri="s3://lake/capture",
    )
    parts = SimpleNamespace(
        releases=MemoryReleases(record.model_copy(update=packages)), s3=artifacts, sagemaker=StrictNames(sagemaker)
    )
    monkeypatch.setattr(module, "world", lambda: module.World(settings, **vars(parts)))
    module.parts = parts
    return module


def test_both_endpoints_are_asked_for_one_variant_in_the_slot_with_capture(door):
    asked = door.handler(golden("fill_slot/blue"), CONTEXT)
    assert [one["endpoint"] for one in asked["endpoints"]] == ["understudy-two-tower", "understudy-ranker"]
    for one in asked["endpoints"]:
        config = door.parts.sagemaker.describe_endpoint_config(EndpointConfigName=one["config"])
        assert [variant["VariantName"] for variant in config["ProductionVariants"]] == ["blue"]
        assert config["DataCaptureConfig"]["EnableCapture"] is True


def test_asking_twice_is_asking_once(door):
    assert door.handler(golden("fill_slot/blue"), CONTEXT) == door.handler(golden("fill_slot/blue"), CONTEXT)
    assert len(door.parts.sagemaker.list_endpoint_configs()["EndpointConfigs"]) == 2


def test_another_slot_has_another_configuration_and_waits_for_a_rollout_to_replace_it(door):
    door.handler(golden("fill_slot/blue"), CONTEXT)
    with pytest.raises(NotReady, match="understudy-two-tower"):
        door.handler({**golden("fill_slot/blue"), "slot": "green"}, CONTEXT)


def test_an_altered_model_is_refused_before_a_model_is_made(door):
    uri = release().ranker_model_s3
    door.parts.s3.put_object(Bucket="artifacts", Key=uri.removeprefix("s3://artifacts/"), Body=MODEL[:-1])
    with pytest.raises(InvalidInput, match="truncated or altered"):
        door.handler(golden("fill_slot/blue"), CONTEXT)
    assert all("ranker" not in model["ModelName"] for model in door.parts.sagemaker.list_models()["Models"])


def test_a_package_nobody_approved_is_refused(door):
    package = door.parts.releases.get(release().release_id).ranker_package_arn
    door.parts.sagemaker.update_model_package(ModelPackageArn=package, ModelApprovalStatus="Rejected")
    with pytest.raises(InvalidInput, match="is not approved"):
        door.handler(golden("fill_slot/blue"), CONTEXT)
    assert door.parts.sagemaker.list_models()["Models"] == []
