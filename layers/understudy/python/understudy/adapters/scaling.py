"""Application Auto Scaling of the variants: taken off before an endpoint changes, put back when the rollout is over.

SageMaker refuses to remove a variant that is registered, and deregistering a target deletes its policies. So both are
noted in the state table first; the note is deleted only when everything stands again.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from understudy.adapters.aws_items import from_item, to_item
from understudy.adapters.endpoints import describe

NAMESPACE = "sagemaker"
DIMENSION = "sagemaker:variant:DesiredInstanceCount"
_POLICY_FIELDS = (
    "PolicyName",
    "PolicyType",
    "TargetTrackingScalingPolicyConfiguration",
    "StepScalingPolicyConfiguration",
)


class ScalingNotes:
    """What was registered: StateTable `scaling#<endpoint>`, `targets` by slot."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb, self._table = dynamodb, table

    def read(self, endpoint: str) -> dict[str, Any]:
        item = self._dynamodb.get_item(TableName=self._table, Key=_key(endpoint), ConsistentRead=True).get("Item")
        targets: dict[str, Any] = from_item(item)["targets"] if item else {}
        return targets

    def write(self, endpoint: str, targets: Mapping[str, Any]) -> None:
        self._dynamodb.put_item(
            TableName=self._table, Item=to_item({"id": f"scaling#{endpoint}", "targets": dict(targets)})
        )

    def forget(self, endpoint: str) -> None:
        self._dynamodb.delete_item(TableName=self._table, Key=_key(endpoint))


def _key(endpoint: str) -> dict[str, Any]:
    return to_item({"id": f"scaling#{endpoint}"})


def suspend(autoscaling: Any, notes: ScalingNotes, endpoint: str, slots: tuple[str, ...] = ("blue", "green")) -> None:
    """Note every registered variant of an endpoint, then deregister it; nothing registered changes nothing."""
    resources = {_resource(endpoint, slot): slot for slot in slots}
    found = autoscaling.describe_scalable_targets(
        ServiceNamespace=NAMESPACE, ResourceIds=list(resources), ScalableDimension=DIMENSION
    )["ScalableTargets"]
    if not found:
        return
    noted = notes.read(endpoint)
    for target in found:
        policies = autoscaling.describe_scaling_policies(
            ServiceNamespace=NAMESPACE, ResourceId=target["ResourceId"], ScalableDimension=DIMENSION
        )["ScalingPolicies"]
        noted[resources[target["ResourceId"]]] = {
            "minimum": target["MinCapacity"],
            "maximum": target["MaxCapacity"],
            "policies": [{key: policy[key] for key in _POLICY_FIELDS if key in policy} for policy in policies],
        }
    notes.write(endpoint, noted)
    for target in found:
        autoscaling.deregister_scalable_target(
            ServiceNamespace=NAMESPACE, ResourceId=target["ResourceId"], ScalableDimension=DIMENSION
        )


def restore(autoscaling: Any, notes: ScalingNotes, endpoint: str, running: Mapping[str, int]) -> list[str]:
    """Register every running variant (slot -> count) as it was noted, or as the other slot was; the slots restored.

    The maximum is never below the count that runs, so putting it back takes no instance away. The minimum stays as it
    was noted: were it raised to what runs, every rollout at a busy hour would raise it for good.
    """
    noted = notes.read(endpoint)
    if not noted:
        return []
    for slot, count in running.items():
        was = noted.get(slot) or next(iter(noted.values()))
        autoscaling.register_scalable_target(
            ServiceNamespace=NAMESPACE,
            ResourceId=_resource(endpoint, slot),
            ScalableDimension=DIMENSION,
            MinCapacity=int(was["minimum"]),
            MaxCapacity=max(int(was["maximum"]), count),
        )
        for policy in was["policies"]:
            autoscaling.put_scaling_policy(
                ServiceNamespace=NAMESPACE, ResourceId=_resource(endpoint, slot), ScalableDimension=DIMENSION, **policy
            )
    notes.forget(endpoint)
    return sorted(running)


def restore_endpoint(sagemaker: Any, autoscaling: Any, notes: ScalingNotes, endpoint: str) -> list[str]:
    """`restore` for the variants that the endpoint has now."""
    described = describe(sagemaker, endpoint)
    rows = described.get("ProductionVariants", []) if described else []
    return restore(autoscaling, notes, endpoint, {r["VariantName"]: r.get("CurrentInstanceCount", 1) for r in rows})


def _resource(endpoint: str, slot: str) -> str:
    return f"endpoint/{endpoint}/variant/{slot}"
