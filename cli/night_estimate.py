"""What a night will take before it starts: from the nights that were, or from the limits of the deployed machine."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table

from cli.data_commands import lake_of
from cli.job_costs import STAGES, Job, read_jobs
from cli.report_costs import duration, money
from cli.report_history import read_runs
from cli.site import Problem, Site
from cli.stage import read_releases
from understudy.adapters.night import read_lake
from understudy.domain.cost import Forecast, forecast, price_usd_per_s
from understudy.domain.night import end_of_window

KEPT = timedelta(days=30)
JOBS = {"createTrainingJob.sync": "ResourceConfig", "createProcessingJob.sync": "ProcessingResources"}


@dataclass(frozen=True, slots=True)
class Planned:
    """A job as the deployed machine starts it: its name's beginning, machines and its own time limit."""

    stage: str
    instance_type: str
    instances: int
    limit_s: int

    def cost(self, seconds: float) -> float | None:
        price = price_usd_per_s(self.instance_type)
        return None if price is None else seconds * price * self.instances


@dataclass(frozen=True, slots=True)
class PastNight:
    """A night in which every job ran: events in its window, its length, and seconds by stage as billed."""

    name: str
    rows: int
    seconds: float
    billed: Mapping[str, float]
    types: frozenset[str]


@dataclass(frozen=True, slots=True)
class Estimate:
    """The next night: its window and rows, the jobs it starts, and the nights it is judged by."""

    start: datetime
    end: datetime
    rows: int
    planned: Sequence[Planned]
    past: Sequence[PastNight]
    unread_feedback: bool

    def of_stage(self, stage: str) -> Forecast:
        return forecast([(night.rows, night.billed[stage]) for night in self.past], self.rows)

    def of_night(self) -> Forecast:
        return forecast([(night.rows, night.seconds) for night in self.past], self.rows)

    def of_cost(self) -> Forecast | None:
        """None where a machine's price is not known. Past seconds at today's machines' prices."""
        costs = []
        for night in self.past:
            parts = [job.cost(night.billed[job.stage]) for job in self.planned]
            known = [part for part in parts if part is not None]
            if len(known) < len(parts):
                return None
            costs.append((float(night.rows), sum(known)))
        return forecast(costs, self.rows)


def read_estimate(site: Site, now: datetime, as_of: datetime | None, window_days: int | None) -> Estimate:
    """Everything a forecast is made of.

    Raises
    ------
    Problem
        The lake is empty, or has no event in the window: such a night fails in its first job.
    """
    lake = read_lake(site.client("dynamodb"), site.outputs["StateTable"], site.client("s3"), site.outputs["LakeBucket"])
    if lake.data_through is None:
        raise Problem("the lake holds no data, so a night would end in its first job: understudy data --help")
    end = midnight(end_of_window(as_of, lake, now))
    days = window_days or int(site.parameters["WindowDays"])
    start, by_day = end - timedelta(days=days), events_by_day(site)
    rows = rows_between(by_day, start, end)
    if not rows:
        raise Problem(
            f"the lake has no event from {start:%Y-%m-%d} until before {end:%Y-%m-%d}; understudy status says how far it goes"
        )
    past = past_nights(site, by_day, now - KEPT)
    return Estimate(start, end, rows, deployed_jobs(site), past, lake.has_newer_feedback)


