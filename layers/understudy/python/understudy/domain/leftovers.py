"""What may be deleted once nobody serves from it, and what must not: a name that is referenced stays (fault R12)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from understudy.contracts.release import ReleaseRecord, Status
from understudy.contracts.traffic import Traffic
from understudy.domain.rollback import names

# A night's own checks and a person's approval come before the stage: until then a release needs its index.
WAITING: tuple[Status, ...] = ("registered", "pending", "approved")


def is_kept(record: ReleaseRecord, traffic: Traffic | None) -> bool:
    """Whether a release may still serve as it is: traffic names it, or its turn has not come."""
    return record.status in WAITING or names(traffic, record.release_id)


def idle_indices(
    records: Iterable[ReleaseRecord], traffic: Traffic | None, there: Iterable[str], *, leaving: str | None = None
) -> list[str]:
    """Indices of releases that were refused or have left, and of the one that is `leaving`.

    One without a release may be a night's at work: it stays.
    """
    known = {record.index: record for record in records}
    idle = {
        name
        for name, record in known.items()
        if not is_kept(record, traffic) or (record.release_id == leaving and not names(traffic, leaving))
    }
    return sorted(idle.intersection(there))


def idle_configs(endpoint: str, there: Iterable[str], used: Iterable[str]) -> list[str]:
    """Configurations of an endpoint, by their names of ours, that it neither runs nor goes to."""
    ours = re.compile(rf"{re.escape(endpoint)}-[0-9a-f]{{12}}")
    return sorted(name for name in there if ours.fullmatch(name) and name not in set(used))


def idle_models(
    endpoint: str,
    there: Iterable[str],
    used: Iterable[str],
    records: Mapping[str, ReleaseRecord],
    traffic: Traffic | None,
) -> list[str]:
    """Models of an endpoint that no configuration names, of releases that do not come any more."""
    idle = []
    for name in there:
        record = records.get(name.removeprefix(f"{endpoint}-"))
        if name.startswith(f"{endpoint}-") and name not in set(used) and record is not None:
            idle += [] if names(traffic, record.release_id) else [name]
    return sorted(idle)
