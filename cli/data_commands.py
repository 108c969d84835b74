"""data: fill the lake, from the simulator, from public logs, or from one's own files."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cli.options import STACK, STATE, Stack, State, console
from cli.site import Problem, Site, connect

if TYPE_CHECKING:  # numpy, which --help must not wait for
    from simulator.registry import WorldRecord

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
    ahead: Annotated[
        int, typer.Option(min=0, max=30, help="Days up to today that are kept for `understudy data next-day`.")
    ] = 0,
) -> None:
    """Simulate a social app with known tastes and put its last days into the lake."""
    spec = {"users": users, "items": items, "days": days, "impressions_per_day": impressions_per_day, "seed": seed}
    events = generate_world(connect(stack, state), **spec, ahead=ahead)
    console.print(f"{events:,} events of {days} days are in the lake; next: understudy night")


@app.command("next-day")
def next_day(stack: Stack = STACK, state: State = STATE) -> None:
    """Simulate the next day of the generated world: what the night after this one learns from."""
    day, events = add_day(connect(stack, state))
    after = day + timedelta(days=1)
    console.print(
        f"{events:,} events of {day.isoformat()} are in the lake; next: understudy night --as-of {after.isoformat()}T00:00:00Z"
    )


def generate_world(
    site: Site,
    *,
    users: int = 2000,
    items: int = 1500,
    days: int = 30,
    impressions_per_day: int = 8000,
    seed: int = 7,
    ahead: int = 0,
) -> int:
    """A world of `days` + `ahead` days that ends at today's midnight (UTC); its first `days` are added to the lake. Events written."""
    from simulator.registry import WorldRecord
    from simulator.world import WorldSpec

    end = datetime.combine(datetime.now(UTC).date(), time(), UTC)
    spec = WorldSpec(
        users=users, items=items, days=days + ahead, impressions_per_day=impressions_per_day, seed=seed, end=end
    )
    return _write_days(site, WorldRecord(spec, days), range(days))


def add_day(site: Site) -> tuple[date, int]:
    """The day after the last one of the generated world, added to the lake; the day, and how many events.

    Raises
    ------
    Problem
        The lake holds no generated world, or the world's days are all there.
    """
    from simulator.registry import WorldRecord

    record = _world_of(site)
    if record.days_written >= record.spec.days:
        raise Problem(
            f"all {record.spec.days} days of the world are in the lake; understudy data generate --ahead N keeps more"
        )
    grown = WorldRecord(record.spec, record.days_written + 1)
    return record.now.date(), _write_days(site, grown, range(record.days_written, grown.days_written))


@app.command("shift-taste")
def shift_taste_command(stack: Stack = STACK, state: State = STATE) -> None:
    """From now on what was popular in the generated world is no more: in traffic and in the days to come."""
    day = shift_taste(connect(stack, state))
    console.print(
        f"tastes are others from {day.isoformat()} on; next: understudy traffic, understudy data next-day, understudy monitor"
    )


def shift_taste(site: Site) -> date:
    """The world's people change their taste, once, at the moment they live in; its date.

    Raises
    ------
    Problem
        The lake holds no generated world, or its taste has shifted before.
    """
    from simulator.registry import WorldRecord, keep_world

    record = _world_of(site)
    if record.spec.taste_shift_day is not None:
        raise Problem(
            "the world's taste has shifted before, and shifts once; understudy data generate makes a new world"
        )
    spec = replace(record.spec, taste_shift_day=record.days_written)
    keep_world(site.client("dynamodb"), site.outputs["StateTable"], WorldRecord(spec, record.days_written))
    return record.now.date()


def _world_of(site: Site) -> WorldRecord:
    from simulator.registry import read_world

    record = read_world(site.client("dynamodb"), site.outputs["StateTable"])
    if record is None:
        raise Problem("the lake holds no simulated world; understudy data generate makes one")
    return record


