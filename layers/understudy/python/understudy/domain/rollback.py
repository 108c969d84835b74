"""The way down: how a release leaves the stage, what is written about it, and which ends of executions ask for a rollback."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from understudy.contracts.release import MOVES, ReleaseRecord, Status
from understudy.contracts.rollback import Cause, EndedDetail, RollBackInput
from understudy.contracts.traffic import Traffic
from understudy.domain import traffic_moves
from understudy.domain.lease import Lease
from understudy.domain.traffic_moves import By, Move

PAUSE_S, LONGEST_PAUSE_S = 30, 900
VERDICT_ERROR = "RolledBack"  # the error with which roll_out ends after it asked for a rollback on a verdict


def take_down(traffic: Traffic | None, release_id: str, by: By) -> Move:
    """The move that takes a release off the stage, if it stands there by the rollout that is rolled back.

    A rollback that wakes late must not take down what a later rollout of the same release put up.
    """
    if traffic is None:
        return Move(None, "nobody serves")
    if traffic.rollout_id != by.rollout_id:
        return Move(None, f"the stage is rollout {traffic.rollout_id}'s")
    return traffic_moves.take_down(traffic, release_id, by)


def secure(traffic: Traffic | None, release_id: str, by: By, *, fence: int) -> Move:
    """What the holder of the stage's lease writes so that nothing decided before can land any more.

    The release is taken down if a write in flight put it on stage after the first look; else the fence alone is raised.
    """
    move = take_down(traffic, release_id, by)
    if traffic is None or move.traffic is not None or traffic.fence >= fence:
        return move
    return traffic_moves.raise_fence(traffic, by)


def closing_status(record: ReleaseRecord, traffic: Traffic | None, cause: Cause) -> Status | None:
    """The status a release ends with; None when it has to stay what it is.

    One that traffic still names (it is champion and there was no way back) serves on.
    """
    if names(traffic, record.release_id):
        return None
    status: Status = "rejected" if cause in ("verdict", "alarm") else "retired"
    return status if status in MOVES[record.status] else None


def names(traffic: Traffic | None, release_id: str) -> bool:
    """Whether traffic names a release, in whatever part."""
    standing = [] if traffic is None else [traffic.champion, traffic.candidate, traffic.previous]
    return any(one is not None and one.release == release_id for one in standing)


def rollback_name(rollout_id: str, reason: str) -> str:
    """Name of the execution: the same cause asked for twice is one execution.

    Examples
    --------
    >>> rollback_name("r-2", "errors") == rollback_name("r-2", "errors")
    True
    >>> rollback_name("r-2", "errors") == rollback_name("r-2", "latency")
    False
    """
    return f"{rollout_id}-back-{hashlib.sha256(reason.encode()).hexdigest()[:8]}"


@dataclass(frozen=True, slots=True)
class Found:
    """What is found when an execution has ended badly."""

    traffic: Traffic | None
    lease: Lease | None
    record: ReleaseRecord | None
    rolling_back: bool  # a roll_back of this rollout runs


@dataclass(frozen=True, slots=True)
class Answer:
    """`start` a rollback under `name` with `input`; `give_up`: too many failed, a person must look; `leave` it."""

    action: Literal["start", "give_up", "leave"]
    reason: str
    name: str = ""
    input: RollBackInput | None = None


def asked_of(ended: EndedDetail, asked: dict[str, Any]) -> RollBackInput:
    """What the execution that ended was about, as a rollback's input. `asked` is its own input."""
    at = datetime.fromtimestamp(ended.stopped_ms / 1000, UTC)
    if "rollout_id" in asked:  # a roll_back: what it was asked for stands, and its age counts from the first
        was = RollBackInput.model_validate({"asked_at": datetime.fromtimestamp(ended.started_ms / 1000, UTC), **asked})
        pause_s = min(
            LONGEST_PAUSE_S, PAUSE_S * (2**was.attempt - 1)
        )  # the first goes on at once: most were only killed
        return was.model_copy(update={"attempt": was.attempt + 1, "pause_s": pause_s})
    verdict = ended.error == VERDICT_ERROR
    reason = str(ended.cause) if verdict else f"roll_out ended with {ended.error or ended.status}"
    cause: Cause = "verdict" if verdict else "ended"
    facts = {"release_id": asked["release_id"], "rollout_id": ended.name, "reason": reason, "cause": cause}
    return RollBackInput.model_validate({**facts, "asked_at": at})


def answer_to_end(ended: EndedDetail, asked: RollBackInput, found: Found, *, max_age_s: int) -> Answer:
    """Whether an execution that failed, timed out or was stopped has left something to be rolled back.

    A roll_out that never had the stage needs nothing but a word in the releases table; one that finished cleanly sends no such event. A
    rollback that failed is started again under a name made of its own, for `max_age_s` after the first was asked for, whatever is
    seen of it now: the stage may still be leased to its rollout, or be taken by a door of it that was on its way when it died.
    """
    if found.rolling_back:
        return Answer("leave", "a rollback of it runs")
    held = found.lease is not None and found.lease.owner == ended.execution_arn
    staged = found.traffic is not None and take_down(found.traffic, asked.release_id, _probe(asked)).traffic is not None
    waiting = found.record is not None and closing_status(found.record, found.traffic, asked.cause) is not None
    unfinished = waiting and found.record is not None and found.record.status in ("approved", "champion")
    if not (asked.attempt or held or staged or unfinished):
        return Answer("leave", "it left nothing behind")
    stopped = datetime.fromtimestamp(ended.stopped_ms / 1000, UTC)
    if asked.attempt and asked.asked_at is not None and stopped - asked.asked_at > timedelta(seconds=max_age_s):
        return Answer("give_up", f"rollbacks of {asked.rollout_id} have failed since {asked.asked_at.isoformat()}")
    return Answer("start", asked.reason, _name(ended, asked), asked)


def _name(ended: EndedDetail, asked: RollBackInput) -> str:
    """The first answer to a roll_out's end has the name roll_out itself would have given; later ones are made of what ended."""
    again = f"{ended.name} #{ended.redrives}" if asked.attempt or ended.redrives else asked.reason
    return rollback_name(asked.rollout_id, again)


def _probe(asked: RollBackInput) -> By:
    return By("probe", asked.rollout_id, asked.asked_at or datetime.fromtimestamp(0, UTC), asked.reason)
