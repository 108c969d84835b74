"""report: one HTML page with the last days of a stack: nights, rollouts, live quality, drift, decisions, cost."""

from __future__ import annotations

import webbrowser
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from cli.options import STACK, STATE, Stack, State, console
from cli.site import connect

OUTPUT = Path("build/report.html")


def register(app: typer.Typer) -> None:
    app.command()(report)


def report(
    days: Annotated[
        float, typer.Option("--days", min=0.01, max=90, help="How far back; AWS keeps histories 90 days.")
    ] = 7,
    output: Annotated[Path, typer.Option("--output", "-o", help="Where the page goes.")] = OUTPUT,
    open_it: Annotated[bool, typer.Option("--open", help="Show it in the browser.")] = False,
    stack: Stack = STACK,
    state: State = STATE,
) -> None:
    """One self-contained page of the last days: the whole arc as plots, with the figures behind them. Reads only."""
    from cli.report_page import render, within  # matplotlib, which --help must not wait for
    from cli.report_story import read_story

    site = connect(stack, state)
    with console.status("reading") as spinner:
        story = read_story(site, days, datetime.now(UTC), lambda what: spinner.update(f"reading {what}"))
        spinner.update("drawing")
        page = render(story)
    output.parent.mkdir(parents=True, exist_ok=True)
    output.write_text(page, encoding="utf-8")
    console.print(f"report of {within(days)}: {output} ({len(page) / 1e3:.0f} KB)")
    for part, why in story.silent.items():
        console.print(f"[yellow]not in it[/]: {part}. {why}")
    if open_it:
        webbrowser.open(output.resolve().as_uri())
