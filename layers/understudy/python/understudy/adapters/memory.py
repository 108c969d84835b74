"""The ports in memory, for unit tests: the same rules under one lock, no wire."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from threading import Lock

from understudy.contracts.release import MOVES, ReleaseRecord, Status
from understudy.contracts.traffic import Traffic
from understudy.domain.lease import NOBODY, Lease, expiry, may_acquire
from understudy.errors import LeaseHeld, LeaseLost, ReleaseExists, ReleaseMoved, StatusNotAllowed, TrafficMoved


class MemoryTraffic:
    def __init__(self, traffic: Traffic | None = None) -> None:
        self._lock, self._traffic = Lock(), traffic

    def current(self) -> Traffic | None:
        return self._traffic

    def replace(self, expected: Traffic | None, new: Traffic, fence: int) -> Traffic:
        version = expected.version if expected else 0
        with self._lock:
            there = self._traffic
            stored_version, stored_fence = (there.version, there.fence) if there else (0, 0)
            if stored_version != version or stored_fence > fence:
                if there is not None and there.change_id == new.change_id:
                    return there
                raise TrafficMoved(version, there.change_id if there else "none (the item is gone)")
            self._traffic = new.model_copy(update={"version": version + 1, "fence": fence})
            return self._traffic


class MemoryLeases:
    def __init__(self) -> None:
        self._lock = Lock()
        self._leases: dict[str, Lease] = {}

    def acquire(self, name: str, owner: str, ttl_s: int, now: datetime) -> Lease:
        with self._lock:
            held = self._leases.get(name)
            if held is not None and not may_acquire(held, now):
                if held.owner == owner:
                    return held
                raise LeaseHeld(name, held.owner, held.expires_at.isoformat())
            fence = held.fence + 1 if held else 1
            self._leases[name] = Lease(name, owner, fence, expiry(now, ttl_s))
            return self._leases[name]

    def renew(self, lease: Lease, ttl_s: int, now: datetime) -> Lease:
        with self._lock:
            if not self._is_ours(lease):
                raise LeaseLost(lease.name, lease.owner, lease.fence)
            self._leases[lease.name] = lease.until(expiry(now, ttl_s))
            return self._leases[lease.name]

    def lift(self, lease: Lease, above: int) -> Lease:
        if lease.fence > above:
            return lease
        lifted = replace(lease, fence=above + 1)
        with self._lock:
            if not self._is_ours(lease) and not self._is_ours(lifted):  # ours lifted: the reply was lost
                raise LeaseLost(lease.name, lease.owner, lease.fence)
            self._leases[lease.name] = lifted
        return lifted

    def release(self, lease: Lease) -> None:
        with self._lock:
            if self._is_ours(lease):
                self._leases[lease.name] = Lease(lease.name, NOBODY, lease.fence, lease.expires_at)

    def holder(self, name: str) -> Lease | None:
        held = self._leases.get(name)
        return None if held is None or held.owner == NOBODY else held

    def _is_ours(self, lease: Lease) -> bool:
        held = self._leases.get(lease.name)
        return held is not None and (held.owner, held.fence) == (lease.owner, lease.fence)


class MemoryReleases:
    def __init__(self, *records: ReleaseRecord) -> None:
        self._lock = Lock()
        self._records = {record.release_id: record for record in records}

    def register(self, record: ReleaseRecord) -> ReleaseRecord:
        with self._lock:
            there = self._records.setdefault(record.release_id, record)
        wanted, stored = record.immutable(), there.immutable()
        if differing := [key for key in wanted if wanted[key] != stored[key]]:
            raise ReleaseExists(record.release_id, differing)
        return there

    def get(self, release_id: str) -> ReleaseRecord | None:
        return self._records.get(release_id)

    def list(self) -> Sequence[ReleaseRecord]:
        return sorted(self._records.values(), key=lambda each: (each.created_at, each.release_id), reverse=True)

    def move_status(self, record: ReleaseRecord, status: Status, fence: int, *, reason: str = "") -> ReleaseRecord:
        if status not in MOVES[record.status]:
            raise StatusNotAllowed(record.release_id, record.status, status, MOVES[record.status])
        changed = {"status": status, "status_reason": reason, "version": record.version + 1, "fence": fence}
        moved = record.model_copy(update=changed)
        with self._lock:
            there = self._records.get(record.release_id)
            if there is None or there.version != record.version or there.fence > fence:
                if there is not None and (there.status, there.version, there.fence) == (status, moved.version, fence):
                    return there
                raise ReleaseMoved(record.release_id, record.version, there.status if there else "gone")
            self._records[record.release_id] = moved
            return moved
