"""The prepared folder as the towers learn from it: encoded rows, and who chose what.

Shape letters: R training rows, U users with a positive, I items of the catalogue (row 0 of a table is "unknown").
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from scipy import sparse

from features.declaration import Column, FeatureSet, load
from features.job import JobFailed
from two_tower.encoding import UNKNOWN, Encoded, Index, TowerColumn, Vocabulary

BUCKETS = 10  # of a number, by quantiles of the training rows


@dataclass(frozen=True, slots=True)
class Prepared:
    """What one training run reads.

    Attributes
    ----------
    users : dict of int64 arrays of shape (R,) or (R, L)
        The user tower's inputs of every training row, as they were known at the event.
    items_R : int64 array of shape (R,)
        The chosen item as a row of `catalogue`.
    weights_R : float32 array of shape (R,)
    catalogue : dict of int64 arrays of shape (I,)
        The item tower's inputs of every known item.
    catalogue_ids : list of I strings
    positives_UI : csr matrix of shape (users of the vocabulary, items of the vocabulary)
        1 for each distinct pair of the training rows; table row r is matrix row r − 1.
    validation : Validation
    """

    vocabulary: Vocabulary
    users: Encoded
    items_R: np.ndarray
    weights_R: np.ndarray
    catalogue: Encoded
    catalogue_ids: list[str]
    positives_UI: sparse.csr_matrix
    validation: Validation


@dataclass(frozen=True, slots=True)
class Validation:
    """Users of the validation split with what they chose there, and what a recommender would no longer show them.

    `users` are inputs as of each user's first event of the split; `relevant` and `seen` are rows of the catalogue.
    """

    users: Encoded
    relevant: list[np.ndarray]
    seen: list[np.ndarray]


def read_prepared(folder: Path) -> Prepared:
    """Read and encode a prepared folder.

    Raises
    ------
    JobFailed
        If a split is missing, empty, lacks a column, or has fewer than two users or items.
    """
    declared = load(folder / "features.yaml" if (folder / "features.yaml").is_file() else None)
    names = [column.name for column in declared.user_tower]
    train = _table(folder / "recall" / "train", ["user_id", "item_id", "event_time", "weight", *names])
    held_out = _table(folder / "recall" / "validation", ["user_id", "item_id", "event_time", *names])
    items = _table(folder / "items", ["item_id", *(column.name for column in declared.item_tower)])
    items = items.take(pc.sort_indices(items["item_id"]))
    # Sorted by time once: the last row of a user is then his newest. Ties break by ids, so equal data is equal order.
    train = train.sort_by([(name, "ascending") for name in ("event_time", "user_id", "item_id")])
    vocabulary = build_vocabulary(declared, train, items)
    catalogue_ids = items["item_id"].to_pylist()
    catalogue = vocabulary.encode_items(catalogue_ids, _raw(items, declared.item_tower))
    place = Index(catalogue_ids)
    items_R = place.encode(train["item_id"].to_pylist()) - 1
    if (items_R < 0).any():
        missing = train["item_id"][int(np.argmin(items_R))].as_py()
        raise JobFailed(f"recall/train names item {missing!r}, which items/ does not hold")
    users = vocabulary.encode_users(train["user_id"].to_pylist(), _raw(train, declared.user_tower))
    return Prepared(
        vocabulary,
        users,
        items_R,
        _weights(train),
        catalogue,
        catalogue_ids,
        _positives(vocabulary, users["user_id"], catalogue["item_id"][items_R]),
        _validation(vocabulary, declared, held_out, users["user_id"], items_R, place),
    )


def _table(folder: Path, columns: Sequence[str]) -> pa.Table:
    where = f"{folder.parent.name}/{folder.name}" if folder.parent.name == "recall" else folder.name
    if not any(folder.glob("*.parquet")):
        raise JobFailed(f"{where} holds no Parquet file")
    source = ds.dataset(folder, format="parquet")
    missing = [name for name in columns if name not in source.schema.names]
    if missing:
        raise JobFailed(f"{where} lacks the columns {', '.join(missing)}")
    table = source.to_table(columns=list(columns))
    if not len(table):
        raise JobFailed(f"{where} holds no rows: nothing to learn from or to stop on")
    return table


def _raw(table: pa.Table, columns: Sequence[Column]) -> dict[str, list[Any]]:
    return {column.name: table[column.name].to_pylist() for column in columns}


def build_vocabulary(declared: FeatureSet, train: pa.Table, items: pa.Table) -> Vocabulary:
    """Ids that have a positive get a row of their own; numbers get edges at quantiles, over users' rows or items."""
    users, chosen = _distinct(train["user_id"]), _distinct(train["item_id"])
    for name, found in (("user", users), ("item", chosen)):
        if len(found) < 2:
            raise JobFailed(f"recall/train knows one {name} only ({found[0]!r}): two are needed to tell them apart")
    return Vocabulary(
        Index(users),
        Index(chosen),
        tuple(_tower_column(column, train) for column in declared.user_tower),
        tuple(_tower_column(column, items) for column in declared.item_tower),
    )


