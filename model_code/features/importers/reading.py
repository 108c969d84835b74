"""Text and Parquet files in chunks: columns of texts, the number of each row, and what could not even be split into columns."""

from __future__ import annotations

import csv
import gzip
import itertools
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TextIO

import pyarrow as pa
import pyarrow.parquet as pq

CHUNK_ROWS = 100_000
ARCHIVES = {".zip", ".tar", ".tgz", ".7z", ".rar"}


class ImportFailed(ValueError):
    """Nothing of this source can be imported; the text says what was found and what was expected."""


@dataclass(slots=True)
class Chunk:
    """Rows of one file. `columns` hold texts or None; `numbers` count data rows from 1, whatever was left out."""

    columns: dict[str, pa.Array]
    numbers: list[int]
    broken: list[tuple[int, str]] = field(default_factory=list)  # (row number, what was wrong)


def column_names(file: Path, delimiter: str = ",") -> list[str]:
    """Names in a CSV's first line or a Parquet file's schema."""
    if file.suffix == ".parquet":
        with _readable(file):
            return list(pq.read_schema(file).names)
    with _readable(file), _open(file, "utf-8-sig") as stream:
        return next(csv.reader(stream, delimiter=delimiter), [])


def read_parquet(file: Path, columns: Sequence[str]) -> Iterator[Chunk]:
    """Chunks of a Parquet file, its own types as they are."""
    first = 1
    with _readable(file):
        for batch in pq.ParquetFile(file).iter_batches(CHUNK_ROWS, columns=list(columns)):
            yield Chunk(
                dict(zip(batch.schema.names, batch.columns, strict=True)), list(range(first, first + batch.num_rows))
            )
            first += batch.num_rows


def read_text(
    file: Path,
    delimiter: str = ",",
    columns: Sequence[str] | None = None,
    encoding: str = "utf-8-sig",
    quoted: bool = True,
    header: bool = True,
) -> Iterator[Chunk]:
    """Chunks of a delimited text file, gzipped or not.

    Parameters
    ----------
    delimiter : str
        One character, or more where `quoted` is False (MovieLens writes ``::``).
    columns : sequence of str, optional
        Names to use instead of those in the header line.
    header : bool
        Whether the first line holds names; without it, `columns` must.

    Raises
    ------
    ImportFailed
        If the file is no readable text: missing, an archive, truncated, of another encoding.
    """
    with _readable(file), _open(file, encoding) as stream:
        rows: Iterator[list[str]]
        if quoted:
            rows = csv.reader(stream, delimiter=delimiter)
        else:
            rows = (line.rstrip("\r\n").split(delimiter) for line in stream)
        given = next(rows, []) if header else []
        names = list(columns) if columns is not None else given
        if not names:
            raise ImportFailed(f"{file} is empty; expected a line of column names first")
        number = 0
        while block := list(itertools.islice(rows, CHUNK_ROWS)):
            yield _chunk(names, block, number)
            number += len(block)


def _chunk(names: list[str], block: list[list[str]], before: int) -> Chunk:
    numbers, whole, broken = [], [], []
    for number, row in enumerate(block, start=before + 1):
        if len(row) == len(names):
            numbers.append(number)
            whole.append(row)
        elif row and row != [""]:
            broken.append((number, f"{len(row)} fields; expected {len(names)}"))
    values = zip(*whole, strict=True) if whole else ([] for _ in names)
    return Chunk(
        {name: pa.array(column, pa.string()) for name, column in zip(names, values, strict=True)}, numbers, broken
    )


def _open(file: Path, encoding: str) -> TextIO:
    if file.suffix == ".gz":
        return gzip.open(file, "rt", encoding=encoding, newline="")
    return file.open(encoding=encoding, newline="")


@contextmanager
def _readable(file: Path) -> Iterator[None]:
    """What can be wrong with a file as a whole, in one sentence."""
    if file.suffix in ARCHIVES:
        raise ImportFailed(f"{file} is an archive; unpack it and name the folder or file")
    try:
        yield
    except FileNotFoundError:
        raise ImportFailed(f"{file} does not exist") from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise ImportFailed(f"{file} is truncated or no gzip file: {error}") from error
    except UnicodeDecodeError as error:
        raise ImportFailed(f"{file} is not {error.encoding} text at byte {error.start}") from error
    except csv.Error as error:
        raise ImportFailed(f"{file} is no delimited text: {error}") from error
    except pa.ArrowInvalid as error:
        raise ImportFailed(f"{file} is truncated or no Parquet file: {error}") from error
