"""The endpoint adapters on the local account's SageMaker, Application Auto Scaling and DynamoDB, over the wire."""

from __future__ import annotations

import json
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from support.sagemaker_room import IMAGE, INFERENCE, tar_gz, until
from understudy.adapters.capacity import bring_capacity
from understudy.adapters.endpoint_plan import Hosting, Model
from understudy.adapters.endpoints import check_in_service, ensure_model, match_endpoint
from understudy.adapters.scaling import ScalingNotes, restore_endpoint, suspend
from understudy.errors import InvalidInput, NotReady, SlotChanged

BUCKET, TABLE = "rollout-endpoints", "rollout-state"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*", "logs:*"], "Resource": "*"}]}


@pytest.fixture(scope="module")
def world(account: Any) -> Iterator[Any]:
    """Models r-1, r-2 and one that cannot load; a role, a table; endpoints are deleted in the end."""
    iam, s3, dynamodb = (account.client(name) for name in ("iam", "s3", "dynamodb"))
    role = iam.create_role(RoleName="rollout-endpoint", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="rollout-endpoint", PolicyName="all", PolicyDocument=json.dumps(POLICY))
    s3.create_bucket(Bucket=BUCKET)
    dynamodb.create_table(
        TableName=TABLE,
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    hosting = Hosting(role, IMAGE, "ml.c6i.large", f"s3://{BUCKET}/capture")
    found = SimpleNamespace(
        sagemaker=account.client("sagemaker"),
        scaling=account.client("application-autoscaling"),
        notes=ScalingNotes(dynamodb, TABLE),
        hosting=hosting,
    )
    for name in ("r-1", "r-2", "broken"):
        s3.put_object(Bucket=BUCKET, Key=f"{name}.tar.gz", Body=tar_gz({"name": name, "code/inference.py": INFERENCE}))
        ensure_model(found.sagemaker, Model(f"rollout-{name}", f"s3://{BUCKET}/{name}.tar.gz", "arn"), hosting)
    yield found
    for endpoint in found.sagemaker.list_endpoints(NameContains="rollout-")["Endpoints"]:
        until(lambda name=endpoint["EndpointName"]: _at_rest(found, name))
        found.sagemaker.delete_endpoint(EndpointName=endpoint["EndpointName"])


def _at_rest(world: Any, name: str) -> bool:
    return bool(world.sagemaker.describe_endpoint(EndpointName=name)["EndpointStatus"] in ("InService", "Failed"))


def match(world: Any, endpoint: str, **models: str) -> Any:
    return match_endpoint(
        world.sagemaker, endpoint, {slot: f"rollout-{name}" for slot, name in models.items()}, world.hosting
    )


def settle(world: Any, asked: Any) -> None:
    def look() -> bool:
        try:
            check_in_service(world.sagemaker, asked)
        except NotReady:
            return False
        return True

    until(look)


@pytest.fixture
def endpoint(world: Any, request: pytest.FixtureRequest) -> str:
    """r-1 in blue, in service."""
    name = "rollout-" + request.node.name.removeprefix("test_").split("[")[0].replace("_", "-")[:40].rstrip("-")
    settle(world, match(world, name, blue="r-1"))
    return name


def rows(world: Any, endpoint: str) -> dict[str, tuple[float, int]]:
    described = world.sagemaker.describe_endpoint(EndpointName=endpoint)
    return {r["VariantName"]: (r["CurrentWeight"], r["CurrentInstanceCount"]) for r in described["ProductionVariants"]}


def test_a_release_comes_is_given_room_and_the_one_before_leaves(world, endpoint):
    assert rows(world, endpoint) == {"blue": (1.0, 1)}
    settle(world, bring_capacity(world.sagemaker, endpoint, {"blue": 10000}))
    world.sagemaker.update_endpoint_weights_and_capacities(
        EndpointName=endpoint, DesiredWeightsAndCapacities=[{"VariantName": "blue", "DesiredInstanceCount": 3}]
    )
    until(lambda: _at_rest(world, endpoint))
    settle(world, match(world, endpoint, blue="r-1", green="r-2"))
    assert rows(world, endpoint) == {"blue": (1.0, 3), "green": (0.0, 1)}
    settle(world, bring_capacity(world.sagemaker, endpoint, {"blue": 5000, "green": 5000}))
    assert rows(world, endpoint) == {"blue": (0.5, 3), "green": (0.5, 2)}
    settle(world, bring_capacity(world.sagemaker, endpoint, {"blue": 500, "green": 9500}))
    settle(world, match(world, endpoint, green="r-2"))
    assert rows(world, endpoint) == {"green": (0.95, 3)}
    described = world.sagemaker.describe_endpoint(EndpointName=endpoint)
    assert described["DataCaptureConfig"]["EnableCapture"] is True


def test_while_an_endpoint_updates_weights_and_other_variants_wait_and_the_same_ask_is_answered(world, endpoint):
    asked = match(world, endpoint, blue="r-1", green="r-2")
    assert match(world, endpoint, blue="r-1", green="r-2") == asked
    for waits in (
        lambda: bring_capacity(world.sagemaker, endpoint, {"blue": 5000, "green": 5000}),
        lambda: match(world, endpoint, blue="r-1"),
    ):
        if world.sagemaker.describe_endpoint(EndpointName=endpoint)["EndpointStatus"] == "Updating":
            with pytest.raises(NotReady):
                waits()
    settle(world, asked)
    assert match(world, endpoint, blue="r-1", green="r-2") == asked


def test_an_update_that_ends_in_service_with_the_old_configuration_is_found_out(world, endpoint):
    asked = match(world, endpoint, blue="r-1", green="broken")
    with pytest.raises(SlotChanged, match="did not pass the ping health check"):
        settle(world, asked)
    assert list(rows(world, endpoint)) == ["blue"]


def test_the_name_of_a_configuration_that_somebody_took_is_refused_unless_its_content_is_the_same(world, endpoint):
    asked = match(world, endpoint, blue="r-1", green="r-2")
    settle(world, asked)
    settle(world, match(world, endpoint, blue="r-1"))
    settle(world, match(world, endpoint, blue="r-1", green="r-2"))  # the same name again
    settle(world, match(world, endpoint, blue="r-1"))
    taken = world.sagemaker.describe_endpoint_config(EndpointConfigName=asked.config)
    world.sagemaker.delete_endpoint_config(EndpointConfigName=asked.config)
    world.sagemaker.create_endpoint_config(
        EndpointConfigName=asked.config, ProductionVariants=taken["ProductionVariants"]
    )
    with pytest.raises(InvalidInput, match="has other content"):
        match(world, endpoint, blue="r-1", green="r-2")


def test_what_scales_by_itself_is_taken_off_first_and_put_back_with_its_policies(world, endpoint):
    target = {
        "ServiceNamespace": "sagemaker",
        "ResourceId": f"endpoint/{endpoint}/variant/blue",
        "ScalableDimension": "sagemaker:variant:DesiredInstanceCount",
    }
    tracking = {
        "TargetValue": 70.0,
        "PredefinedMetricSpecification": {"PredefinedMetricType": "SageMakerVariantInvocationsPerInstance"},
    }
    world.scaling.register_scalable_target(**target, MinCapacity=1, MaxCapacity=4)
    world.scaling.put_scaling_policy(
        **target,
        PolicyName="load",
        PolicyType="TargetTrackingScaling",
        TargetTrackingScalingPolicyConfiguration=tracking,
    )
    for _ in range(2):  # asked twice, as after a lost reply
        suspend(world.scaling, world.notes, endpoint)
    settle(world, match(world, endpoint, green="r-2"))
    assert restore_endpoint(world.sagemaker, world.scaling, world.notes, endpoint) == ["green"]
    resource = f"endpoint/{endpoint}/variant/green"
    (found,) = world.scaling.describe_scalable_targets(ServiceNamespace="sagemaker", ResourceIds=[resource])[
        "ScalableTargets"
    ]
    assert (found["MinCapacity"], found["MaxCapacity"]) == (1, 4)
    (policy,) = world.scaling.describe_scaling_policies(ServiceNamespace="sagemaker", ResourceId=resource)[
        "ScalingPolicies"
    ]
    assert policy["TargetTrackingScalingPolicyConfiguration"]["TargetValue"] == 70.0
    assert world.notes.read(endpoint) == {}
    assert restore_endpoint(world.sagemaker, world.scaling, world.notes, endpoint) == []
