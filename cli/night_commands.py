"""night: start one, or go on with one that was cut short, and watch it."""

from __future__ import annotations

import json
import time
from datetime import UTC, datetime
from typing import Annotated, Any

import typer
from rich.live import Live

from cli.options import STACK, STATE, Stack, State, console
from cli.run_names import run_name
from cli.run_view import FINAL, RunView
from cli.site import Problem, Site, connect

POLL_S = 0.5


def register(app: typer.Typer) -> None:
    app.command()(night)


def night(
    stack: Stack = STACK,
    state: State = STATE,
    reason: Annotated[str, typer.Option(help="Why; goes into the release's lineage.")] = "by hand",
    as_of: Annotated[
        str | None,
        typer.Option("--as-of", help="End of the window, e.g. 2026-11-23T04:00:00Z; default: as far as the data goes."),
    ] = None,
    window_days: Annotated[
        int | None, typer.Option(min=3, max=365, help="Days of events; default: the deployment's.")
    ] = None,
    anew: Annotated[
        bool,
        typer.Option(
            "--anew", help="Start a new night even if the last one was cut short; finished jobs are found again."
        ),
    ] = False,
    watch: Annotated[bool, typer.Option(help="Follow it to its end.")] = True,
    estimate: Annotated[
        bool,
        typer.Option("--estimate", help="Start nothing: say what it would take and cost, and by what that is known."),
    ] = False,
) -> None:
    """Retrain: prepare data, train both models, embed, index, evaluate, register."""
    site = connect(stack, state)
    if estimate:
        show_estimate(site, as_of, window_days)
        return
    request = {
        "reason": reason,
        **({"as_of": as_of} if as_of else {}),
        **({"window_days": window_days} if window_days else {}),
    }
    arn = start_night(site, request, anew=anew)
    if not watch:
        console.print(f"night {arn.rsplit(':', 1)[1]} runs: understudy status")
        return
    output = watch_run(site, arn)
    word = "registered" if output["registered"] else "[red]rejected[/]"
    console.print(
        f"release [bold]{output['release_id']}[/] {word}, {output['status']}"
        + "".join(f"\n  {why}" for why in output["reasons"])
    )


def show_estimate(site: Site, as_of: str | None, window_days: int | None) -> None:
    from cli.night_estimate import read_estimate, shown  # pyiceberg and matplotlib, which a night does not wait for

    try:
        end = None if as_of is None else datetime.fromisoformat(as_of.replace("Z", "+00:00"))
    except ValueError:
        raise Problem(f"--as-of {as_of} is no time; expected e.g. 2026-11-23T04:00:00Z") from None
    with console.status("reading past nights"):
        found = read_estimate(site, datetime.now(UTC), end, window_days)
    console.print(shown(found))


def start_night(site: Site, request: dict[str, Any], *, anew: bool = False) -> str:
    """ARN of the night that runs now: the one cut short, redriven at the state where it stopped, or a new one.

    A night that failed is started anew with its own window, so that its finished jobs are found by their hash.
    """
    states, machine = site.client("stepfunctions"), site.outputs["NightlyMachineArn"]
    runs = states.list_executions(stateMachineArn=machine, maxResults=1)["executions"]
    last = runs[0] if runs and not anew else None
    if last and last["status"] in {"ABORTED", "TIMED_OUT"}:
        states.redrive_execution(executionArn=last["executionArn"])
        console.print(f"night {last['name']} was cut short: it goes on where it stopped")
        return last["executionArn"]
    if last and last["status"] == "FAILED" and (window := _window_of(states, last["executionArn"])):
        began_with = json.loads(states.describe_execution(executionArn=last["executionArn"])["input"])
        request = {**began_with, **window, **request}
        console.print(f"night {last['name']} failed: a new one takes the same window and finds its finished jobs")
    name = run_name("night")
    return states.start_execution(stateMachineArn=machine, name=name, input=json.dumps(request))["executionArn"]


def _window_of(states: Any, arn: str) -> dict[str, Any]:
    """`as_of` and parameters of an earlier night, from its PlanNight answer; empty when it never had a plan."""
    for page in states.get_paginator("get_execution_history").paginate(executionArn=arn):
        for event in page["events"]:
            if event["type"] == "TaskSucceeded":
                output = json.loads(event["taskSucceededEventDetails"]["output"])
                payload = output.get("Payload", output)
                if isinstance(payload, dict) and "as_of" in payload:
                    return {"as_of": payload["as_of"], "window_days": int(payload["window_days"])}
    return {}


def watch_run(site: Site, arn: str) -> dict[str, Any]:
    """Follow an execution to its end and return its output.

    Raises
    ------
    Problem
        It did not succeed; with the reason, and where to look.
    """
    view = RunView(site, arn)
    with Live(console=console, refresh_per_second=4, transient=False) as live:
        while True:
            view.refresh()
            live.update(view.table())
            if view.status in FINAL:
                break
            time.sleep(POLL_S)
    if view.status != "SUCCEEDED":
        failed = next((s.job for s in reversed(view.states) if s.failed and s.job), None)
        hint = f"; understudy logs {failed}" if failed else ""
        raise Problem(f"{arn.rsplit(':', 1)[1]} ended {view.status}. {view.failure()}{hint}")
    return json.loads(view.described["output"])
