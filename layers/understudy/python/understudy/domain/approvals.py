"""An approval that does not come, or that a person refused: what that makes of a release that waits."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from understudy.contracts.release import ReleaseRecord
from understudy.contracts.traffic import Traffic
from understudy.domain.rollback import names


@dataclass(frozen=True, slots=True)
class PackageWord:
    """What the registry says of a package: `PendingManualApproval`, `Approved` or `Rejected`, and why."""

    status: str
    why: str = ""


def why_rejected(
    record: ReleaseRecord, packages: Sequence[PackageWord], *, rolls_out: bool, now: datetime, days: float
) -> str | None:
    """Why a release that waits is rejected now; None while it may still come on stage.

    One that is pending lapses `days` after it was made, half open: at that very moment it has lapsed. Both packages approved
    is an approval that is on its way to be heard. An approved one whose rollout runs is the rollout's.
    """
    if record.status not in ("pending", "approved") or rolls_out:
        return None
    refused = [package for package in packages if package.status == "Rejected"]
    if refused:
        return "rejected in the registry" + "".join(f": {each.why}" for each in refused[:1] if each.why)
    approved = packages and all(package.status == "Approved" for package in packages)
    if record.status == "approved" or approved or now - record.created_at < timedelta(days=days):
        return None
    return f"nobody approved both its packages within {days:g} days"


def refused_with_index(
    records: Iterable[ReleaseRecord], traffic: Traffic | None, there: Iterable[str]
) -> list[ReleaseRecord]:
    """Rejected releases whose index is still there, which says that they are not cleared away yet.

    Nobody's request can need it: `rejected` is only written of a release that never stood on stage, or after it drained.
    """
    known = set(there)
    return [
        record
        for record in records
        if record.status == "rejected" and record.index in known and not names(traffic, record.release_id)
    ]
