"""Whose turn it is: the lease on the stage, the newest release that waits, and the word in the releases table."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from understudy.adapters.aws import DynamoLeases, DynamoReleases, DynamoTraffic, client
from understudy.adapters.registry import decide, packages_of
from understudy.contracts.release import ReleaseRecord, Status
from understudy.contracts.rollout import RolloutPlan, Stage
from understudy.contracts.traffic import Traffic
from understudy.domain.lease import Lease
from understudy.domain.rollout import (
    STAGE_LEASE,
    check_vacant,
    newer_champion,
    newest_waiting,
    plan_rollout,
    superseded,
)
from understudy.errors import NotReady
from understudy.ports import LeaseStore, ReleaseStore, TrafficStore


@dataclass(frozen=True, slots=True)
class StageStores:
    leases: LeaseStore
    traffic: TrafficStore
    releases: ReleaseStore


@dataclass(frozen=True, slots=True)
class Turn:
    """Who asks for the stage: an execution's ARN, whose last part is the rollout's name."""

    owner: str
    ttl_s: int
    now: datetime
    by_hand: bool = False  # an operator wants it on stage although a newer one serves

    @property
    def rollout_id(self) -> str:
        return self.owner.rsplit(":", 1)[-1]


def stage_stores(lease_table: str, traffic_table: str, releases_table: str) -> StageStores:
    dynamodb = client("dynamodb")
    return StageStores(
        DynamoLeases(dynamodb, lease_table),
        DynamoTraffic(dynamodb, traffic_table),
        DynamoReleases(dynamodb, releases_table),
    )


def take_turn(stores: StageStores, record: ReleaseRecord, stages: list[Stage], turn: Turn) -> RolloutPlan:
    """What the release may do under the stage's lease; a newer one that waits, or serves already, makes it `retired`.

    Raises
    ------
    LeaseHeld, NotReady
        As `hold_stage`.
    """
    lease, traffic = hold_stage(stores, turn)
    known = stores.releases.list()
    newer = newest_waiting(record, known) or (None if turn.by_hand else newer_champion(record, traffic, known))
    if newer is None or record.status == "rejected":
        return plan_rollout(record, traffic, stages, fence=lease.fence)
    plan = superseded(record, newer, fence=lease.fence)
    mark(stores.releases, record, "retired", lease.fence, plan.reason)
    return plan


def hold_stage(stores: StageStores, turn: Turn) -> tuple[Lease, Traffic | None]:
    """The stage's lease under a fence above traffic's, and the traffic that it found.

    A holder that runs no more is not pushed aside: its rollback takes the lease over, cleans up and gives it back.

    Raises
    ------
    LeaseHeld
        Another rollout, or a rollback, has the stage.
    NotReady
        A candidate whose rollout is over still stands there.
    """
    check_vacant(stores.traffic.current(), turn.rollout_id)
    lease = stores.leases.acquire(STAGE_LEASE, turn.owner, turn.ttl_s, turn.now)
    found = stores.traffic.current()
    try:
        check_vacant(found, turn.rollout_id)
    except NotReady:
        stores.leases.release(lease)
        raise
    if found is not None and found.rollout_id != turn.rollout_id:
        lease = stores.leases.lift(lease, found.fence)
    return lease, found


def mark(releases: ReleaseStore, record: ReleaseRecord, status: Status, fence: int, reason: str = "") -> None:
    """Write a release's status unless it stands there; nights write under a fence of their own, so the higher one is brought."""
    if record.status != status:
        releases.move_status(record, status, max(fence, record.fence), reason=reason)


def take_back(sagemaker: Any, record: ReleaseRecord) -> None:
    """An approval that came too late leaves no package `Approved` of a release that will never serve: the registry says why."""
    for package in packages_of(record) if record.status == "rejected" else ():
        decide(sagemaker, package, "Rejected", f"approved too late: {record.status_reason or 'it was rejected'}")


def start_once(states: Any, machine_arn: str, release_id: str) -> str | None:
    """Start a release's rollout; why not, if it was started before.

    The same name and input again is the same execution, so a duplicate event or a lost reply starts nothing twice.
    """
    asked = json.dumps({"release_id": release_id})
    try:
        states.start_execution(stateMachineArn=machine_arn, name=release_id, input=asked)
    except states.exceptions.ExecutionAlreadyExists:
        return "its rollout was started before"
    return None
