"""monitor: look now whether inputs, quality, fairness, reasons and ranking are still what the release was made for."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer
from rich.live import Live
from rich.table import Table

from cli.ab_command import moment_of
from cli.monitor_runs import KINDS, MonitorRun, await_monitors, save_report, start_monitors, what
from cli.options import STACK, STATE, Stack, State, console
from cli.site import Problem, connect

REPORTS = Path("build/monitors")


class Which(StrEnum):
    """Monitor kinds, as folders and metrics call them."""

    ALL = "all"
    DATA_QUALITY = "data-quality"
    MODEL_QUALITY = "model-quality"
    BIAS = "bias"
    EXPLAINABILITY = "explainability"
    RANKING_QUALITY = "ranking-quality"


class Labels(StrEnum):
    """What labels of the window may still be missing."""

    FRESH = "fresh"
    COMPLETE = "complete"


def register(app: typer.Typer) -> None:
    app.command()(monitor)


def monitor(
    kind: Annotated[Which, typer.Argument(help="Which monitor.")] = Which.ALL,
    since: Annotated[
        str, typer.Option("--since", help="Requests from this time on until now: 30m, 6h, 2d, or an ISO time.")
    ] = "1h",
    labels: Annotated[
        Labels, typer.Option("--labels", help="complete: no more labels of the window are to come.")
    ] = Labels.FRESH,
    reports: Annotated[Path, typer.Option("--reports", help="Folder that the HTML reports are written to.")] = REPORTS,
    stack: Stack = STACK,
    state: State = STATE,
) -> None:
    """Compare what the champion was asked and answered with its baseline. Exit code 1 if a monitor could not say."""
    site, now = connect(stack, state), datetime.now(UTC)
    kinds = KINDS if kind is Which.ALL else (kind.value,)
    runs = start_monitors(site, kinds, moment_of(since, now), now, labels=labels.value)
    with Live(console=console, refresh_per_second=4) as live:
        await_monitors(site, runs, lambda seen: live.update(monitors_table(seen)))
    for run in runs:
        for violation in run.violations:
            console.print(f"{run.kind}: [bold]{what(violation)}[/] {violation['description']}", highlight=False)
        if file := save_report(site, run, reports):
            console.print(f"report of {run.kind}: {file}")
    if failed := [run for run in runs if run.status != "SUCCEEDED"]:
        raise Problem("; ".join(f"monitor {run.kind} ended {run.status}: {run.said}" for run in failed))


def monitors_table(runs: Sequence[MonitorRun]) -> Table:
    table = Table()
    for title in ("monitor", "release", "violations", "said"):
        table.add_column(title, justify="right" if title == "violations" else "left")
    for run in runs:
        good = run.status == "SUCCEEDED" and not run.violations
        mark = "[yellow]…[/]" if not run.over else "[green]✓[/]" if good else "[red]✗[/]"
        found = str(len(run.violations)) if run.report_uri else ""
        table.add_row(f"{mark} {run.kind}", run.release_id, found, _short(run))
    return table


def _short(run: MonitorRun) -> str:
    """The word of a job that could say; a failure's whole sentence follows the table."""
    return run.said.partition(":")[0] if run.over and (run.report_uri or run.status != "SUCCEEDED") else run.said
