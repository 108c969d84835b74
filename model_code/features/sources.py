"""What a run looks at: pinned events, and the versions of users and items, as DuckDB relations.

every_event      view over Parquet: canonical columns plus day arithmetic, known by the end of the window, each id once
user_versions    (user_id, day, ...): what was known of a user from that day boundary on
item_versions    (item_id, day, ...)
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb

from features import duck
from features.schema import CANONICAL
from features.windows import DAY_US, events_columns

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Window:
    """The days of a run, as day boundaries: train [start, validation), validation [.., holdout), holdout [.., end)."""

    start: int
    validation: int
    holdout: int
    end: int
    lookback: int  # days of events before `start` that features look at

    @classmethod
    def ending(cls, as_of: datetime, days: int, validation_days: int, holdout_days: int, lookback: int) -> Window:
        """The window that ends at the last day boundary up to `as_of`.

        Raises
        ------
        ValueError
            If no day is left for training, or `as_of` has no time zone.
        """
        if as_of.tzinfo is None:
            raise ValueError(f"--as-of {as_of.isoformat()} has no time zone; expected e.g. 2026-03-01T00:00:00+00:00")
        if validation_days < 1 or holdout_days < 1 or days <= validation_days + holdout_days:
            raise ValueError(
                f"a window of {days} days with {validation_days} for validation and {holdout_days} for holdout "
                "leaves none for training; expected at least one day of each"
            )
        end = (as_of - EPOCH) // timedelta(days=1)
        return cls(end - days, end - holdout_days - validation_days, end - holdout_days, end, lookback)

    def splits(self) -> dict[str, tuple[int, int]]:
        return {
            "train": (self.start, self.validation),
            "validation": (self.validation, self.holdout),
            "holdout": (self.holdout, self.end),
        }


def boundary(day: int) -> datetime:
    """A day boundary as a moment."""
    return EPOCH + timedelta(days=day)


def make_events(database: duckdb.DuckDBPyConnection, files: Sequence[Path], window: Window) -> int:
    """View `every_event` over the events files; returns how many rows are left out because their id came twice.

    Raises
    ------
    ValueError
        If a file lacks a canonical column.
    """
    relation = _checked(database, files, "events")
    since, end = (window.start - window.lookback) * DAY_US, window.end * DAY_US
    known = f"epoch_us(event_time) >= {since} AND epoch_us(event_time) < {end} AND epoch_us(known_at) <= {end}"
    database.execute(
        f"""CREATE OR REPLACE TEMP TABLE twice AS
        SELECT hash(event_id) AS h FROM {relation} WHERE {known} GROUP BY h HAVING count(*) > 1;
        CREATE OR REPLACE TEMP TABLE once_only AS
        SELECT DISTINCT ON (event_id) * FROM {relation} WHERE {known} AND hash(event_id) IN (SELECT h FROM twice)
        ORDER BY event_id, known_at"""
    )
    repeated = duck.count(
        database, f"SELECT count(*) FROM {relation} WHERE {known} AND hash(event_id) IN (SELECT h FROM twice)"
    )
    kept = duck.count(database, "SELECT count(*) FROM once_only")
    names = ", ".join(CANONICAL["events"].names)
    single = "" if not repeated else " AND hash(event_id) NOT IN (SELECT h FROM twice)"
    both = "" if not repeated else f" UNION ALL SELECT {names} FROM once_only"
    database.execute(
        f"""CREATE OR REPLACE TEMP VIEW every_event AS
        SELECT {events_columns()} FROM (SELECT {names} FROM {relation} WHERE {known}{single}{both})"""
    )
    return repeated - kept


def make_versions(
    database: duckdb.DuckDBPyConnection, entity: str, files: Sequence[Path], window: Window, entities: str
) -> None:
    """Table `<entity>_versions`: per id and day boundary the newest row known by then, up to the window's end.

    Ids that only events name (`entities`: a query of one column) get a version without attributes, so that they are known too.
    """
    table, key = f"{entity}s", f"{entity}_id"
    relation = (
        _checked(database, files, table)
        if files
        else "(SELECT "
        + ", ".join(f"CAST(NULL AS {kind}) AS {column}" for column, kind in _duck_types(table).items())
        + " WHERE false)"
    )
    columns = [column for column in CANONICAL[table].names if column not in (key, "known_at")]
    # packed, because arg_max passes over NULL: an attribute that the newest version lacks is missing, not the older one's
    newest = ", ".join(
        f"arg_max(struct_pack(v := {column}), row(known_at, {column})).v AS {column}" for column in columns
    )
    empty = ", ".join(f"CAST(NULL AS {kind}) AS {c}" for c, kind in _duck_types(table).items() if c in columns)
    day = f"CAST((epoch_us(known_at) + {DAY_US - 1}) // {DAY_US} AS INTEGER)"
    database.execute(
        f"""CREATE OR REPLACE TEMP TABLE {entity}_versions AS
        SELECT {key}, {day} AS day, {newest} FROM {relation}
        WHERE {key} IS NOT NULL AND epoch_us(known_at) <= {window.end * DAY_US} GROUP BY {key}, {day};
        INSERT INTO {entity}_versions BY NAME
        SELECT {key}, {window.end} AS day, {empty} FROM ({entities}) AS named
        WHERE NOT EXISTS (FROM {entity}_versions AS known WHERE known.{key} = named.{key})"""
    )


def _checked(database: duckdb.DuckDBPyConnection, files: Sequence[Path], table: str) -> str:
    relation = duck.parquet(files)
    found = {row[0] for row in database.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall()}
    missing = [column for column in CANONICAL[table].names if column not in found]
    if missing:
        raise ValueError(f"table {table} has no column {', '.join(missing)}; it has {', '.join(sorted(found))}")
    return relation


def _duck_types(table: str) -> dict[str, str]:
    kinds = {"string": "VARCHAR", "int32": "INTEGER", "double": "DOUBLE", "timestamp[us, tz=UTC]": "TIMESTAMPTZ"}
    return {field.name: kinds[str(field.type)] for field in CANONICAL[table]}