def _write_days(site: Site, record: WorldRecord, days: range) -> int:
    """Days written to Parquet as they are made, added to the lake, and the world remembered; events written."""
    from features.importers.load import load_canonical
    from simulator.files import write_world
    from simulator.registry import keep_world
    from simulator.world import World

    with tempfile.TemporaryDirectory(prefix="understudy-world-") as scratch, progress_bar() as bar:
        task = bar.add_task("simulating days", total=len(days))

        def step(_day: date, _written: int) -> None:
            bar.advance(task)

        written = write_world(World(record.spec), Path(scratch), step, days)
        bar.update(task, description="into the lake")
        if days.start > 0:  # everybody and everything came with the first days
            for name in ("users", "items"):
                (Path(scratch) / f"{name}.parquet").unlink()
        dynamodb, table = site.client("dynamodb"), site.outputs["StateTable"]
        load_canonical(Path(scratch), lake_of(site), dynamodb, table)
        keep_world(dynamodb, table, record)
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


importers = typer.Typer(
    no_args_is_help=True,
    help="Import real logs into the canonical tables; rows that cannot be read go to a rejects file, with the reason.",
)
app.add_typer(importers, name="import")

Folder = Annotated[Path, typer.Argument(exists=True, help="Folder (or file) to read.")]
Rejects = Annotated[
    Path,
    typer.Option("--rejects", help="Where rows go that were not taken: row number, what was wrong, what was expected."),
]
REJECTS = Path("build/rejects.jsonl")


@importers.command()
def movielens(folder: Folder, stack: Stack = STACK, state: State = STATE, rejects: Rejects = REJECTS) -> None:
    """MovieLens 100K or 1M: a rating is an impression, and a click if it is 4 or 5."""
    from features.importers.movielens import import_movielens

    _import(import_movielens, folder, stack, state, rejects)


@importers.command("open-bandit")
def open_bandit(folder: Folder, stack: Stack = STACK, state: State = STATE, rejects: Rejects = REJECTS) -> None:
    """Open Bandit: impressions with position and propensity, and clicks."""
    from features.importers.open_bandit import import_open_bandit

    _import(import_open_bandit, folder, stack, state, rejects)


@importers.command()
def table(
    path: Folder,
    name: Annotated[str, typer.Option("--table", help="events, users or items; columns in docs/data.md.")],
    column: Annotated[
        list[str] | None,
        typer.Option("--column", help="canonical=source, e.g. --column event_time=ts; may be given again."),
    ] = None,
    constant: Annotated[
        list[str] | None,
        typer.Option("--constant", help="canonical=text for every row, e.g. --constant event_type=click."),
    ] = None,
    stack: Stack = STACK,
    state: State = STATE,
    rejects: Rejects = REJECTS,
) -> None:
    """One's own CSV, TSV, CSV.gz or Parquet."""
    from features.importers.table import import_table

    mapping, constants = _pairs(column or []), _pairs(constant or [])
    _import(lambda source, target: import_table(source, name, target, mapping, constants), path, stack, state, rejects)


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = [text.partition("=") for text in texts]
    if wrong := [text for text, (_, equals, _) in zip(texts, pairs, strict=True) if not equals]:
        raise Problem(f"{', '.join(wrong)} is no canonical=source; expected e.g. event_time=ts")
    return {canonical: source for canonical, _, source in pairs}


def _import(run: Callable[[Path, Any], Any], folder: Path, stack: str, state: Path, rejects: Path) -> None:
    from features.importers.reading import ImportFailed
    from features.importers.run import Target

    site = connect(stack, state)
    rejects.parent.mkdir(parents=True, exist_ok=True)
    with console.status(f"reading {folder}") as spinner:

        def tell(table_name: str, rows: int) -> None:
            spinner.update(f"{rows:,} rows of {table_name}")

        target = Target(lake_of(site), site.client("dynamodb"), site.outputs["StateTable"], rejects, tell)
        try:
            report = run(folder, target)
        except ImportFailed as error:
            raise Problem(str(error)) from error
    console.print(report.sentence())
    if report.ignored_columns:
        console.print(f"columns that no canonical column took: {', '.join(report.ignored_columns)}")
