"""What served when: every write of traffic, out of the histories of the machines whose doors made them.

No table keeps the past of the traffic item. Each write is the answer of a door (`put_on_stage`, `take_down`, `retire_previous`)
and stands whole in its execution's history, which AWS keeps for 90 days; the item itself is the last of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from cli.job_costs import PARALLEL_READS
from cli.site import Site
from cli.stage import read_traffic
from understudy.contracts.traffic import ALL_BP, Traffic

MACHINES = ("RollOutMachineArn", "RollBackMachineArn")


@dataclass(frozen=True, slots=True)
class TrafficHistory:
    """Writes of traffic, oldest first, by version; `missing` are versions that no kept history tells."""

    changes: Sequence[Traffic]
    missing: Sequence[int]


@dataclass(frozen=True, slots=True)
class Spell:
    """A time in which nothing changed: basis points of users by release."""

    since: datetime
    until: datetime
    shares: dict[str, int]


def read_runs(site: Site, output: str, since: datetime) -> list[dict[str, Any]]:
    """Executions of a machine since then, oldest first, described; empty when the stack has no such machine."""
    if output not in site.outputs:
        return []
    states, found = site.client("stepfunctions"), []
    for page in states.get_paginator("list_executions").paginate(stateMachineArn=site.outputs[output]):
        recent = [row for row in page["executions"] if row.get("stopDate", row["startDate"]) >= since]
        found += recent
        if len(recent) < len(page["executions"]):
            break
    with ThreadPoolExecutor(PARALLEL_READS) as pool:
        described = pool.map(lambda row: states.describe_execution(executionArn=row["executionArn"]), found)
    return sorted(described, key=lambda run: run["startDate"])


def read_traffic_history(site: Site, since: datetime) -> TrafficHistory:
    """Everything that was written since, and what stood there when the time began, as far as histories tell."""
    states, known = site.client("stepfunctions"), dict[int, Traffic]()
    if (now := read_traffic(site)) is not None:
        known[now["version"]] = _parsed(now)
    runs = [run["executionArn"] for output in MACHINES for run in read_runs(site, output, since)]
    runs += [run["executionArn"] for run in _one_before(states, site, since)]
    with ThreadPoolExecutor(PARALLEL_READS) as pool:
        for found in pool.map(lambda arn: list(_writes(states, arn)), runs):
            known |= {traffic.version: traffic for traffic in found}
    changes = [known[version] for version in sorted(known)]
    first = next((place for place in reversed(range(len(changes))) if changes[place].changed_at <= since), 0)
    changes = changes[first:]
    expected = range(changes[0].version, changes[-1].version) if changes else range(0)
    return TrafficHistory(changes, [version for version in expected if version not in known])


def spells(history: TrafficHistory, since: datetime, until: datetime) -> list[Spell]:
    """The history as times without a change, cut to [since, until]; nothing before the first known write.

    Examples
    --------
    >>> from datetime import UTC
    >>> from understudy.contracts.traffic import Standing
    >>> at = [datetime(2026, 1, day, tzinfo=UTC) for day in (1, 2, 3)]
    >>> first = Traffic(change_id="a", champion=Standing(release="r-1", slot="blue"), salt="s", reason="", changed_at=at[0])
    >>> stage = first.next(change_id="b", reason="", changed_at=at[1], candidate=Standing(release="r-2", slot="green"), share_bp=1000)
    >>> [spell.shares for spell in spells(TrafficHistory([first, stage], []), at[0], at[2])]
    [{'r-1': 10000}, {'r-1': 9000, 'r-2': 1000}]
    """
    found = []
    for place, traffic in enumerate(history.changes, start=1):
        later = history.changes[place].changed_at if place < len(history.changes) else until
        start, end = max(traffic.changed_at, since), min(later, until)
        if start < end:
            found.append(Spell(start, end, shares_of(traffic)))
    return found


def shares_of(traffic: Traffic) -> dict[str, int]:
    """Basis points of users by release, nobody left out."""
    shares = {traffic.champion.release: ALL_BP - traffic.share_bp - traffic.holdback_bp}
    if traffic.candidate is not None:
        shares[traffic.candidate.release] = traffic.share_bp
    if traffic.previous is not None:
        shares[traffic.previous.release] = traffic.holdback_bp
    return shares


def _one_before(states: Any, site: Site, since: datetime) -> Iterator[dict[str, Any]]:
    """The last run of each machine that ended before: its last write is what stood there when the time began."""
    for output in MACHINES:
        rows = states.list_executions(stateMachineArn=site.outputs[output], maxResults=100)["executions"]
        yield from [row for row in rows if row.get("stopDate", since) < since][:1]


def _writes(states: Any, arn: str) -> Iterator[Traffic]:
    for page in states.get_paginator("get_execution_history").paginate(executionArn=arn, includeExecutionData=True):
        for event in page["events"]:
            text = event.get("taskSucceededEventDetails", {}).get("output")
            answer = json.loads(text) if text else None
            said = answer.get("Payload") if isinstance(answer, dict) else None
            written = said.get("traffic", said) if isinstance(said, dict) else None
            if isinstance(written, dict) and "champion" in written and "changed_at" in written:
                try:
                    yield _parsed(written)
                except ValidationError:  # another door's answer that looks alike
                    continue


def _parsed(item: dict[str, Any]) -> Traffic:
    return Traffic.model_validate({name: item[name] for name in Traffic.model_fields if name in item})
