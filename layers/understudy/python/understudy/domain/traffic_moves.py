"""Every change the traffic item may go through, as pure functions of what it is now (DESIGN §2).

A move answers with the traffic to be written, or with the reason why there is nothing to write. The store numbers and
fences what is written; which fence a writer brings is said at each move.

    claim nothing -> stage(share 0..9999) -> ... -> promote -> retire_previous
                          \\_____ take_down ______/
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime

from understudy.contracts.traffic import ALL_BP, Standing, Traffic


@dataclass(frozen=True, slots=True)
class Move:
    """What to write (`traffic`), or why nothing is to be written (`traffic` is None)."""

    traffic: Traffic | None
    reason: str


@dataclass(frozen=True, slots=True)
class By:
    """Who changes the traffic and when: `change_id` is the same for the same decision however often it is made."""

    change_id: str
    rollout_id: str
    at: datetime
    reason: str


def salt_of(rollout_id: str) -> str:
    """One salt for one rollout, made of its name so that a repeated write is the same write.

    Examples
    --------
    >>> salt_of("r-20260301-0a1b2c3d") == salt_of("r-20260301-0a1b2c3d")
    True
    """
    return hashlib.sha256(rollout_id.encode()).hexdigest()[:16]


def first(standing: Standing, by: By) -> Traffic:
    """The first release takes an empty stage: there is nobody to compare it with."""
    return Traffic(
        change_id=by.change_id,
        rollout_id=by.rollout_id,
        champion=standing,
        salt=salt_of(by.rollout_id),
        reason=by.reason,
        changed_at=by.at,
    )


def stage(traffic: Traffic, candidate: Standing, by: By, *, share_bp: int, shadow_bp: int = 0) -> Move:
    """`share_bp` of the users, in [0, 9999], meet the candidate. The writer brings its lease's fence.

    The salt changes only with the first stage of a rollout: later ones move the border, so a user goes from champion to
    candidate once and never back.
    """
    if traffic.change_id == by.change_id:
        return Move(None, "this change was made before")
    if traffic.previous is not None:
        return Move(None, f"{traffic.previous.release} is still kept as previous and stands in the other slot")
    if traffic.candidate is not None and traffic.candidate != candidate:
        return Move(None, f"{traffic.candidate.release} is the candidate")
    if traffic.champion.release == candidate.release:
        return Move(None, f"{candidate.release} serves already")
    if traffic.candidate is not None and traffic.rollout_id == by.rollout_id and share_bp < traffic.share_bp:
        return Move(None, f"{traffic.share_bp} bp of the users meet it already: a stage never takes users back")
    return Move(
        traffic.next(
            change_id=by.change_id,
            reason=by.reason,
            changed_at=by.at,
            rollout_id=by.rollout_id,
            candidate=candidate,
            share_bp=share_bp,
            shadow_bp=shadow_bp,
            salt=salt_of(by.rollout_id),
        ),
        by.reason,
    )


def promote(traffic: Traffic, candidate: Standing, by: By, *, holdback_bp: int) -> Move:
    """The candidate becomes champion; `holdback_bp` of the users stay on the champion before. The lease's fence."""
    if traffic.change_id == by.change_id:
        return Move(None, "this change was made before")
    if traffic.candidate != candidate or traffic.rollout_id != by.rollout_id:
        return Move(None, f"{candidate.release} is no longer this rollout's candidate")
    return Move(
        traffic.next(
            change_id=by.change_id,
            reason=by.reason,
            changed_at=by.at,
            champion=candidate,
            candidate=None,
            share_bp=0,
            shadow_bp=0,
            previous=traffic.champion,
            holdback_bp=min(holdback_bp, ALL_BP - traffic.share_bp),  # who met the candidate is not taken back
        ),
        by.reason,
    )


def retire_previous(traffic: Traffic, by: By) -> Move:
    """Nobody stays on the champion before; its slot may be emptied after draining. The lease's fence."""
    if traffic.previous is None:
        return Move(None, "no previous release is kept")
    return Move(
        traffic.next(change_id=by.change_id, reason=by.reason, changed_at=by.at, previous=None, holdback_bp=0),
        by.reason,
    )


def take_down(traffic: Traffic, release_id: str, by: By) -> Move:
    """A release leaves the stage at once: a candidate's users go back to the champion, a fresh champion's to previous.

    The writer brings `traffic.fence + 1`, so that nothing decided before can land after it.
    """
    if traffic.change_id == by.change_id:
        return Move(None, "this change was made before")
    told = {"change_id": by.change_id, "reason": by.reason, "changed_at": by.at}
    if traffic.candidate is not None and traffic.candidate.release == release_id:
        return Move(traffic.next(**told, candidate=None, share_bp=0, shadow_bp=0), by.reason)  # type: ignore[arg-type]
    if traffic.champion.release == release_id and traffic.previous is not None:
        back = {"champion": traffic.previous, "previous": None, "holdback_bp": 0}
        return Move(traffic.next(**told, **back), by.reason)  # type: ignore[arg-type]
    if traffic.champion.release == release_id:
        return Move(None, f"{release_id} is champion and no previous release is kept: there is no way back")
    return Move(None, f"{release_id} is not on stage")


def raise_fence(traffic: Traffic, by: By) -> Move:
    """Nobody moves; whoever decided before loses. A rollback that holds the stage's lease brings that lease's fence.

    It is for the rollout whose release does not stand on stage yet: its first write may be on the way.
    """
    if traffic.change_id == by.change_id:
        return Move(None, "this change was made before")
    return Move(traffic.next(change_id=by.change_id, reason=by.reason, changed_at=by.at), by.reason)
