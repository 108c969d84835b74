"""From raw declared features to rows of the towers' tables: one code for training, export and the container.

Needs numpy only. Every input of a tower is an int64 array of shape (N,) or (N, L); row 0 of a table stands for
"unknown": an id the model never met, a missing value, or the padding of a list.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

UNKNOWN = 0
Encoded = dict[str, np.ndarray]


class EncodingError(ValueError):
    """A value has a type that its declared column cannot take; the sentence names column and value."""


@dataclass(slots=True)
class Index:
    """Strings in the order of their table rows; the first has row 1."""

    values: list[str]
    _rows: dict[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self._rows = {value: row for row, value in enumerate(self.values, start=1)}
        if len(self._rows) != len(self.values):
            raise EncodingError("a vocabulary holds a value twice")

    def __len__(self) -> int:
        return len(self.values)

    @property
    def rows(self) -> int:
        """Rows of the table, the unknown row included."""
        return len(self.values) + 1

    def encode(self, values: Iterable[str | None]) -> np.ndarray:
        """Table rows, int64; None and strangers get row 0."""
        get = self._rows.get
        return np.fromiter((get(value, UNKNOWN) if value else UNKNOWN for value in values), dtype=np.int64)


@dataclass(frozen=True, slots=True)
class TowerColumn:
    """A declared feature as a tower reads it.

    Attributes
    ----------
    name, feature : str
        Flat name (``user_age``) and name in a request (``age``).
    kind : str
        ``number`` (a bucket between quantile edges), ``category``, or ``ids`` (a list of item ids, newest first).
    edges : list of float
        Ascending, for numbers: value v falls in bucket 1 + #(edges ≤ v).
    index : Index
        For categories.
    length : int
        For ids: how many of the newest are read.
    """

    name: str
    feature: str
    kind: str
    edges: tuple[float, ...] = ()
    index: Index = field(default_factory=lambda: Index([]))
    length: int = 0

    def table_rows(self, items: Index) -> int:
        return {"number": len(self.edges) + 2, "category": self.index.rows, "ids": items.rows}[self.kind]

    def encode(self, values: Sequence[Any], items: Index) -> np.ndarray:
        """Raw values to table rows; shape (N,), or (N, length) for ids."""
        if self.kind == "number":
            return self._buckets(values)
        if self.kind == "category":
            self._expect(values, str, "a string or null")
            return self.index.encode(values)
        return self._lists(values, items)

    def _buckets(self, values: Sequence[Any]) -> np.ndarray:
        self._expect(values, (int, float), "a number or null")
        numbers = np.array([np.nan if value is None else value for value in values], dtype=np.float64)
        bucket = 1 + np.searchsorted(np.array(self.edges), numbers, side="right")
        return np.where(np.isfinite(numbers), bucket, UNKNOWN).astype(np.int64)

    def _lists(self, values: Sequence[Any], items: Index) -> np.ndarray:
        rows = np.zeros((len(values), self.length), dtype=np.int64)
        for place, ids in enumerate(values):
            if ids is None:
                continue
            if isinstance(ids, str) or not isinstance(ids, Sequence | np.ndarray):
                raise EncodingError(f"{self.feature} is {_short(ids)}; expected a list of item ids")
            newest = list(ids[: self.length])
            self._expect(newest, str, "a list of strings")
            rows[place, : len(newest)] = items.encode(newest)
        return rows

    def _expect(self, values: Sequence[Any], kind: type | tuple[type, ...], expected: str) -> None:
        for value in values:
            if value is not None and (not isinstance(value, kind) or isinstance(value, bool)):
                raise EncodingError(f"{self.feature} is {_short(value)}; expected {expected}")


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


@dataclass(frozen=True, slots=True)
class Vocabulary:
    """Everything an encoder knows: ids with vectors of their own, and each feature's values or edges."""

    users: Index
    items: Index
    user_columns: tuple[TowerColumn, ...]
    item_columns: tuple[TowerColumn, ...]

    def encode_users(self, ids: Sequence[str], raw: Mapping[str, Sequence[Any]]) -> Encoded:
        """Inputs of the user tower; `raw` has the columns by flat name, each as long as `ids`."""
        return self._encode("user_id", self.users, ids, self.user_columns, raw)

    def encode_items(self, ids: Sequence[str], raw: Mapping[str, Sequence[Any]]) -> Encoded:
        """Inputs of the item tower; `raw` has the columns by flat name, each as long as `ids`."""
        return self._encode("item_id", self.items, ids, self.item_columns, raw)

    def _encode(
        self,
        key: str,
        index: Index,
        ids: Sequence[str],
        columns: tuple[TowerColumn, ...],
        raw: Mapping[str, Sequence[Any]],
    ) -> Encoded:
        encoded = {key: index.encode(ids)}
        for column in columns:
            encoded[column.name] = column.encode(raw[column.name], self.items)
        return encoded

    def save(self, file: Path) -> None:
        document = {
            "format": 1,
            "users": self.users.values,
            "items": self.items.values,
            "user_columns": [_column_document(column) for column in self.user_columns],
            "item_columns": [_column_document(column) for column in self.item_columns],
        }
        file.write_text(json.dumps(document, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")

    @classmethod
    def load(cls, file: Path) -> Vocabulary:
        document = json.loads(file.read_text(encoding="utf-8"))
        if not isinstance(document, dict) or document.get("format") != 1:
            raise EncodingError(f"{file} is no vocabulary of format 1")
        return cls(
            Index(document["users"]),
            Index(document["items"]),
            tuple(_column(spec) for spec in document["user_columns"]),
            tuple(_column(spec) for spec in document["item_columns"]),
        )


def _column_document(column: TowerColumn) -> dict[str, Any]:
    own: dict[str, dict[str, Any]] = {
        "number": {"edges": list(column.edges)},
        "category": {"values": column.index.values},
        "ids": {"length": column.length},
    }
    return {"name": column.name, "feature": column.feature, "kind": column.kind, **own[column.kind]}


def _column(spec: Mapping[str, Any]) -> TowerColumn:
    return TowerColumn(
        spec["name"],
        spec["feature"],
        spec["kind"],
        tuple(spec.get("edges", ())),
        Index(spec.get("values", [])),
        spec.get("length", 0),
    )
