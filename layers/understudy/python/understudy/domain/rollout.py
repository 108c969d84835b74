"""Bringing a release on stage: what an approval means, which slot is free, what is written when it serves."""

from __future__ import annotations

import hashlib
from datetime import datetime

from understudy.contracts.release import ReleaseRecord
from understudy.contracts.rollout import Stage
from understudy.contracts.traffic import Slot, Standing, Traffic

STAGE_LEASE = "stage"
FIRST_SLOT: Slot = "blue"


def decide_start(record: ReleaseRecord | None, traffic: Traffic | None, *, approvals: list[str]) -> Stage | None:
    """What an approval event means; None when it is not about a release of ours.

    A release is approved when both its packages are; until then the first of the two events changes nothing.
    """
    if record is None:
        return None
    if approvals != ["Approved", "Approved"]:
        return Stage(action="leave", release_id=record.release_id, reason=f"its packages are {' and '.join(approvals)}")
    return decide_stage(record, traffic, fence=0)


def decide_stage(record: ReleaseRecord, traffic: Traffic | None, *, fence: int) -> Stage:
    """Whether a release may fill a slot now, and which."""
    if traffic is not None and traffic.champion.release == record.release_id:
        return Stage(action="leave", release_id=record.release_id, reason="it serves already")
    if traffic is not None:
        reason = f"{traffic.champion.release} serves, and rollouts in steps are not built yet: registered and listed, not served"
        return Stage(action="leave", release_id=record.release_id, reason=reason)
    if record.status == "rejected":
        return Stage(action="leave", release_id=record.release_id, reason="it was rejected")
    return Stage(action="fill", release_id=record.release_id, slot=FIRST_SLOT, fence=fence, reason="the stage is empty")


def first_champion(record: ReleaseRecord, slot: Slot, *, rollout_id: str, fence: int, at: datetime) -> Traffic:
    """The first traffic item. The salt is made of the rollout, so that a repeated write is the same write."""
    return Traffic.model_validate(
        {
            "change_id": f"{rollout_id}:champion",
            "fence": fence,
            "rollout_id": rollout_id,
            "champion": Standing(release=record.release_id, slot=slot),
            "salt": hashlib.sha256(rollout_id.encode()).hexdigest()[:16],
            "reason": "first release: the stage was empty",
            "changed_at": at,
        }
    )
