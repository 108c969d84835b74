"""The lease on the stage, and the word in the releases table."""

from __future__ import annotations

from datetime import datetime

from understudy.contracts.release import ReleaseRecord, Status
from understudy.contracts.traffic import Traffic
from understudy.domain.lease import Lease
from understudy.domain.rollout import STAGE_LEASE, check_vacant
from understudy.errors import NotReady
from understudy.ports import LeaseStore, ReleaseStore, TrafficStore


def hold_stage(
    leases: LeaseStore, traffic: TrafficStore, *, owner: str, ttl_s: int, now: datetime
) -> tuple[Lease, Traffic | None]:
    """The stage's lease under a fence above traffic's, and the traffic that it found.

    A holder that runs no more is not pushed aside: its rollback takes the lease over, cleans up and gives it back.
    `owner` is an execution's ARN; its name is the rollout's.

    Raises
    ------
    LeaseHeld
        Another rollout, or a rollback, has the stage.
    NotReady
        A candidate whose rollout is over still stands there.
    """
    rollout_id = owner.rsplit(":", 1)[-1]
    check_vacant(traffic.current(), rollout_id)
    lease = leases.acquire(STAGE_LEASE, owner, ttl_s, now)
    found = traffic.current()
    try:
        check_vacant(found, rollout_id)
    except NotReady:
        leases.release(lease)
        raise
    if found is not None and found.rollout_id != rollout_id:
        lease = leases.lift(lease, found.fence)
    return lease, found


def mark(releases: ReleaseStore, record: ReleaseRecord, status: Status, fence: int) -> None:
    """Write a release's status unless it stands there; nights write under a fence of their own, so the higher one is brought."""
    if record.status != status:
        releases.move_status(record, status, max(fence, record.fence))
