"""The ranker's request: CSV rows of raw declared features in manifest order, read strictly and in one pass."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from ranker.encoding import Column

ROWS_LIMIT = 10_000


def read_cells(body: bytes | str) -> list[list[str]]:
    """Read a request's body as CSV: UTF-8, no header, one row a candidate.

    Raises
    ------
    ValueError
        A sentence that says what was found and what was expected.
    """
    try:
        text = body.decode("utf-8") if isinstance(body, bytes) else body
    except UnicodeDecodeError as error:
        raise ValueError(f"body is not UTF-8 at byte {error.start}; expected UTF-8 CSV") from None
    try:
        rows = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise ValueError(f"body is no CSV: {error}") from None
    if not rows:
        raise ValueError("body is empty; expected one CSV row a candidate")
    if len(rows) > ROWS_LIMIT:
        raise ValueError(f"body has {len(rows)} rows; expected at most {ROWS_LIMIT}")
    return rows


def to_raw(rows: Sequence[Sequence[str]], columns: Sequence[Column]) -> dict[str, Any]:
    """Cells as raw columns, the way `Encoder.encode` takes them. An empty cell is a missing value.

    Parameters
    ----------
    rows : one list of cells per candidate
    columns : sequence of (name, kind)
        The declared columns, in the order of the cells.

    Raises
    ------
    ValueError
        A sentence that names the row (from 1), what was found and what was expected.
    """
    width = len(columns)
    if set(map(len, rows)) != {width}:
        number, row = next((number, row) for number, row in enumerate(rows, start=1) if len(row) != width)
        raise ValueError(
            f"row {number} has {len(row)} cells; expected {width}: {','.join(name for name, _ in columns)}"
        )
    cells = zip(*rows, strict=True)
    return {
        name: _numbers(name, column) if kind == "number" else list(column)
        for (name, kind), column in zip(columns, cells, strict=True)
    }


def _numbers(name: str, cells: Sequence[str]) -> np.ndarray:
    """One column; one of a user or the context is the same in every row of a request, and is read once."""
    first = cells[0]
    if cells.count(first) == len(cells):
        return np.full(len(cells), _number(name, 1, first))
    try:
        values = np.array([float(cell) if cell else np.nan for cell in cells])
        whole = np.isfinite(values).sum() + cells.count("") == len(cells)
    except ValueError:
        whole = False
    if whole:
        return values
    return np.array([_number(name, number, cell) for number, cell in enumerate(cells, start=1)])


def _number(name: str, row: int, cell: str) -> float:
    if not cell:
        return math.nan
    try:
        value = float(cell)
    except ValueError:
        raise ValueError(f"row {row}: {name} is {cell[:40]!r}; expected a number or an empty cell") from None
    if not math.isfinite(value):
        raise ValueError(f"row {row}: {name} is {cell[:40]!r}; expected a finite number or an empty cell")
    return value
