"""The ranking samples of a prepared folder as raw columns and labels. Parquet is read here and nowhere else in the room."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from ranker.encoding import Column


class BadSamples(ValueError):
    """The samples cannot be learned from; the text says which split and why."""


@dataclass(frozen=True, slots=True)
class Samples:
    """N rows of one split."""

    raw: dict[str, Any]  # declared column -> float64 array or list of str
    labels: np.ndarray  # (N,) float64, 0 or 1

    def __len__(self) -> int:
        return len(self.labels)


def read_samples(folder: Path, columns: Sequence[Column]) -> Samples:
    """Read every Parquet file of a split.

    Raises
    ------
    BadSamples
        If there is no row, a declared column is absent, a label is not 0 or 1, or only one class is there.
    """
    split = folder.name
    files = sorted(folder.glob("*.parquet"))
    if not files:
        raise BadSamples(f"{split}: no Parquet file in {folder}")
    present = set(pq.read_schema(files[0]).names)
    absent = [name for name in ("label", *(name for name, _ in columns)) if name not in present]
    if absent:
        raise BadSamples(f"{split}: columns {', '.join(absent)} are declared but absent")
    table = pa.concat_tables(pq.read_table(file, columns=["label", *(name for name, _ in columns)]) for file in files)
    if not len(table):
        raise BadSamples(f"{split}: no rows to learn from")
    labels = table["label"].to_numpy().astype(np.float64)
    if not np.isin(labels, (0, 1)).all():
        raise BadSamples(f"{split}: a label is neither 0 nor 1")
    if labels.min() == labels.max():
        raise BadSamples(
            f"{split}: only one class, all {len(labels)} labels are {int(labels[0])}; expected both 0 and 1"
        )
    return Samples({name: _column(name, kind, table[name], split) for name, kind in columns}, labels)


def _column(name: str, kind: str, values: pa.ChunkedArray, split: str) -> Any:
    if kind == "category":
        return pc.fill_null(values.cast(pa.string()), "").to_pylist()
    try:
        numbers = values.cast(pa.float64()).to_numpy()
    except pa.ArrowInvalid as error:
        raise BadSamples(f"{split}: {name} is declared a number but holds {values.type}: {error}") from error
    if np.isinf(numbers).any():
        raise BadSamples(f"{split}: {name} holds an infinite value; expected finite numbers or null")
    return numbers
