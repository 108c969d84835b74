"""Releases that wait for an approval are settled: moved on one condition, then their packages, then their index."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from understudy.adapters.leftovers import Indices
from understudy.adapters.registry import decide, packages_of, words_of
from understudy.adapters.rollbacks import tell
from understudy.contracts.release import ReleaseRecord
from understudy.domain.approvals import refused_with_index, why_rejected
from understudy.domain.rollback import names
from understudy.errors import ReleaseMoved
from understudy.ports import ReleaseStore, TrafficStore


@dataclass(frozen=True, slots=True)
class Settling:
    """What a sweep reads, writes and goes by."""

    traffic: TrafficStore
    releases: ReleaseStore
    sagemaker: Any
    states: Any
    functions: Any
    indices: Indices
    roll_out_machine_arn: str
    notify_function: str
    approval_days: float


def settle(world: Settling, now: datetime) -> dict[str, Any]:
    """`{"rejected": {release: reason}, "cleared": [index]}`; doing it again, or twice at once, changes nothing more.

    The release's own status decides between a refusal and an approval that comes at the same moment: one conditional write.
    The index goes last, so a sweep that died is finished by the next.
    """
    rejected = dict(_reject(world, now))
    cleared = []
    for record in refused_with_index(world.releases.list(), world.traffic.current(), world.indices.there()):
        for package in packages_of(record):
            decide(world.sagemaker, package, "Rejected", record.status_reason or "rejected")
        world.indices.delete(record.index)
        cleared.append(record.index)
    return {"rejected": rejected, "cleared": cleared}


def _reject(world: Settling, now: datetime) -> Iterator[tuple[str, str]]:
    traffic = world.traffic.current()
    for record in world.releases.list():
        if record.status not in ("pending", "approved") or names(traffic, record.release_id):
            continue
        words, runs = words_of(world.sagemaker, record), rolls_out(world.states, world.roll_out_machine_arn, record)
        reason = why_rejected(record, words, rolls_out=runs, now=now, days=world.approval_days)
        if reason is None:
            continue
        try:
            world.releases.move_status(record, "rejected", record.fence, reason=reason)
        except ReleaseMoved:  # it was approved, or rejected by another sweep, at this very moment
            continue
        facts = {"outcome": f"it is rejected, {reason}"}
        tell(world.functions, world.notify_function, "ended", record.release_id, record.release_id, facts)
        yield record.release_id, reason


def rolls_out(states: Any, machine_arn: str, record: ReleaseRecord) -> bool:
    """Whether a rollout of the release runs, or waits for the stage; by its name, which begins with the release's."""
    pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine_arn, statusFilter="RUNNING")
    found = {row["name"] for page in pages for row in page["executions"]}
    return any(name == record.release_id or name.startswith(f"{record.release_id}-") for name in found)
