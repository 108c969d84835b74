"""Weights and instance counts of both endpoints' variants."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from understudy.adapters.endpoints import CHANGING, TORN, describe, raise_if_busy
from understudy.contracts.rollout import AskedEndpoint
from understudy.domain.capacity import Variant, wanted_variants
from understudy.errors import NotReady, SlotChanged


def bring_capacity(sagemaker: Any, endpoint: str, share_by_slot: Mapping[str, int]) -> AskedEndpoint | None:
    """Ask for the weights and counts that these shares need; None where there is no such endpoint.

    Raises
    ------
    NotReady
        The endpoint is changing: a weights call would be refused ("Cannot update in-progress endpoint").
    SlotChanged
        Its last update and the way back from it failed both; weights would be refused until it is updated again.
    """
    described = describe(sagemaker, endpoint)
    if described is None:
        return None
    rows = described.get("ProductionVariants", [])
    if described["EndpointStatus"] in CHANGING:
        raise NotReady(f"endpoint {endpoint} is {described['EndpointStatus']} and")
    if described["EndpointStatus"] == TORN:
        why = described.get("FailureReason", "no reason given")
        raise SlotChanged(endpoint, f"is {TORN} ({why})", described["EndpointConfigName"])
    running = {
        row["VariantName"]: Variant(row.get("DesiredWeight", 0.0), row.get("DesiredInstanceCount", 1)) for row in rows
    }
    wanted = wanted_variants(running, share_by_slot)
    changed = {slot: variant for slot, variant in wanted.items() if variant != running[slot]}
    if changed:
        asked = [
            {"VariantName": slot, "DesiredWeight": variant.weight, "DesiredInstanceCount": variant.count}
            for slot, variant in sorted(changed.items())
        ]
        try:
            sagemaker.update_endpoint_weights_and_capacities(EndpointName=endpoint, DesiredWeightsAndCapacities=asked)
        except ClientError as error:
            raise_if_busy(error, endpoint)
            raise
    counts = {slot: variant.count for slot, variant in wanted.items()}
    return AskedEndpoint(endpoint=endpoint, config=described["EndpointConfigName"], counts=counts)


def mirror_weights(sagemaker: Any, endpoint: str, share_by_slot: Mapping[str, int]) -> AskedEndpoint | None:
    """`bring_capacity` behind a rollback: weights route nobody, so a torn endpoint is left to the update that follows."""
    try:
        return bring_capacity(sagemaker, endpoint, share_by_slot)
    except SlotChanged:
        return None
