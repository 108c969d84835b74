"""New events into the lake: each event once, whatever was delivered twice, in files that each hold one day."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import duckdb

from features import duck
from features.lake import Lake
from features.schema import EVENTS


@dataclass(frozen=True, slots=True)
class Landed:
    """What one landing did."""

    rows: int  # appended
    duplicates: int  # event ids seen before, here or in the lake; left out
    snapshot: int | None
    last_event: datetime | None  # of the rows appended


def land_events(
    lake: Lake,
    database: duckdb.DuckDBPyConnection,
    staged: Sequence[Path],
    scratch: Path,
    properties: Mapping[str, str] | None = None,
) -> Landed:
    """Append canonical events from Parquet files, leaving out ids that are there already.

    Parameters
    ----------
    staged : sequence of Path
        Valid canonical events; of an id that comes twice, the row known first stays.
    scratch : Path
        An empty folder for the files that are uploaded.
    properties : mapping, optional
        Facts that must land with the rows, kept in the snapshot's summary.

    Notes
    -----
    Two landings at the same moment may both add an id; readers leave it out then (`samples`).
    """
    if not staged:
        return Landed(0, 0, None, None)
    columns = ", ".join(EVENTS.names)
    read = duck.count(database, f"SELECT count(*) FROM {duck.parquet(staged)}")
    database.execute(
        f"""CREATE OR REPLACE TEMP VIEW arriving AS SELECT {columns} FROM {duck.parquet(staged)};
        CREATE OR REPLACE TEMP TABLE twice AS SELECT hash(event_id) AS h FROM arriving GROUP BY h HAVING count(*) > 1"""
    )
    known = _known_ids(lake, database, scratch)
    seen_before = f"AND NOT EXISTS (FROM {known} AS known WHERE known.event_id = arriving.event_id)" if known else ""
    target = scratch / "days"
    # hashes find the few candidates without holding every id; equal ids are then told apart from equal hashes
    database.execute(
        f"""COPY (
            SELECT {columns}, CAST(event_time AS DATE) AS day FROM (
                SELECT * FROM arriving WHERE hash(event_id) NOT IN (SELECT h FROM twice) {seen_before}
                UNION ALL
                SELECT DISTINCT ON (event_id) * FROM arriving WHERE hash(event_id) IN (SELECT h FROM twice) {seen_before}
                ORDER BY event_id, known_at)
        ) TO {duck.quoted(target)} (FORMAT parquet, COMPRESSION zstd, PARTITION_BY (day))"""
    )
    files = _named_by_day(target)
    if not files:
        return Landed(0, read, None, None)
    row = database.execute(f"SELECT count(*), max(event_time) FROM {duck.parquet(files)}").fetchone()
    assert row is not None  # noqa: S101  an aggregate always gives a row
    return Landed(int(row[0]), read - int(row[0]), lake.add("events", files, properties), row[1].astimezone(UTC))


def _known_ids(lake: Lake, database: duckdb.DuckDBPyConnection, scratch: Path) -> str | None:
    """SQL of the events the lake holds of the days concerned; None when it holds none."""
    snapshot = lake.pin("events")
    if snapshot is None:
        return None
    days = [
        row[0]
        for row in database.execute(
            "SELECT DISTINCT CAST(event_time AS DATE) AS day FROM arriving ORDER BY day"
        ).fetchall()
    ]
    files: list[Path] = []
    for first, last in _runs(days):
        since = datetime(first.year, first.month, first.day, tzinfo=UTC)
        until = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
        files += lake.fetch("events", snapshot, scratch / "known", since, until)
    return duck.parquet(sorted(set(files))) if files else None


def _runs(days: Sequence[date]) -> list[tuple[date, date]]:
    """Sorted days as runs without a gap: (first, last)."""
    runs: list[tuple[date, date]] = []
    for day in days:
        if runs and day - runs[-1][1] == timedelta(days=1):
            runs[-1] = (runs[-1][0], day)
        else:
            runs.append((day, day))
    return runs


def _named_by_day(folder: Path) -> list[Path]:
    """`day=2026-02-01/data_0.parquet` -> `2026-02-01-data_0.parquet`, so that a file's name says its day in the bucket too."""
    files = []
    for file in sorted(folder.glob("day=*/*.parquet")):
        files.append(file.rename(folder / f"{file.parent.name.removeprefix('day=')}-{file.name}"))
    return files
