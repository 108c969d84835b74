"""What a night reads of the world before its first job."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from understudy.adapters.aws_items import from_item, to_item
from understudy.contracts.nightly import ChampionPointers
from understudy.contracts.traffic import Traffic
from understudy.domain.lease import Lease
from understudy.domain.night import NIGHT_LEASE, Lake
from understudy.errors import LeaseHeld
from understudy.ports import LeaseStore, ReleaseStore


def hold_night(leases: LeaseStore, states: Any, *, owner: str, ttl_s: int, now: datetime) -> Lease:
    """The night's lease; one whose holder runs no more is taken over, with a higher fence.

    Raises
    ------
    LeaseHeld
        Another night runs; the error names its execution.
    """
    return hold(leases, states, NIGHT_LEASE, owner=owner, ttl_s=ttl_s, now=now)


def hold(leases: LeaseStore, states: Any, name: str, *, owner: str, ttl_s: int, now: datetime) -> Lease:
    """Acquire a lease whose owners are executions; a dead owner's is given back first, on condition that it is still his."""
    try:
        return leases.acquire(name, owner, ttl_s, now)
    except LeaseHeld:
        held = leases.holder(name)
        if held is not None and is_running(states, held.owner):
            raise
        if held is not None:
            leases.release(held)
        return leases.acquire(name, owner, ttl_s, now)


def is_running(states: Any, execution_arn: str) -> bool:
    """Whether an execution runs; False too for one that never was."""
    try:
        return states.describe_execution(executionArn=execution_arn)["status"] == "RUNNING"
    except ClientError as error:
        if error.response["Error"]["Code"] == "ExecutionDoesNotExist":
            return False
        raise


def read_lake(dynamodb: Any, state_table: str, s3: Any, lake_bucket: str) -> Lake:
    """How far imports say the data goes, and whether live feedback has come since."""
    item = dynamodb.get_item(TableName=state_table, Key=to_item({"id": "lake"}), ConsistentRead=True).get("Item")
    feedback = s3.list_objects_v2(Bucket=lake_bucket, Prefix="feedback/", MaxKeys=1).get("KeyCount", 0)
    state = from_item(item) if item else {}
    through = state.get("data_through")
    return Lake(datetime.fromisoformat(through) if through else None, int(state.get("data_version", 0)), feedback > 0)


def champion_pointers(releases: ReleaseStore, traffic: Traffic | None) -> ChampionPointers | None:
    record = releases.get(traffic.champion.release) if traffic else None
    if record is None:
        return None
    return ChampionPointers.model_validate({field: getattr(record, field) for field in ChampionPointers.model_fields})


def named_indices(releases: ReleaseStore, traffic: Traffic | None) -> list[str]:
    """Indices of every release that traffic names: none of them may be deleted."""
    standing = [] if traffic is None else [traffic.champion, traffic.candidate, traffic.previous]
    records = [releases.get(one.release) for one in standing if one is not None]
    return [record.index for record in records if record is not None]
