"""Who meets which release: the arm of a user, sticky for as long as the salt stands (DESIGN §1)."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import sha256

from understudy.contracts.traffic import ALL_BP, Arm, Standing, Traffic


@dataclass(frozen=True, slots=True)
class Assignment:
    arm: Arm
    bucket: int  # 0-9999
    standing: Standing


def bucket_of(salt: str, user_id: str) -> int:
    """`sha256(salt:user_id) mod 10000`.

    Examples
    --------
    >>> bucket_of("rollout-1", "u1") == bucket_of("rollout-1", "u1")
    True
    """
    return int.from_bytes(sha256(f"{salt}:{user_id}".encode()).digest()) % ALL_BP


def assign(traffic: Traffic, user_id: str) -> Assignment:
    """The lowest `share_bp` buckets meet the candidate, the highest `holdback_bp` stay on the previous release.

    A rollout takes users from below and a holdback keeps them from above, so the users of the holdback are those
    that a rollout reached last.
    """
    bucket = bucket_of(traffic.salt, user_id)
    if traffic.candidate is not None and bucket < traffic.share_bp:
        return Assignment("candidate", bucket, traffic.candidate)
    if traffic.previous is not None and bucket >= ALL_BP - traffic.holdback_bp:
        return Assignment("holdback", bucket, traffic.previous)
    return Assignment("champion", bucket, traffic.champion)


def user_hash(user_id: str) -> str:
    """What a log or a token may say of a user: 16 hex digits of a hash, enough to find one's own lines again."""
    return sha256(f"understudy:{user_id}".encode()).hexdigest()[:16]
