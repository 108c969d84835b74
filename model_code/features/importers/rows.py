"""Rows of any source as canonical rows: typed, checked one by one, and what fails written down with its reasons."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TextIO

import duckdb
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features import duck
from features.importers.reading import Chunk
from features.schema import CANONICAL, EVENT_TYPES, REQUIRED

_NUMBER = r"\d+(\.\d+)?"
_WHOLE = r"[+-]?\d+(\.0+)?"
_EXPECTED = {
    "int32": "a whole number",
    "double": "a finite number",
    "timestamp[us, tz=UTC]": "an ISO 8601 time (without a zone: UTC) or seconds, ms or µs since 1970",
}


class Stager:
    """Takes chunks of one table; good rows go to Parquet, bad ones to the rejects file.

    Parameters
    ----------
    columns : mapping
        Canonical column -> SQL over the chunk's columns, any type; what is not named is null.
    target : Path
        Parquet file of the good rows.
    rejects : text stream
        One JSON line a bad row: ``{file, table, row, problems: [{column, what, expected}]}``.
    """

    def __init__(
        self, database: duckdb.DuckDBPyConnection, table: str, columns: Mapping[str, str], target: Path, rejects: TextIO
    ) -> None:
        self.table, self.target = table, target
        self.read = self.rejected = 0
        self._database, self._rejects = database, rejects
        self._sql = _statement(table, columns)
        self._writer = pq.ParquetWriter(target, CANONICAL[table], compression="zstd")

    def take(self, chunk: Chunk, file: Path, where: str = "true") -> None:
        """Check and keep a chunk; `where` (SQL over its columns) leaves rows out that are none of this table's."""
        for number, what in chunk.broken:
            self._reject(file, number, [{"column": None, "what": what, "expected": "one value a column"}])
        self.read += len(chunk.broken)
        if not chunk.numbers:
            return
        rows = pa.table({**chunk.columns, "__row": pa.array(chunk.numbers, pa.int64())})
        self._database.register("chunk", rows)
        answer: pa.Table = self._database.sql(self._sql.format(where=where)).to_arrow_table()
        self._database.unregister("chunk")
        self.read += answer.num_rows
        good = pc.equal(pc.list_value_length(answer["problems"]), 0)
        kept = answer.filter(good).select(CANONICAL[self.table].names).cast(CANONICAL[self.table])
        self._writer.write_table(kept)
        for row in answer.filter(pc.invert(good)).select(["__row", "problems"]).to_pylist():
            self._reject(file, row["__row"], row["problems"])

    def close(self) -> int:
        """Finish the Parquet file; returns its rows."""
        self._writer.close()
        return self.read - self.rejected

    def _reject(self, file: Path, number: int, problems: list[dict[str, str | None]]) -> None:
        self.rejected += 1
        line = {"file": str(file), "table": self.table, "row": number, "problems": problems}
        self._rejects.write(json.dumps(line, ensure_ascii=False) + "\n")


def _statement(table: str, columns: Mapping[str, str]) -> str:
    raw, typed = [], []
    for field in CANONICAL[table]:
        source = columns.get(field.name)
        as_text = "CAST(NULL AS VARCHAR)" if source is None else f"nullif(CAST({source} AS VARCHAR), '')"
        raw.append(f"{as_text} AS raw_{field.name}")
        value = _typed(f"raw_{field.name}", str(field.type))
        typed.append(f"{value} AS {field.name}")
    problems = ", ".join(_problems(table))
    sql = f"""SELECT __row, {", ".join(CANONICAL[table].names)},
        list_filter([{problems}], lambda one: one IS NOT NULL) AS problems
        FROM (SELECT *, {", ".join(typed)} FROM (SELECT __row, {", ".join(raw)} FROM chunk WHERE WHERE_ROWS)) ORDER BY __row"""
    return sql.replace("{", "{{").replace("}", "}}").replace("WHERE_ROWS", "{where}")


def _typed(raw: str, kind: str) -> str:
    if kind == "int32":
        return f"CASE WHEN regexp_full_match({raw}, '{_WHOLE}') THEN TRY_CAST(TRY_CAST({raw} AS DOUBLE) AS INTEGER) END"
    if kind == "double":
        return f"CASE WHEN isfinite(TRY_CAST({raw} AS DOUBLE)) THEN TRY_CAST({raw} AS DOUBLE) END"
    if kind.startswith("timestamp"):
        number = f"CAST({raw} AS DOUBLE)"
        scale = f"CASE WHEN {number} < 1e11 THEN 1e6 WHEN {number} < 1e14 THEN 1e3 ELSE 1 END"
        since = f"make_timestamptz(CAST(least({number} * {scale}, 9e17) AS BIGINT))"
        return f"CASE WHEN regexp_full_match({raw}, '{_NUMBER}') THEN {since} ELSE TRY_CAST({raw} AS TIMESTAMPTZ) END"
    return raw


def _problems(table: str) -> list[str]:
    found = []
    for field in CANONICAL[table]:
        name, kind = field.name, str(field.type)
        if kind in _EXPECTED:
            found.append(_problem(f"raw_{name} IS NOT NULL AND {name} IS NULL", name, _EXPECTED[kind]))
        if name in REQUIRED[table]:
            found.append(_problem(f"raw_{name} IS NULL", name, "a value"))
    rules = {
        "events": [
            (
                f"event_type NOT IN ({', '.join(map(duck.quoted, EVENT_TYPES))})",
                "event_type",
                f"one of {', '.join(EVENT_TYPES)}",
            ),
            ("position < 1", "position", "1 or more: 1 is the first place"),
            ("propensity <= 0 OR propensity > 1", "propensity", "a chance above 0 and up to 1"),
            ("epoch_us(event_time) < 0", "event_time", "1970 or later"),
            ("known_at < event_time", "known_at", "no time before event_time: nothing is known before it happens"),
        ],
        "users": [("age NOT BETWEEN 0 AND 130", "age", "years from 0 to 130")],
        "items": [],
    }
    found += [_problem(condition, name, expected) for condition, name, expected in rules[table]]
    return found


def _problem(condition: str, column: str, expected: str) -> str:
    what = f"coalesce('is ' || left(raw_{column}, 200), 'is missing')"
    return (
        f"CASE WHEN {condition} THEN {{'column': '{column}', 'what': {what}, 'expected': {duck.quoted(expected)}}} END"
    )
