"""rollout abort, rollback: take a release off the stage."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Annotated, Any

import typer

from cli.options import STACK, STATE, Stack, State, console
from cli.run_view import FINAL
from cli.site import Problem, Site, connect
from cli.stage import read_traffic
from understudy.domain.rollback import rollback_name

app = typer.Typer(no_args_is_help=True, help="A release's way through the stages, and off them.")
POLL_S = 0.5
Reason = Annotated[str, typer.Option("--reason", help="Why; people and the model registry are told.", min=1)]
Watch = Annotated[bool, typer.Option(help="Follow the rollback to its end.")]


def register(app: typer.Typer) -> None:
    app.command()(rollback)


@app.command()
def abort(
    reason: Reason,
    rollout_id: Annotated[
        str | None,
        typer.Option("--rollout", help="Which, if several wait for the stage; default: the one that has it."),
    ] = None,
    watch: Watch = True,
    stack: Stack = STACK,
    state: State = STATE,
) -> None:
    """Stop a rollout wherever it is: its release leaves the stage at once and is retired."""
    site = connect(stack, state)
    chosen = _chosen(site, _running(site), rollout_id)
    release_id = json.loads(chosen["input"])["release_id"]
    _follow(site, begin_rollback(site, chosen["name"], release_id, reason=reason), watch)


def rollback(reason: Reason, watch: Watch = True, stack: Stack = STACK, state: State = STATE) -> None:
    """Take down what rehearses, or a champion that is still watched: its users go back to the release before."""
    site = connect(stack, state)
    traffic = read_traffic(site)
    if traffic is None:
        raise Problem("nobody is on stage: there is nothing to take down")
    if traffic["candidate"] is None and traffic["previous"] is None:
        raise Problem(
            f"{traffic['champion']['release']} serves alone: no candidate rehearses and no release before it is kept, "
            "so there is no way back; understudy releases lists what could be rolled out"
        )
    leaving = traffic["candidate"] or traffic["champion"]
    _follow(site, begin_rollback(site, traffic["rollout_id"], leaving["release"], reason=reason), watch)


def begin_rollback(site: Site, rollout_id: str, release_id: str, *, reason: str, cause: str = "operator") -> str:
    """ARN of the rollback of a rollout for a reason; the one that runs already, if it was asked for before."""
    states, machine = site.client("stepfunctions"), site.outputs["RollBackMachineArn"]
    executions, name = machine.replace(":stateMachine:", ":execution:"), rollback_name(rollout_id, reason)
    if _status(states, f"{executions}:{name}") in FINAL:  # asked for before in the same words, and over
        name = rollback_name(rollout_id, f"{reason} #{int(time.time())}")
    asked = {"release_id": release_id, "rollout_id": rollout_id, "reason": reason, "cause": cause}
    with suppress(states.exceptions.ExecutionAlreadyExists):
        states.start_execution(stateMachineArn=machine, name=name, input=json.dumps(asked))
    return f"{executions}:{name}"


def _status(states: Any, arn: str) -> str | None:
    try:
        return str(states.describe_execution(executionArn=arn)["status"])
    except states.exceptions.ExecutionDoesNotExist:
        return None


def _running(site: Site) -> list[dict[str, Any]]:
    states, machine = site.client("stepfunctions"), site.outputs["RollOutMachineArn"]
    pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine, statusFilter="RUNNING")
    return [states.describe_execution(executionArn=row["executionArn"]) for page in pages for row in page["executions"]]


def _chosen(site: Site, running: list[dict[str, Any]], rollout_id: str | None) -> dict[str, Any]:
    names = ", ".join(sorted(one["name"] for one in running))
    if not running:
        raise Problem("no rollout runs; understudy rollback takes down what is on stage")
    if rollout_id is None and len(running) > 1:
        traffic = read_traffic(site)
        rollout_id = traffic["rollout_id"] if traffic else None
    found = [one for one in running if rollout_id in (None, one["name"])]
    if len(found) != 1:
        raise Problem(f"rollout {rollout_id} does not run; expected one of {names}, by --rollout")
    return found[0]


def _follow(site: Site, arn: str, watch: bool) -> None:
    name = arn.rsplit(":", 1)[1]
    console.print(f"rollback [bold]{name}[/] runs")
    while watch:
        described = site.client("stepfunctions").describe_execution(executionArn=arn)
        if described["status"] == "SUCCEEDED":
            said = json.loads(described["output"])
            where = "left the stage" if said["taken_down"] else "was not on stage"
            console.print(f"{said['release_id']} {where}; it is {said['status']}")
            return
        if described["status"] in FINAL:
            raise Problem(
                f"rollback {name} ended {described['status']}; another is started by itself: understudy doctor"
            )
        time.sleep(POLL_S)
