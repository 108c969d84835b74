"""A rollback's writes: traffic first, then the stage's lease, then what is said of the release."""

from __future__ import annotations

from datetime import datetime
from itertools import count
from typing import Any

from understudy.adapters.night import hold
from understudy.adapters.registry import decide, packages_of
from understudy.adapters.stage import mark
from understudy.contracts.rollback import CloseRolloutEvent, SeizedStage, SeizeStageEvent, TakeDownEvent
from understudy.contracts.traffic import Traffic
from understudy.domain import rollback
from understudy.domain.lease import Lease
from understudy.domain.rollout import STAGE_LEASE, check_fence
from understudy.domain.traffic_moves import By, Move
from understudy.errors import LeaseHeld, TrafficMoved
from understudy.ports import LeaseStore, ReleaseStore, TrafficStore

ATTEMPTS = 25  # each refusal is another writer's success; a rollout makes a handful of writes in all


def take_down(store: TrafficStore, asked: TakeDownEvent) -> tuple[Move, Traffic | None]:
    """The release off the stage in one write; decided anew on what is there whenever another change came first.

    Raises
    ------
    TrafficMoved
        Others were first so many times that something is wrong.
    """
    by = By(asked.change_id, asked.rollout_id, asked.at, asked.reason)
    for left in count(ATTEMPTS - 1, -1):
        current = store.current()
        move = rollback.take_down(current, asked.release_id, by)
        if move.traffic is None or current is None:
            return move, current
        try:
            return move, store.replace(current, move.traffic, current.fence + 1)
        except TrafficMoved:
            if not left:
                raise
    raise AssertionError("count never ends")


def seize_stage(
    store: TrafficStore, leases: LeaseStore, states: Any, asked: SeizeStageEvent, *, ttl_s: int, now: datetime
) -> SeizedStage:
    """The stage's lease for the rollback, under a fence that traffic carries from here on.

    Raises
    ------
    LeaseHeld
        The rollout that is rolled back still runs.
    """
    try:
        lease = hold(leases, states, STAGE_LEASE, owner=asked.execution_arn, ttl_s=ttl_s, now=now)
    except LeaseHeld as held:
        if held.owner.rpartition(":")[2] == asked.rollout_id:
            raise
        return SeizedStage(action="close", fence=0, reason=f"{held.owner} has the stage and leaves it as traffic says")
    lease, traffic = _secure(store, leases, lease, asked)
    reason = "nobody serves" if traffic is None else f"{traffic.champion.release} serves"
    return SeizedStage(action="clean", fence=lease.fence, reason=reason)


def _secure(
    store: TrafficStore, leases: LeaseStore, lease: Lease, asked: SeizeStageEvent
) -> tuple[Lease, Traffic | None]:
    name = asked.execution_arn.rpartition(":")[2]
    by = By(f"{name}:fence", asked.rollout_id, asked.at, asked.reason)
    for left in count(ATTEMPTS - 1, -1):
        current = store.current()
        if current is not None and current.change_id != by.change_id:
            lease = leases.lift(lease, current.fence)
        move = rollback.secure(current, asked.release_id, by, fence=lease.fence)
        if move.traffic is None:
            return lease, current
        try:
            return lease, store.replace(current, move.traffic, lease.fence)
        except TrafficMoved:
            if not left:
                raise
    raise AssertionError("count never ends")


def close(
    releases: ReleaseStore, sagemaker: Any, traffic: Traffic | None, asked: CloseRolloutEvent
) -> tuple[str, list[str]]:
    """The release's last status and its packages' refusal; the release that serves is champion again.

    Answers with the status, and with the packages that were rejected now. A release that traffic still names stays what it is.
    """
    if asked.fence:
        check_fence(traffic, asked.fence)
    record = releases.get(asked.release_id)
    if traffic is not None:
        serving = releases.get(traffic.champion.release)
        if serving is not None and serving.status == "retired":
            mark(releases, serving, "champion", asked.fence)
    if record is None:
        return "unknown", []
    status = rollback.closing_status(record, traffic, asked.cause)
    if status is not None:
        mark(releases, record, status, asked.fence, asked.reason)
    if rollback.names(traffic, asked.release_id):
        return record.status, []
    return status or record.status, [
        arn for arn in packages_of(record) if decide(sagemaker, arn, "Rejected", asked.reason)
    ]
