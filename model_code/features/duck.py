"""DuckDB as our jobs use it: UTC, bounded memory, spilling to a folder of the job's own, no network."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import duckdb

MEMORY_LIMIT = "1200MiB"  # DuckDB's own buffers; reading and writing Parquet comes on top


def connect(scratch: Path, memory_limit: str = MEMORY_LIMIT, threads: int | None = None) -> duckdb.DuckDBPyConnection:
    """A connection whose tables and spilled pages live under `scratch`.

    Raises
    ------
    duckdb.Error
        Later, from queries: out of memory or disk tell so in their text.
    """
    spill = scratch / "spill"
    spill.mkdir(parents=True, exist_ok=True)
    # a file database rather than an in-memory one: finished tables leave memory by being written, not by spilling
    database = duckdb.connect(str(scratch / "job.duckdb"))
    database.execute("SET TimeZone = 'UTC'")
    database.execute(f"SET memory_limit = '{memory_limit}'")
    database.execute(f"SET temp_directory = {quoted(spill)}")
    database.execute("SET preserve_insertion_order = false")
    database.execute("SET enable_progress_bar = false")
    if threads is not None:
        database.execute(f"SET threads = {int(threads)}")
    return database


def quoted(value: str | Path) -> str:
    """A text literal."""
    return "'" + str(value).replace("'", "''") + "'"


def name(identifier: str) -> str:
    """An identifier, whatever it is made of."""
    return '"' + identifier.replace('"', '""') + '"'


def moment(at: datetime) -> str:
    """A timestamp literal; `at` must carry its zone."""
    if at.tzinfo is None:
        raise ValueError(f"{at} has no time zone")
    return f"TIMESTAMPTZ '{at.isoformat()}'"


def parquet(files: Iterable[Path]) -> str:
    """`read_parquet([...])` over these files."""
    return f"read_parquet([{', '.join(quoted(file) for file in files)}])"


def count(database: duckdb.DuckDBPyConnection, sql: str) -> int:
    """The single number a query gives; 0 for NULL."""
    row = database.execute(sql).fetchone()
    return int(row[0] or 0) if row else 0
