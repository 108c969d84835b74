"""From the lines of the transform to one Parquet file of rows, and the counts that must agree."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from features import duck
from features.job import JobFailed, progress
from features.schema import EXPORTS

ROWS = EXPORTS["recommendations"]
LISTS_A_WRITE = 5000


@dataclass(slots=True)
class Written:
    """Lists that were read, rows that were written, and how the lists came to be."""

    lists: int = 0
    rows: int = 0
    empty: int = 0
    short: int = 0  # of fewer than k places
    degraded: Counter[str] = field(default_factory=Counter)  # lists by the step that failed


@dataclass(frozen=True, slots=True)
class Counts:
    """What must be one number: users, and their rows."""

    users_in: int
    lists_out: int
    users_in_parquet: int
    rows_of_lists: int
    rows_in_parquet: int


def write_lists(files: Sequence[Path], target: Path, release_id: str, at: datetime, k: int) -> Written:
    """Write one row a user and place.

    Raises
    ------
    JobFailed
        If a line is no list, or is another release's, or longer than k: the file and line are named.
    """
    written = Written()
    with pq.ParquetWriter(target, ROWS, compression="zstd") as parquet:
        rows: dict[str, list[Any]] = {name: [] for name in ROWS.names}
        for where, one in _lines(files):
            _check(where, one, release_id, k)
            count = len(one["items"])
            written.lists += 1
            written.rows += count
            written.empty += not count
            written.short += count < k
            written.degraded.update(one["degraded"])
            values = ([one["user_id"]] * count, range(1, count + 1), one["items"], one["scores"])
            for name, cells in zip(("user_id", "position", "item_id", "score"), values, strict=True):
                rows[name] += cells
            if written.lists % LISTS_A_WRITE == 0:
                _flush(parquet, rows, release_id, at)
                progress(f"{written.lists:,} lists")
        _flush(parquet, rows, release_id, at)
    return written


def _flush(parquet: pq.ParquetWriter, rows: dict[str, list[Any]], release_id: str, at: datetime) -> None:
    size = len(rows["user_id"])
    parquet.write_table(pa.table({**rows, "release_id": [release_id] * size, "scored_for": [at] * size}, schema=ROWS))
    for cells in rows.values():
        cells.clear()


def _lines(files: Sequence[Path]) -> Iterator[tuple[str, dict[str, Any]]]:
    for file in files:
        with file.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                where = f"{file.name}:{number}"
                try:
                    yield where, json.loads(line)
                except ValueError as error:
                    raise JobFailed(f"{where} is no list: {error}") from None


def _check(where: str, one: Any, release_id: str, k: int) -> None:
    if not isinstance(one, dict) or not {"user_id", "release_id", "items", "scores", "degraded"} <= one.keys():
        raise JobFailed(f"{where} is no list: expected user_id, release_id, items, scores and degraded")
    if one["release_id"] != release_id:
        raise JobFailed(f"{where} was made by {one['release_id']}, not by {release_id}: an export is of one release")
    if len(one["items"]) > k or len(one["items"]) != len(one["scores"]):
        raise JobFailed(f"{where} has {len(one['items'])} items and {len(one['scores'])} scores, of at most {k}")


def count(lists: Path, written: Written, users_in: int, scratch: Path) -> Counts:
    """Read the file back and count."""
    with duck.connect(scratch) as database:
        users = duck.count(database, f"SELECT count(DISTINCT user_id) FROM {duck.parquet([lists])}")  # noqa: S608
        rows = duck.count(database, f"SELECT count(*) FROM {duck.parquet([lists])}")  # noqa: S608
    return Counts(users_in, written.lists, users, written.rows, rows)


def differences(counts: Counts, lists: Path, ids: Sequence[Path], scratch: Path) -> str | None:
    """What differs, in one sentence that names users; None where all agree and the users are the same ones."""
    with duck.connect(scratch) as database:
        wanted, there = f"SELECT user_id FROM {duck.parquet(ids)}", f"SELECT user_id FROM {duck.parquet([lists])}"  # noqa: S608
        lacking = _some(database, f"({wanted}) EXCEPT ({there})")
        unasked = _some(database, f"({there}) EXCEPT ({wanted})")
        twice = _some(database, f"{there} GROUP BY user_id HAVING count(*) > count(DISTINCT position)")
    alike = (
        counts.users_in == counts.lists_out == counts.users_in_parquet
        and counts.rows_of_lists == counts.rows_in_parquet
    )
    if alike and not (lacking or unasked or twice):
        return None
    found = {"without a list": lacking, "nobody asked for": unasked, "with two lists": twice}
    named = [f"{what}: {', '.join(users)}" for what, users in found.items() if users]
    said = ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in asdict(counts).items())
    return "; ".join([f"the counts differ: {said}", *named])


def _some(database: duckdb.DuckDBPyConnection, sql: str) -> list[str]:
    """The first three ids of a query."""
    return [str(row[0]) for row in database.execute(f"SELECT user_id FROM ({sql}) ORDER BY user_id LIMIT 3").fetchall()]  # noqa: S608
