"""`understudy`: the console of a deployed stack, on AWS or on a laptop."""

from __future__ import annotations

import sys

import typer
from botocore.exceptions import BotoCoreError, ClientError
from rich.console import Console
from rich.markup import escape

from cli import (
    ab_command,
    account_commands,
    data_commands,
    demo,
    doctor_command,
    monitor_command,
    night_commands,
    plan_command,
    poison_commands,
    reactions_command,
    release_commands,
    report_command,
    rollout_commands,
    score_commands,
    serving_commands,
    traffic_commands,
    tune_command,
)
from cli.site import Problem

app = typer.Typer(
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    help="Retrain a two-stage recommender every night and bring each release on stage as one thing.\n\n"
    "On a laptop: [bold]understudy up[/], [bold]understudy data generate[/], [bold]understudy night[/], [bold]understudy recommend --user u000007[/]. "
    "With AWS credentials the same commands work on the deployed stack.",
)
for module in (
    account_commands,
    night_commands,
    tune_command,
    score_commands,
    release_commands,
    report_command,
    serving_commands,
    traffic_commands,
    poison_commands,
    rollout_commands,
    ab_command,
    reactions_command,
    doctor_command,
    monitor_command,
    demo,
):
    module.register(app)
app.add_typer(data_commands.app, name="data")
plan_command.register(rollout_commands.app)
app.add_typer(rollout_commands.app, name="rollout")


def main() -> None:
    """Run a command; whatever it could not do is one sentence on stderr and exit code 1."""
    errors = Console(stderr=True)
    try:
        ended = app(standalone_mode=False)  # the code of a typer.Exit, else whatever the command returned
        sys.exit(ended if isinstance(ended, int) else 0)
    except Problem as problem:
        errors.print(f"[red]understudy:[/] {escape(problem.sentence)}", soft_wrap=True)
        sys.exit(1)
    except typer.Abort:
        sys.exit(130)
    except KeyboardInterrupt:
        errors.print("stopped by Ctrl-C; what runs on the account goes on: understudy status")
        sys.exit(130)
    except (ClientError, BotoCoreError) as error:
        errors.print(f"[red]understudy:[/] AWS refused: {escape(str(error))}", soft_wrap=True)
        sys.exit(1)
    except Exception as error:
        if type(error).__module__.startswith("click") or hasattr(error, "show"):
            error.show()  # type: ignore[attr-defined]  # a usage error of click knows how to say itself
            sys.exit(2)
        raise
