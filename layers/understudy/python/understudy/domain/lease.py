"""A lease: who may act alone until when, under a fence that only grows (DESIGN §8)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Lease:
    """`fence` goes with every write of the holder; a later holder's is higher, so a stale holder's write is refused."""

    name: str
    owner: str
    fence: int
    expires_at: datetime

    def is_over(self, now: datetime) -> bool:
        """Half-open: at `expires_at` itself the lease is over."""
        return now >= self.expires_at

    def until(self, expires_at: datetime) -> Lease:
        return replace(self, expires_at=expires_at)


NOBODY = ""  # the owner of a released lease; the item stays, so its fence keeps growing
NEVER = datetime.fromtimestamp(0, UTC)


def expiry(now: datetime, ttl_s: int) -> datetime:
    """End of a lease taken `now`, in whole milliseconds (what the table keeps)."""
    end = now + timedelta(seconds=ttl_s)
    return end.replace(microsecond=end.microsecond // 1000 * 1000)


def may_acquire(held: Lease | None, now: datetime) -> bool:
    """Free, given back, or left behind by a holder whose time is over."""
    return held is None or held.owner == NOBODY or held.is_over(now)
