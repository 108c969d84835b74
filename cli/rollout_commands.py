"""rollout: a release's way through the stages, and off them; rollback."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from typing import Annotated, Any

import typer

from cli import rollout_start, rollout_status, rollout_wishes
from cli.options import STACK, STATE, Stack, State, console
from cli.rollout_runs import Reason, Rollout, arn_of, chosen, execution, release_of
from cli.run_view import FINAL
from cli.site import Problem, Site, connect
from cli.stage import read_traffic
from understudy.domain.rollback import rollback_name

app = typer.Typer(
    no_args_is_help=True,
    help="A release's way through the stages, and off them.\n\n"
    "An approved release starts by itself: a share of the users meets it, the judge compares both arms at every look, and the "
    "next stage follows on evidence. [bold]status --watch[/] shows that; [bold]pause[/], [bold]resume[/] and [bold]promote[/] are "
    "heard at the next look; [bold]abort[/] takes the release off the stage at once.",
)
POLL_S = 0.5
Watch = Annotated[bool, typer.Option(help="Follow the rollback to its end.")]


def register(app: typer.Typer) -> None:
    app.command()(rollback)


app.command()(rollout_start.start)
rollout_status.register(app)
rollout_wishes.register(app)


@app.command()
def abort(
    reason: Reason, rollout: Rollout = None, watch: Watch = True, stack: Stack = STACK, state: State = STATE
) -> None:
    """Stop a rollout wherever it is: its release leaves the stage at once and is retired.

    Also one that still waits for the stage. The first thing written is traffic: nobody meets the release from that moment on.
    """
    site = connect(stack, state)
    run = chosen(site, rollout)
    _follow(site, begin_rollback(site, run["name"], release_of(run), reason=reason), watch)


def rollback(reason: Reason, watch: Watch = True, stack: Stack = STACK, state: State = STATE) -> None:
    """Take down what rehearses, or a champion that is still watched: its users go back to the release before.

    Once the watch is over the release before is gone and there is no way back; then a better release is the way on.
    """
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
    states, name = site.client("stepfunctions"), rollback_name(rollout_id, reason)
    before = execution(site, name, "RollBackMachineArn")
    if before is not None and before["status"] in FINAL:  # asked for before in the same words, and over
        name = rollback_name(rollout_id, f"{reason} #{int(time.time())}")
    asked = {"release_id": release_id, "rollout_id": rollout_id, "reason": reason, "cause": cause}
    with suppress(states.exceptions.ExecutionAlreadyExists):
        states.start_execution(stateMachineArn=site.outputs["RollBackMachineArn"], name=name, input=json.dumps(asked))
    return arn_of(site, name, "RollBackMachineArn")


def _follow(site: Site, arn: str, watch: bool) -> None:
    name = arn.rsplit(":", 1)[1]
    console.print(f"rollback [bold]{name}[/] runs")
    states = site.client("stepfunctions")
    while watch:
        described: dict[str, Any] = states.describe_execution(executionArn=arn)
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