def midnight(at: datetime) -> datetime:
    """prepare_data floors the end of its window to the day, UTC."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def events_by_day(site: Site) -> dict[date, int]:
    """Rows of the lake's events by day of their time: the table's own partition counts, no data is read."""
    found = lake_of(site).table("events").inspect.partitions().to_pylist()
    counts: dict[date, int] = {}
    for row in found:
        day = row["partition"]["event_time_day"]
        counts[day] = counts.get(day, 0) + row["record_count"]
    return counts


def rows_between(by_day: Mapping[date, int], start: datetime, end: datetime) -> int:
    """Events of the days in [start, end).

    Examples
    --------
    >>> rows_between({date(2026, 1, 1): 5, date(2026, 1, 2): 7}, datetime(2026, 1, 1), datetime(2026, 1, 2))
    5
    """
    return sum(rows for day, rows in by_day.items() if start.date() <= day < end.date())


def deployed_jobs(site: Site) -> list[Planned]:
    """The jobs of the deployed machine in its order, as its definition says them."""
    states = site.client("stepfunctions")
    machine = states.describe_state_machine(stateMachineArn=site.outputs["NightlyMachineArn"])
    return list(_jobs_in(json.loads(machine["definition"])))


def _jobs_in(machine: Mapping[str, Any]) -> Iterator[Planned]:
    for state in machine["States"].values():
        for branch in state.get("Branches", []):
            yield from _jobs_in(branch)
        cluster = JOBS.get(state.get("Resource", "").rpartition(":")[2])
        if cluster is None:
            continue
        given = state["Arguments"]
        name = str(given.get("TrainingJobName") or given["ProcessingJobName"])
        stage = next(each for each in STAGES if f"'{each}'" in name)
        machines = given[cluster].get("ClusterConfig", given[cluster])
        limit = int(given["StoppingCondition"]["MaxRuntimeInSeconds"])
        count = re.sub(r"\D", "", str(machines["InstanceCount"]))  # a parameter comes as {% $number('1') %}
        yield Planned(stage, machines["InstanceType"], int(count), limit)


def past_nights(site: Site, by_day: Mapping[date, int], since: datetime) -> list[PastNight]:
    """Nights since in which every job ran to its end; one that found earlier work says nothing about a whole one."""
    jobs = read_jobs(site, since)
    lineages = {release["run_id"]: release["lineage"] for release in read_releases(site)}
    found = []
    for run in read_runs(site, "NightlyMachineArn", since):
        lineage = lineages.get(run["name"])
        mine = {job.stage: job for job in jobs if f"-{run['name']}-" in job.name and job.status == "Completed"}
        if run["status"] == "SUCCEEDED" and lineage is not None and mine.keys() >= set(STAGES):
            end = midnight(datetime.fromisoformat(lineage["as_of"]))
            rows = rows_between(by_day, end - timedelta(days=int(lineage["window_days"])), end)
            if rows:
                found.append(_past(run, rows, mine))
    return found


def _past(run: Mapping[str, Any], rows: int, jobs: Mapping[str, Job]) -> PastNight:
    runs = {stage: job.run for stage, job in jobs.items() if job.run is not None}
    billed = {stage: run.billable_s for stage, run in runs.items()}
    seconds = (run["stopDate"] - run["startDate"]).total_seconds()
    return PastNight(run["name"], rows, seconds, billed, frozenset(run.instance_type for run in runs.values()))


def shown(estimate: Estimate) -> RenderableType:
    """The forecast as people read it, and what it is based on."""
    window = f"{estimate.start:%Y-%m-%d} until before {estimate.end:%Y-%m-%d}"
    head = f"a night over {window}: {estimate.rows:,} events"
    return Group(head, *(_from_nights(estimate) if estimate.past else _from_limits(estimate)), *_notes(estimate))


def _from_nights(estimate: Estimate) -> list[RenderableType]:
    table = Table(title="What it will take")
    for title in ("", "time", "from", "to", "machines"):
        table.add_column(title, justify="left" if title in ("", "machines") else "right")
    for job in estimate.planned:
        found = estimate.of_stage(job.stage)
        table.add_row(job.stage, *_times(found), f"{job.instances} × {job.instance_type}")
    whole, cost = estimate.of_night(), estimate.of_cost()
    table.add_row("[bold]the night[/]", *_times(whole), "the models train at once")
    if cost is None:
        table.add_row("[bold]cost[/]", "price not known", "", "", "")
    else:
        table.add_row("[bold]cost[/]", money(cost.middle), money(cost.low), money(cost.high), "on demand, us-east-1")
    rows = [night.rows for night in estimate.past]
    nights = f"{len(rows)} night{'s' if len(rows) > 1 else ''} of {min(rows):,} to {max(rows):,} events"
    sure = "half and twice of it: one night tells nothing of how nights differ" if whole.chance is None else ""
    sure = (
        sure
        or f"a line's next value lies from - to with a chance of {whole.chance:.0%}, if nights differ by their rows and chance only"
    )
    return [table, f"based on the last {nights} in which every job ran; {sure}"]


def _times(found: Forecast) -> list[str]:
    return [duration(found.middle), duration(found.low), duration(found.high)]


def _from_limits(estimate: Estimate) -> list[RenderableType]:
    """No night yet: what the machine would allow, which is no forecast and says so."""
    table = Table(title="No night in which every job ran yet: what the limits allow")
    for title in ("", "at most", "costs at most", "machines"):
        table.add_column(title, justify="left" if title in ("", "machines") else "right")
    for job in estimate.planned:
        limit = duration(job.limit_s)
        table.add_row(job.stage, limit, money(job.cost(job.limit_s)), f"{job.instances} × {job.instance_type}")
    costs = [job.cost(job.limit_s) for job in estimate.planned]
    known = [cost for cost in costs if cost is not None]
    table.add_row("[bold]the night[/]", "", money(sum(known) if len(known) == len(costs) else None), "")
    return [
        table,
        "these are the jobs' own time limits, not what they will take; after the first night this is a forecast",
    ]


def _notes(estimate: Estimate) -> list[str]:
    notes = []
    types = {job.instance_type for job in estimate.planned}
    if others := sorted({each for night in estimate.past for each in night.types} - types):
        notes.append(
            f"[yellow]some of those nights ran on {', '.join(others)}[/]: their seconds are taken as they were, at today's prices"
        )
    if estimate.unread_feedback:
        notes.append("[dim]live feedback that no night has taken into the lake yet comes on top of the events[/]")
    return [*notes, "[dim]jobs only: endpoints, search and functions are billed by the hour or the request[/]"]
