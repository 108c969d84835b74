"""rollout plan: what this site's bakes can decide, and a warning where the settings can never promote."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Annotated

import typer
from rich.table import Table

from cli.ab_command import moment_of
from cli.options import STACK, STATE, Stack, State, console
from cli.plan_figures import Figures, log_figures, outcome_figures
from cli.site import Problem, Site, connect
from cli.stage import read_traffic
from understudy.domain import rollout_plan
from understudy.domain.judge.policy import JudgePolicy
from understudy.domain.rollout_plan import PlannedStage, RolloutPlan
from understudy.errors import InvalidInput

NEEDED = ("requests_per_hour", "users_per_day", "ctr")


def register(app: typer.Typer) -> None:
    app.command()(plan)


Figure = Annotated[float | None, typer.Option(help="In place of what the logs say.")]
Setting = Annotated[float | None, typer.Option(help="In place of the stack's own setting.")]


def plan(
    requests_per_hour: Figure = None,
    users_per_day: Figure = None,
    ctr: Figure = None,
    impressions_per_request: Figure = None,
    design_effect: Figure = None,
    delta: Setting = None,
    bake_seconds: Setting = None,
    minimum_requests: Setting = None,
    holdback_bp: Setting = None,
    stages: Annotated[str | None, typer.Option(help="In place of the stack's own: 1000,5000,10000.")] = None,
    since: Annotated[str, typer.Option("--since", help="Logs from this time on: 90m, 6h, 2d, or an ISO time.")] = "24h",
    stack: Stack = STACK,
    state: State = STATE,
) -> None:
    """From this site's traffic and clicks: which loss the bakes can decide, and how long a wanted one takes."""
    site = connect(stack, state)
    wanted = {
        "Delta": delta,
        "BakeSeconds": bake_seconds,
        "MinimumRequests": minimum_requests,
        "HoldbackBp": holdback_bp,
    }
    settings = {**site.parameters, **{name: f"{value:g}" for name, value in wanted.items() if value is not None}}
    settings |= {"RolloutStages": stages} if stages else {}
    given = Figures(requests_per_hour, users_per_day, ctr, impressions_per_request, design_effect).known()
    figures = given if all(name in given for name in NEEDED) else {**_measured(site, settings, since), **given}
    if missing := [name for name in NEEDED if name not in figures]:
        options = ", ".join(f"--{name.replace('_', '-')}" for name in missing)
        raise Problem(f"the logs since {since} do not say enough; expected traffic with clicks, or {options}")
    made = plan_of(settings, figures)
    console.print(", ".join(f"{name.replace('_', ' ')} {value:.4g}" for name, value in figures.items()), style="dim")
    console.print(plan_table(made))
    console.print(
        f"a candidate as good as the champion is promoted {made.promotes:.0%} of the time at delta {made.delta:.1%}; "
        f"it takes {made.impressions_needed:,.0f} impressions of the candidate to decide that four times in five, "
        f"{made.over_fixed_sample:.2f} times what a test that may look only once needs"
    )
    warn(made.warnings)


def _measured(site: Site, settings: Mapping[str, str], since: str) -> dict[str, float]:
    from cli.live_log import live_log

    window = timedelta(hours=int(site.parameters["ClickWindowHours"]))
    with live_log(site, moment_of(since, datetime.now(UTC)), window) as live:
        return log_figures(live, float(settings["BakeSeconds"])).known()


def plan_of(settings: Mapping[str, str], figures: Mapping[str, float]) -> RolloutPlan:
    """The plan for a stack's parameters and a site's figures.

    Raises
    ------
    Problem
        Of settings or figures that cannot be.
    """
    try:
        return rollout_plan.plan(
            rollout_plan.Site(**figures),
            stages_bp=[int(share) for share in settings["RolloutStages"].split(",")],
            bake_s=float(settings["BakeSeconds"]),
            policy=JudgePolicy.of_stack(
                delta=float(settings["Delta"]), minimum_requests=int(settings["MinimumRequests"])
            ),
            holdback_bp=int(settings["HoldbackBp"]),
        )
    except InvalidInput as refused:
        raise Problem(f"{refused.what}; expected {refused.expected}") from None
    except ValueError as wrong:
        raise Problem(
            f"a setting is no number: {wrong}; expected whole numbers, and stages as in 1000,5000,10000"
        ) from None


def plan_table(made: RolloutPlan) -> Table:
    table = Table(title="What the bakes decide, at 80 % power")
    for title in (
        "users",
        "bake",
        "candidate's requests",
        "impressions",
        "loss decided",
        "with extension",
        "for delta",
    ):
        table.add_column(title, justify="right")
    for stage in made.stages:
        table.add_row(*_cells(stage))
    return table


def _cells(stage: PlannedStage) -> Sequence[str]:
    losses = ["none" if loss is None else f"{loss:.1%}" for loss in (stage.decides_delta, stage.decides_delta_extended)]
    counts = [f"{stage.candidate_requests:,.0f}", f"{stage.candidate_impressions:,.0f}"]
    return [f"{stage.share_bp / 100:g} %", _time(stage.bake_h), *counts, *losses, _time(stage.hours_for_delta)]


def _time(hours: float) -> str:
    return f"{hours * 3600:.0f} s" if hours < 0.1 else f"{hours:.1f} h" if hours < 100 else f"{hours / 24:,.0f} d"


def settings_warnings(site: Site) -> Sequence[str]:
    """What the last day's traffic says against the stack's settings; nothing while there was too little of it to tell."""
    traffic = read_traffic(site)
    found = outcome_figures(site, traffic, datetime.now(UTC)) if traffic is not None else None
    if found is None or not all(name in found.known() for name in NEEDED):
        return ()
    return plan_of(site.parameters, found.known()).warnings


def warn(warnings: Sequence[str]) -> None:
    for sentence in warnings:
        console.print(f"[yellow]warning:[/] {sentence}")
    if warnings:
        console.print("[dim]understudy rollout plan shows what other settings would decide[/]")
