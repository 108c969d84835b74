"""score: make every user's list now, and read one out of the export."""

from __future__ import annotations

import json
from typing import Annotated, Any

import typer

from cli.night_commands import watch_run
from cli.options import STACK, STATE, Stack, State, console
from cli.run_names import run_name
from cli.site import Site, connect


def register(app: typer.Typer) -> None:
    app.command()(score)


def score(
    stack: Stack = STACK,
    state: State = STATE,
    release: Annotated[
        str | None,
        typer.Option(help="Another release than the champion; its lists go to Parquet only, the table stays as it is."),
    ] = None,
    day: Annotated[
        str | None, typer.Option(help="The day the lists are for, e.g. 2026-11-24; default: today, UTC.")
    ] = None,
    k: Annotated[int | None, typer.Option(min=1, max=100, help="Places of a list; default: the deployment's.")] = None,
    watch: Annotated[bool, typer.Option(help="Follow it to its end.")] = True,
) -> None:
    """Make every user's list of the day: to Parquet, and of the champion to the table `recommendations`."""
    site = connect(stack, state)
    asked = {"reason": "by hand", "release_id": release, "day": day, "k": k}
    arn = start_scoring(site, {name: value for name, value in asked.items() if value is not None})
    if not watch:
        console.print(f"scoring {arn.rsplit(':', 1)[1]} runs: understudy status")
        return
    output = watch_run(site, arn)
    if output["release_id"] is None:
        console.print("nobody is on stage yet: there is no release that could make lists")
        return
    console.print(f"{output['message']}\n  {output['scores']}/lists.parquet")


def start_scoring(site: Site, request: dict[str, Any]) -> str:
    """ARN of a new run; what an earlier one of the same day, release and users finished is found by its hash."""
    name = run_name("score")
    started = site.client("stepfunctions").start_execution(
        stateMachineArn=site.outputs["ScoreAllMachineArn"], name=name, input=json.dumps(request)
    )
    return str(started["executionArn"])
