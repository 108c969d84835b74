"""data: fill the lake, from the simulator, from public logs, or from one's own files."""

from __future__ import annotations

import tempfile
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Annotated

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli.options import STACK, STATE, Stack, State, console
from cli.site import Site, connect

app = typer.Typer(
    no_args_is_help=True,
    help="Fill the lake: generate a world, or import real logs. Schema and importers: docs/data.md.",
)


@app.command()
def generate(
    stack: Stack = STACK,
    state: State = STATE,
    users: Annotated[int, typer.Option(min=10, help="Users of the app.")] = 2000,
    items: Annotated[int, typer.Option(min=10, help="Items at the end of the world.")] = 1500,
    days: Annotated[int, typer.Option(min=5, help="Days of history.")] = 30,
    impressions_per_day: Annotated[int, typer.Option(min=100, help="Impressions on an average weekday.")] = 8000,
    seed: Annotated[int, typer.Option(help="The same seed makes the same world.")] = 7,
) -> None:
    """Simulate a social app with known tastes and put its last days into the lake."""
    events = generate_world(
        connect(stack, state), users=users, items=items, days=days, impressions_per_day=impressions_per_day, seed=seed
    )
    console.print(f"{events:,} events of {days} days are in the lake; next: understudy night")


def generate_world(
    site: Site, *, users: int = 2000, items: int = 1500, days: int = 30, impressions_per_day: int = 8000, seed: int = 7
) -> int:
    """A world that ends at today's midnight (UTC), written to Parquet as it is made and added to the lake; events written."""
    from features.importers.load import load_canonical
    from simulator.files import write_world
    from simulator.world import World, WorldSpec

    end = datetime.combine(datetime.now(UTC).date(), time(), UTC)
    world = World(
        WorldSpec(users=users, items=items, days=days, impressions_per_day=impressions_per_day, seed=seed, end=end)
    )
    with tempfile.TemporaryDirectory(prefix="understudy-world-") as scratch, progress_bar() as bar:
        task = bar.add_task("simulating days", total=days)

        def step(_day: date, _written: int) -> None:
            bar.advance(task)

        written = write_world(world, Path(scratch), step)
        bar.update(task, description="into the lake")
        load_canonical(Path(scratch), lake_of(site), site.client("dynamodb"), site.outputs["StateTable"])
    return written


def lake_of(site: Site):  # type: ignore[no-untyped-def]  # features.lake loads pyiceberg, which --help must not wait for
    """The stack's Iceberg tables."""
    from features.lake import Lake

    return Lake(site.outputs["LakeBucket"], site.outputs["GlueDatabase"])


def progress_bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=console,
        transient=True,
    )
