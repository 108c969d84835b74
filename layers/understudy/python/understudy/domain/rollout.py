"""Bringing a release on stage: what an approval means, whether it is this release's turn, and in which slot it will stand."""

from __future__ import annotations

from collections.abc import Iterable

from understudy.contracts.release import ReleaseRecord, Status
from understudy.contracts.rollout import RolloutPlan, Stage
from understudy.contracts.traffic import Slot, Traffic
from understudy.errors import FencedOff, NotReady

STAGE_LEASE = "stage"
FIRST_SLOT: Slot = "blue"
WAITING: Status = "approved"


def decide_start(record: ReleaseRecord | None, approvals: list[str]) -> str | None:
    """Why an approval starts no rollout; None when it does.

    A release is approved when both its packages are; until then the first of the two events changes nothing. An event
    that comes again after its rollout ended finds another status and changes nothing either.
    """
    if record is None:
        return "it belongs to no release of ours"
    if approvals != ["Approved", "Approved"]:
        return f"its packages are {' and '.join(approvals)}"
    if record.status not in ("registered", "pending", WAITING):
        return f"its status is {record.status}" + (f": {record.status_reason}" if record.status_reason else "")
    return None


def check_vacant(traffic: Traffic | None, rollout_id: str) -> None:
    """Nothing, if no other rollout's candidate stands on stage.

    Raises
    ------
    NotReady
        A rollout that ended has left its candidate; its rollback is on the way, and is waited for.
    """
    if traffic is not None and traffic.candidate is not None and traffic.rollout_id != rollout_id:
        raise NotReady(f"the stage: {traffic.candidate.release} of rollout {traffic.rollout_id} stands on it, which")


def check_fence(traffic: Traffic | None, fence: int) -> None:
    """Nothing, if the fence still stands.

    Raises
    ------
    FencedOff
        Traffic was written under a higher one.
    """
    if traffic is not None and traffic.fence > fence:
        raise FencedOff(fence, traffic.fence, traffic.change_id)


def newest_waiting(record: ReleaseRecord, releases: Iterable[ReleaseRecord]) -> ReleaseRecord | None:
    """A newer release that waits for the stage; it wins, and this one is superseded."""
    newer = [each for each in releases if each.status == WAITING and _age(each) > _age(record)]
    return max(newer, key=_age, default=None)


def newer_champion(
    record: ReleaseRecord, traffic: Traffic | None, releases: Iterable[ReleaseRecord]
) -> ReleaseRecord | None:
    """The release that serves, if it is newer: one that waited too long, or was approved too late, does not replace it."""
    serving = traffic.champion.release if traffic is not None else None
    return next((each for each in releases if each.release_id == serving and _age(each) > _age(record)), None)


def _age(record: ReleaseRecord) -> tuple[object, str]:
    return record.created_at, record.release_id


def plan_rollout(record: ReleaseRecord, traffic: Traffic | None, stages: list[Stage], *, fence: int) -> RolloutPlan:
    """What a release that holds the stage may do."""
    if record.status == "rejected":
        return RolloutPlan(action="leave", release_id=record.release_id, fence=fence, reason="it was rejected")
    if traffic is None:
        return RolloutPlan(
            action="first", release_id=record.release_id, slot=FIRST_SLOT, fence=fence, reason="the stage is empty"
        )
    if traffic.champion.release == record.release_id:
        return RolloutPlan(action="leave", release_id=record.release_id, fence=fence, reason="it serves already")
    return RolloutPlan(
        action="roll_out",
        release_id=record.release_id,
        slot=traffic.free_slot,
        fence=fence,
        stages=stages,
        previous=traffic.previous,
        reason=f"{traffic.champion.release} serves",
    )


def superseded(record: ReleaseRecord, by: ReleaseRecord, *, fence: int) -> RolloutPlan:
    return RolloutPlan(
        action="leave",
        release_id=record.release_id,
        fence=fence,
        reason=f"superseded by {by.release_id}, which is newer",
    )