def _tower_column(column: Column, table: pa.Table) -> TowerColumn:
    if column.kind == "number":
        values = table[column.name].drop_null().to_numpy().astype(np.float64)
        values = values[np.isfinite(values)]
        inner = np.linspace(0, 1, BUCKETS + 1)[1:-1]
        edges = np.unique(np.quantile(values, inner)) if len(values) else np.array([])
        return TowerColumn(column.name, column.feature, "number", edges=tuple(edges.tolist()))
    if column.kind == "category":
        return TowerColumn(column.name, column.feature, "category", index=Index(_distinct(table[column.name])))
    if column.kind == "ids":
        return TowerColumn(column.name, column.feature, "ids", length=int(column.source["n"]))
    raise JobFailed(f"{column.name} is of kind {column.kind}, which a tower cannot read: number, category or ids")


def _distinct(column: pa.ChunkedArray) -> list[str]:
    return sorted(value for value in column.unique().to_pylist() if value)


def _weights(train: pa.Table) -> np.ndarray:
    weights = train["weight"].to_numpy().astype(np.float32)
    if not np.isfinite(weights).all() or (weights < 0).any() or not weights.any():
        raise JobFailed("recall/train has weights that are missing, negative or all zero")
    return weights


def _positives(vocabulary: Vocabulary, users_R: np.ndarray, items_R: np.ndarray) -> sparse.csr_matrix:
    shape = (len(vocabulary.users), len(vocabulary.items))
    matrix = sparse.csr_matrix((np.ones(len(users_R), dtype=np.float32), (users_R - 1, items_R - 1)), shape=shape)
    matrix.data[:] = 1  # a pair chosen twice is one positive
    return matrix


def _validation(
    vocabulary: Vocabulary,
    declared: FeatureSet,
    held_out: pa.Table,
    users_R: np.ndarray,
    items_R: np.ndarray,
    place: Index,
) -> Validation:
    held_out = held_out.sort_by([(name, "ascending") for name in ("user_id", "event_time", "item_id")])
    user_ids = np.array(held_out["user_id"].to_pylist(), dtype=object)
    chosen = place.encode(held_out["item_id"].to_pylist()) - 1
    first = np.flatnonzero(np.append(True, user_ids[1:] != user_ids[:-1]))
    encoded = vocabulary.encode_users(user_ids[first].tolist(), _raw(held_out.take(first), declared.user_tower))
    seen_of = _grouped(users_R, items_R)
    relevant, seen, kept = [], [], []
    for place_of_user, (start, stop) in enumerate(zip(first, [*first[1:], len(chosen)], strict=True)):
        known = seen_of.get(int(encoded["user_id"][place_of_user]), np.empty(0, dtype=np.int64))
        fresh = np.setdiff1d(chosen[start:stop], [*known, -1])
        if len(fresh):  # a user who only came back to what he knew says nothing about recall
            relevant.append(fresh)
            seen.append(known)
            kept.append(place_of_user)
    if not kept:
        raise JobFailed("recall/validation holds no item that its user had not chosen before: nothing to stop on")
    return Validation({name: rows[kept] for name, rows in encoded.items()}, relevant, seen)


def _grouped(users_R: np.ndarray, items_R: np.ndarray) -> Mapping[int, np.ndarray]:
    order = np.argsort(users_R, kind="stable")
    users, starts = np.unique(users_R[order], return_index=True)
    return dict(zip(users.tolist(), map(np.unique, np.split(items_R[order], starts[1:])), strict=True))


def known_rows(ids: np.ndarray) -> np.ndarray:
    """Places of the ids that have a row of their own, in the order of those rows."""
    places = np.flatnonzero(ids != UNKNOWN)
    return places[np.argsort(ids[places])]
