"""Vectors and item features side by side, as the lines of `_bulk`; what cannot be a document is put aside with its reason."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from features.job import JobFailed

BATCH = 1000  # documents of one _bulk: about 700 KB, below the 10 MB that small domains accept


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A document that is not in the index: never sent, or refused for good."""

    item_id: str
    reason: str

    def line(self) -> str:
        return json.dumps({"item_id": self.item_id, "reason": self.reason}) + "\n"


@dataclass(frozen=True, slots=True)
class Items:
    """Everything that can be indexed, in one order: `ids[i]`, `vectors_ID[i]`, row i of `features`. I items, D dimensions."""

    ids: list[str]
    vectors_ID: np.ndarray
    features: pa.Table
    dead: list[DeadLetter]

    def bulk_bodies(self, fields: Sequence[str]) -> Iterator[tuple[list[str], list[bytes]]]:
        """Chunks of (ids, two NDJSON lines an item).

        Numbers are written with seven significant digits of the largest: what float32 holds, half as long as Python's.
        """
        largest = float(np.abs(self.vectors_ID).max(initial=0.0)) or 1.0
        decimals = 7 - int(np.floor(np.log10(largest)))
        columns = [field for field in fields if field != "item_id"]
        for start in range(0, len(self.ids), BATCH):
            ids = self.ids[start : start + BATCH]
            vectors = self.vectors_ID[start : start + BATCH].astype(np.float64).round(decimals).tolist()
            rows = self.features.slice(start, BATCH).select(columns).to_pylist()
            yield ids, [document(item, vector, row) for item, vector, row in zip(ids, vectors, rows, strict=True)]


def document(item_id: str, vector: list[float], row: dict[str, object]) -> bytes:
    action = json.dumps({"index": {"_id": item_id}})
    known = {name: value for name, value in row.items() if value is not None}
    source = json.dumps({"item_id": item_id, "vector": vector, **known}, separators=(",", ":"), allow_nan=False)
    return f"{action}\n{source}\n".encode()


def read_items(vectors: Sequence[Path], items: Path, fields: Sequence[str], dimension: int) -> Items:
    """Join both on item_id.

    Put aside: a vector of another dimension, with NaN or infinity, of an unknown or repeated item, and an item without
    a vector.

    Raises
    ------
    JobFailed
        If there is no Parquet file, or one lacks a column.
    """
    table = _read("embed_items' output", vectors, ["item_id", "vector"])
    features = _read(str(items), sorted(items.glob("*.parquet")), list(fields))
    dead: list[DeadLetter] = []
    ids, matrix_ID = _vectors(table, dimension, dead)
    wanted = features["item_id"].combine_chunks()
    places = pc.index_in(wanted, value_set=pa.array(ids, pa.string())).to_numpy(zero_copy_only=False)
    broken = {letter.item_id for letter in dead}
    without = np.flatnonzero(np.isnan(places.astype(float)))
    dead += [
        DeadLetter(item, "the item has no vector") for item in wanted.take(without).to_pylist() if item not in broken
    ]
    have = np.flatnonzero(~np.isnan(places.astype(float)))
    rows = places[have].astype(np.int64)
    unknown = np.setdiff1d(np.arange(len(ids)), rows)
    dead += [DeadLetter(ids[row], "the vector's item is not among the prepared items") for row in unknown]
    features = _finite(features.take(have))
    return Items([ids[row] for row in rows], matrix_ID[rows], features, dead)


def _read(where: str, files: Sequence[Path], columns: list[str]) -> pa.Table:
    if not files:
        raise JobFailed(f"{where} holds no Parquet file")
    source = ds.dataset(list(map(str, files)), format="parquet")
    if missing := [name for name in columns if name not in source.schema.names]:
        raise JobFailed(f"{where} lacks the columns {', '.join(missing)}")
    return source.to_table(columns=columns)


def _vectors(table: pa.Table, dimension: int, dead: list[DeadLetter]) -> tuple[list[str], np.ndarray]:
    """Ids and matrix of the vectors that are whole, finite and met for the first time."""
    lengths = pc.fill_null(pc.list_value_length(table["vector"]), 0).to_numpy()
    ids = table["item_id"].to_pylist()
    for row in np.flatnonzero(lengths != dimension):
        dead.append(DeadLetter(ids[row], f"the vector has {lengths[row]} dimensions, expected {dimension}"))
    fit = np.flatnonzero(lengths == dimension)
    flat = pc.list_flatten(table["vector"].take(fit)).to_numpy(zero_copy_only=False)
    matrix_ID = np.asarray(flat, np.float32).reshape(len(fit), dimension)
    finite = np.asarray(np.isfinite(matrix_ID).all(axis=1))
    for row in fit[~finite]:
        dead.append(DeadLetter(ids[row], "the vector holds NaN or infinity"))
    seen: set[str] = set()
    keep = []
    for place, row in enumerate(fit):
        if not finite[place]:
            continue
        if ids[row] in seen:
            dead.append(DeadLetter(ids[row], "the item has more than one vector"))
            continue
        seen.add(ids[row])
        keep.append(place)
    return [ids[fit[place]] for place in keep], matrix_ID[keep]


def _finite(features: pa.Table) -> pa.Table:
    """NaN and infinite features are missing ones: JSON has no word for them."""
    for name in features.schema.names:
        column = features[name]
        if pa.types.is_floating(column.type):
            features = features.set_column(
                features.schema.get_field_index(name), name, pc.if_else(pc.is_finite(column), column, None)
            )
    return features
