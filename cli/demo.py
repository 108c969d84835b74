"""demo: the drama in four acts, from nothing to a decay that was noticed and answered. `make run`."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Annotated

import typer

from cli.account_commands import start_and_deploy
from cli.demo_acts import Drama, add_a_day, first_night, prepare_data, rehearse_good, rehearse_poisoned
from cli.demo_drift import lose_and_regain
from cli.demo_summary import show_summary
from cli.options import STACK, STATE, Stack, State, console
from cli.serving_commands import show_recommendations
from cli.site import connect

LOG = Path("build/demo_traffic.jsonl")
SHOWN_USERS = ("u000003", "someone-new")


def register(app: typer.Typer) -> None:
    app.command()(demo)


def demo(
    acts: Annotated[int, typer.Option("--acts", min=1, max=4, help="1 ends when the first release serves.")] = 4,
    rps: Annotated[float, typer.Option("--rps", min=1, help="Visits a second while a release rehearses.")] = 15,
    stack: Stack = STACK,
    state: State = STATE,
) -> None:
    """From nothing to a watched rollout: a night and its champion; a second one promoted on evidence; a bad one caught; a decay healed."""
    began = time.monotonic()
    console.rule("an AWS account on this laptop")
    start_and_deploy(stack, state)
    drama = Drama(connect(stack, state), rps, began)
    drama.note("the account runs, template.yaml is deployed")
    console.rule("act 1: a night, and the first release on stage")
    prepare_data(drama)
    first_night(drama)
    for user in SHOWN_USERS:
        show_recommendations(drama.site, user, 6, [])
    if acts > 1:
        with drama.users(LOG):
            console.rule("act 2: the night after rehearses before real users, and is promoted on evidence")
            add_a_day(drama)
            rehearse_good(drama)
            if acts > 2:
                console.rule("act 3: a release that is good in every check and bad on stage")
                add_a_day(drama)
                rehearse_poisoned(drama)
            if acts > 3:
                console.rule("act 4: what people like changes, and nobody tells the system")
                lose_and_regain(drama)
    show_summary(drama, LOG)
    if drama.tally is not None and drama.tally.client_errors:
        raise typer.Exit(1)
