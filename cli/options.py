"""Options that many commands share, each with the sentence `--help` shows."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from cli.site import DEFAULT_STACK, DEFAULT_STATE

console = Console()

Stack = Annotated[str, typer.Option("--stack", envvar="UNDERSTUDY_STACK", help="Name of the deployed stack.")]
State = Annotated[
    Path,
    typer.Option(
        "--state", envvar="UNDERSTUDY_STATE", help="Folder of the local account; nothing outside it is written."
    ),
]
STACK, STATE = DEFAULT_STACK, DEFAULT_STATE
