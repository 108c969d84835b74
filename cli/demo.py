"""demo: the whole path in one go, from nothing to recommendations. `make run`."""

from __future__ import annotations

import time
from typing import Any

import typer
from rich.panel import Panel
from rich.table import Table

from cli.account_commands import start_and_deploy
from cli.data_commands import generate_world
from cli.night_commands import start_night, watch_run
from cli.options import STACK, STATE, Stack, State, console
from cli.release_commands import releases_table
from cli.serving_commands import show_recommendations
from cli.site import Problem, Site, connect
from cli.stage import read_release, read_releases, read_traffic

ROLLOUT_PATIENCE_S = 120.0
SHOWN_USERS = ("u000003", "u001200", "someone-new")


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(stack: Stack = STACK, state: State = STATE) -> None:
    """From nothing to recommendations: account, data, a night, a release on stage, an answer. Run again, it is a second night."""
    began, times = time.monotonic(), {}
    console.rule("1. an AWS account on this laptop")
    times["account and template"] = _timed(lambda: start_and_deploy(stack, state))
    site = connect(stack, state)
    if not _has_data(site):
        console.rule("2. a social app with known tastes")
        times["30 days of a simulated app"] = _timed(lambda: generate_world(site))
    console.rule("3. a night")
    output: dict[str, Any] = {}
    times["the night"] = _timed(lambda: output.update(watch_run(site, start_night(site, {"reason": "demo"}))))
    console.rule("4. on stage")
    times["on stage"] = _timed(lambda: _wait_for_stage(site, output))
    console.rule("5. recommendations")
    for user in SHOWN_USERS:
        show_recommendations(site, user, 6, [])
    _summary(site, output["release_id"], times, time.monotonic() - began)


def _timed(act: Any) -> float:
    began = time.monotonic()
    act()
    return time.monotonic() - began


def _has_data(site: Site) -> bool:
    return "Item" in site.client("dynamodb").get_item(TableName=site.outputs["StateTable"], Key={"id": {"S": "lake"}})


def _wait_for_stage(site: Site, night: dict[str, Any]) -> None:
    """Until the new release serves, or it is clear that another one goes on serving."""
    release_id = night["release_id"]
    if not night["registered"]:
        console.print(f"{release_id} was rejected: " + "; ".join(night["reasons"]))
    serving = read_traffic(site)
    if serving is not None and (not night["registered"] or serving["champion"]["release"] != release_id):
        console.print(
            f"{serving['champion']['release']} goes on serving; {release_id} is listed (rollouts in steps come next)"
        )
        return
    if serving is None and not night["registered"]:
        raise Problem("the stage is empty and the night's release was rejected; understudy releases says why")
    arn = site.outputs["RollOutMachineArn"].replace(":stateMachine:", ":execution:") + f":{release_id}"
    _wait_for_execution(site, arn)
    watch_run(site, arn)
    traffic = read_traffic(site)
    if traffic is None:
        raise Problem(f"rollout {release_id} ended and nobody serves; understudy logs put_on_stage")
    console.print(
        f"[bold]{traffic['champion']['release']}[/] serves from slot {traffic['champion']['slot']} ({traffic['reason']})"
    )


def _wait_for_execution(site: Site, arn: str) -> None:
    """The approval event is on its way through the bus; its function starts the rollout."""
    states, ends = site.client("stepfunctions"), time.monotonic() + ROLLOUT_PATIENCE_S
    while True:
        try:
            states.describe_execution(executionArn=arn)
            return
        except states.exceptions.ExecutionDoesNotExist:
            if time.monotonic() > ends:
                raise Problem(
                    "no rollout was started within 2 minutes of the approval; understudy logs start_rollout"
                ) from None
            time.sleep(0.2)


def _summary(site: Site, release_id: str, times: dict[str, float], total_s: float) -> None:
    traffic = read_traffic(site)
    console.print(releases_table(read_releases(site), traffic["champion"]["release"] if traffic else None))
    console.print(_metrics_table(read_release(site, release_id)))
    table = Table(title="Time", show_header=False)
    for what, seconds in times.items():
        table.add_row(what, f"{seconds:.1f} s")
    table.add_row("[bold]all[/]", f"[bold]{total_s:.1f} s[/]")
    console.print(table)
    console.print(
        Panel(
            "The account still runs. Look around:\n"
            "  .venv/bin/understudy status\n"
            "  .venv/bin/understudy recommend --user u000042      understudy explain --user u000042\n"
            f"  .venv/bin/understudy releases {release_id} --card build/card.html\n"
            "  .venv/bin/understudy night                      a second release, evaluated against this one\n"
            "  .venv/bin/understudy down                       stops it; nothing is lost",
            title="next",
        )
    )


def _metrics_table(release: dict[str, Any]) -> Table:
    table = Table(title=f"Measured on the holdout: {release['release_id']}", show_header=False)
    for stage, figures in release["metrics"].items():
        shown = [f"{name} {value:.4g}" for name, value in figures.items() if isinstance(value, int | float)]
        table.add_row({"recall": "user and item tower", "ranking": "ranker"}.get(stage, stage), ", ".join(shown))
    return table
