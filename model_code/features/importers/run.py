"""One import from beginning to end: stage every table, land users and items, then events, then say how far the data goes."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import duckdb

from features import duck
from features.importers.load import land, record_import
from features.importers.reading import Chunk, ImportFailed
from features.importers.rows import Stager
from features.lake import Lake
from features.landing import Landed

Progress = Callable[[str, int], None]  # (table, rows read so far)


@dataclass(frozen=True, slots=True)
class Target:
    """Where an import goes."""

    lake: Lake
    dynamodb: Any  # boto3 client
    state_table: str
    rejects: Path = Path("rejects.jsonl")
    progress: Progress | None = None


@dataclass(slots=True)
class Report:
    """What an import did. Every row read is accepted, a duplicate, or in the rejects file."""

    read: dict[str, int] = field(default_factory=dict)  # table -> rows
    rejected: dict[str, int] = field(default_factory=dict)
    landed: Landed = field(default_factory=lambda: Landed(0, 0, None, None))  # of the events
    rejects: Path | None = None  # the file, if any row is in it
    ignored_columns: list[str] = field(default_factory=list)

    def sentence(self) -> str:
        rows = ", ".join(f"{count:,} {table}" for table, count in self.read.items())
        refused = sum(self.rejected.values())
        told = f"; {refused:,} rows rejected, see {self.rejects}" if refused else "; no row rejected"
        return f"read {rows}: {self.landed.rows:,} events added, {self.landed.duplicates:,} known already{told}"


class Import:
    """The staging area of one import: a stager a table, and what they wrote."""

    def __init__(self, scratch: Path, progress: Progress | None) -> None:
        self.scratch = scratch
        self.database = duck.connect(scratch)
        self.database.execute("SET preserve_insertion_order = true")
        self._rejects = (scratch / "rejects.jsonl").open("w", encoding="utf-8")
        self._stagers: list[Stager] = []
        self._progress = progress

    def stager(self, table: str, columns: Mapping[str, str]) -> Stager:
        target = self.scratch / f"{table}-{len(self._stagers)}.parquet"
        self._stagers.append(Stager(self.database, table, columns, target, self._rejects))
        return self._stagers[-1]

    def take(self, stager: Stager, chunk: Chunk, file: Path, where: str = "true") -> None:
        stager.take(chunk, file, where)
        if self._progress:
            self._progress(stager.table, stager.read)

    def files(self, table: str) -> list[Path]:
        return [stager.target for stager in self._stagers if stager.table == table]

    def close_stagers(self) -> None:
        for stager in self._stagers:
            stager.close()

    def finish(self, target: Target) -> Report:
        """Land what was staged.

        Raises
        ------
        ImportFailed
            If not one row was good: then nothing is added, and the rejects file says why.
        """
        self._rejects.close()
        report = Report()
        for stager in self._stagers:
            report.read[stager.table] = report.read.get(stager.table, 0) + stager.read
            report.rejected[stager.table] = report.rejected.get(stager.table, 0) + stager.rejected
        if any(report.rejected.values()):
            target.rejects.parent.mkdir(parents=True, exist_ok=True)
            report.rejects = Path(shutil.copy(self.scratch / "rejects.jsonl", target.rejects))
        if sum(report.read.values()) == sum(report.rejected.values()):
            told = f"see {report.rejects}" if report.rejects else "the source is empty"
            raise ImportFailed(f"no row could be imported: {told}")
        for table in ("users", "items"):
            files = [
                file
                for file in self.files(table)
                if duck.count(self.database, f"SELECT count(*) FROM {duck.parquet([file])}")
            ]
            if files:
                target.lake.add(table, files)
        if self.files("events"):
            report.landed = land(self.files("events"), target.lake, target.dynamodb, target.state_table)
        else:
            record_import(target.dynamodb, target.state_table, None)
        return report


@contextmanager
def importing(target: Target) -> Iterator[Import]:
    """An `Import` in a folder of its own, which is gone afterwards."""
    with tempfile.TemporaryDirectory(prefix="understudy-import-") as folder:
        one = Import(Path(folder), target.progress)
        try:
            yield one
        finally:
            one.database.close()


def first_days(database: duckdb.DuckDBPyConnection, events: list[Path], key: str) -> None:
    """Table `first_days`: (id, day): midnight of each id's first event, for logs that do not say when an id became known."""
    database.execute(
        f"""CREATE OR REPLACE TEMP TABLE first_days AS
        SELECT {key} AS id, date_trunc('day', min(event_time)) AS day FROM {duck.parquet(events)} GROUP BY {key}"""
    )
