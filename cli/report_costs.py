"""What jobs, nights and releases cost, drawn and in tables."""

from __future__ import annotations

from collections.abc import Sequence

from cli.job_costs import STAGES, Job, total
from cli.report_figures import SERIES, Drawn, Section, Table, drawn, legend_above, panels
from cli.report_plots import moment
from cli.report_story import Night, Story

OTHER = "other jobs"
JOBS_SHOWN = 200


def money(usd: float | None) -> str:
    """Dollars; four digits after the point while it is cents.

    Examples
    --------
    >>> money(0.00123), money(12.5), money(None)
    ('$0.0012', '$12.50', 'price not known')
    """
    if usd is None:
        return "price not known"
    return f"${usd:,.2f}" if usd >= 1 else f"${usd:.4f}"


def duration(seconds: float | None) -> str:
    """Hours and minutes, or minutes and seconds.

    Examples
    --------
    >>> duration(75), duration(3700), duration(None)
    ('1 min 15 s', '1 h 1 min', 'runs')
    """
    if seconds is None:
        return "runs"
    minutes, rest = divmod(round(seconds), 60)
    return (
        f"{minutes // 60} h {minutes % 60} min"
        if minutes >= 60
        else f"{minutes} min {rest} s"
        if minutes
        else f"{rest} s"
    )


def cost_section(story: Story) -> Section:
    section = Section("cost", "Cost")
    if not story.jobs:
        section.empty = story.silent.get("jobs", "no job ran in these days")
        return section
    everything = total(story.jobs)
    section.lead = (
        f"{len(story.jobs)} jobs, {money(everything)} at on-demand prices of us-east-1. Endpoints, search, functions and storage are "
        "billed by the hour or the request beside it and are not in here."
    )
    if story.nights:
        section.plots.append(_nights_plot(story.nights))
    section.tables.append(("Cost of each release: of all jobs it was made by", _releases(story)))
    section.tables.append(("Cost by kind of job", _stages(story.jobs)))
    shown = sorted(story.jobs, key=lambda job: job.created, reverse=True)[:JOBS_SHOWN]
    section.tables.append((f"Jobs, newest first ({len(shown)} of {len(story.jobs)})", _jobs(shown)))
    return section


def _nights_plot(nights: Sequence[Night]) -> Drawn:
    figure, (axes,) = panels([2.9], timed=False)
    floors, names = [0.0] * len(nights), [*STAGES, OTHER]
    rows = [[night.name, night.reason, moment(night.started), _length(night)] for night in nights]
    for place, stage in enumerate(names):
        costs = [sum(job.cost or 0 for job in night.jobs if _bar(job) == stage) for night in nights]
        if any(costs):
            hatch = "" if place < len(SERIES) else "///"
            axes.bar(
                range(len(nights)),
                costs,
                0.6,
                bottom=floors,
                label=stage,
                color=SERIES[place % len(SERIES)],
                hatch=hatch,
                lw=0,
            )
        floors = [floor + cost for floor, cost in zip(floors, costs, strict=True)]
    for row, night in zip(rows, nights, strict=True):
        row += [night.release or "–", money(total(night.jobs))]
    axes.set_xticks(
        range(len(nights)), [night.name.removeprefix("night-") for night in nights], rotation=20, ha="right"
    )
    axes.set_xlim(-0.6, len(nights) - 0.4)
    axes.set_ylabel("USD")
    axes.grid(visible=False, axis="x")
    legend_above(axes, 4)
    titles = ("night", "why", "started (UTC)", "took", "release", "cost")
    described = "A bar is a night, its parts the jobs that ran in it; work that was found from an earlier night cost nothing again."
    return drawn(figure, "Cost of each night", described, Table(titles, rows, frozenset({3, 5})))


def _bar(job: Job) -> str:
    return job.stage if job.stage in STAGES else OTHER


def _length(night: Night) -> str:
    return duration(None if night.ended is None else (night.ended - night.started).total_seconds())


def _releases(story: Story) -> Table:
    made = {night.release for night in story.nights}
    rows = [
        [
            one["release_id"],
            one["status"],
            one["created_at"][:16].replace("T", " "),
            str(one["lineage"].get("reason", "")),
            money(one["lineage"].get("cost_usd")),
        ]
        for one in story.releases
        if one["release_id"] in made
    ]
    return Table(("release", "status", "made (UTC)", "why", "cost"), rows, frozenset({4}))


def _stages(jobs: Sequence[Job]) -> Table:
    rows = []
    for stage in sorted({job.stage for job in jobs}):
        mine = [job for job in jobs if job.stage == stage]
        billed = sum(job.run.billable_s * job.run.instance_count for job in mine if job.run is not None)
        failed = sum(job.status not in ("Completed", "InProgress") for job in mine)
        rows.append([stage, str(len(mine)), str(failed), duration(billed), money(total(mine))])
    return Table(("stage", "jobs", "not completed", "billed", "cost"), rows, frozenset({1, 2, 3, 4}))


def _jobs(jobs: Sequence[Job]) -> Table:
    rows = [
        [
            job.name,
            job.status,
            moment(job.created),
            duration(job.run.billable_s if job.run else None),
            f"{job.run.instance_count} × {job.run.instance_type}" if job.run else "–",
            money(job.cost) if job.run else "–",
        ]
        for job in jobs
    ]
    return Table(("job", "status", "created (UTC)", "billed", "on", "cost"), rows, frozenset({3, 5}))
