"""What the domain needs of the world. `adapters/aws.py` fulfils it on AWS, `adapters/memory.py` in tests."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Protocol

from understudy.contracts.release import ReleaseRecord, Status
from understudy.contracts.traffic import Traffic
from understudy.domain.lease import Lease


class TrafficStore(Protocol):
    """The `traffic` item."""

    def current(self) -> Traffic | None:
        """Strongly consistent; None before the first release stood on stage."""

    def replace(self, expected: Traffic | None, new: Traffic, fence: int) -> Traffic:
        """Write `new` in one conditional write and return it as stored.

        The store numbers it: version = expected's + 1 (1 when `expected` is None), fence = the writer's. A refused
        write is not tried again: if the item carries `new.change_id`, the first reply was lost and the stored
        traffic is returned; otherwise another change came first.

        Raises
        ------
        TrafficMoved
            The version is no longer the expected one, or a higher fence has been written.
        """


class LeaseStore(Protocol):
    """Leases by name. `now` and the expiry are the caller's clock; skew between callers must stay far below the ttl."""

    def acquire(self, name: str, owner: str, ttl_s: int, now: datetime) -> Lease:
        """Take a free or expired lease with the next fence; the holder itself gets its running lease back unchanged.

        Raises
        ------
        LeaseHeld
            Somebody else holds it.
        """

    def renew(self, lease: Lease, ttl_s: int, now: datetime) -> Lease:
        """Move the expiry; also after it has passed, as long as nobody took the lease since.

        Raises
        ------
        LeaseLost
            Another owner, or another fence, is written there now.
        """

    def lift(self, lease: Lease, above: int) -> Lease:
        """Give a lease of ours a fence above `above`; one whose fence is higher already stays as it is.

        A rollback raises traffic's fence without a lease, so the next holder's must be raised above it.

        Raises
        ------
        LeaseLost
            Another owner, or another fence, is written there now.
        """

    def release(self, lease: Lease) -> None:
        """Give it back; the item stays so that fences only grow. A lease that is no longer ours is left alone."""

    def holder(self, name: str) -> Lease | None:
        """Who is written there now, running or expired; None when free."""


class ReleaseStore(Protocol):
    """The `releases` table."""

    def register(self, record: ReleaseRecord) -> ReleaseRecord:
        """Write a release once. The same immutable part again is the same registration: what is stored is returned.

        Raises
        ------
        ReleaseExists
            The id is taken by a release with other contents.
        """

    def get(self, release_id: str) -> ReleaseRecord | None: ...

    def list(self) -> Sequence[ReleaseRecord]:
        """Every release, newest first."""

    def move_status(self, record: ReleaseRecord, status: Status, fence: int, *, reason: str = "") -> ReleaseRecord:
        """Change the status, and why, if `record.version` is still the stored one and no higher fence was written.

        Raises
        ------
        StatusNotAllowed
            `contracts.release.MOVES` has no such move.
        ReleaseMoved
            Another writer was first; the own write of the same move (same status and fence) counts as done.
        """


class MonitorBackend(Protocol):
    """Who compares live traffic with a release's baseline: our own jobs, or a managed service's schedules."""

    def watch(self, release_id: str, baseline_s3: str, baseline_files: Collection[str]) -> None:
        """Take on a release that is about to be registered; doing it again changes nothing.

        Parameters
        ----------
        baseline_s3 : str
            Folder of the baseline, by kind of monitor in Model Monitor's form.
        baseline_files : collection of str
            Paths in it, by its manifest.

        Raises
        ------
        InvalidInput
            The baseline is not what every kind of monitor needs: nobody would watch the release.
        """
