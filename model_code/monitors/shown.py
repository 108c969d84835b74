"""The table that every monitor looks at: rows that were shown, as the ranker was asked about them, with what became of them.

Letters: N rows, R requests, U users. Baselines (replayed lists, held-out impressions) and captures are the same kind of table,
so that both sides of a comparison go through the same code.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

Column = tuple[str, str]  # name and kind: "number" | "category"


@dataclass(frozen=True, slots=True)
class Shown:
    """N shown rows.

    Attributes
    ----------
    columns : sequence of (name, kind)
        The declared columns, in manifest order.
    raw : mapping
        Column -> float64 (N,), NaN where missing or unreadable; or object (N,) of str, "" where missing.
    user, request : int arrays of shape (N,)
        0 … U − 1 and 0 … R − 1.
    item : object array of shape (N,)
    position : float array of shape (N,)
        Place it was shown at, from 1.
    at_us : int array of shape (N,)
        When its request was made, microseconds since 1970.
    label : float array of shape (N,)
        1 clicked, 0 not, NaN not known (yet).
    unreadable : mapping
        Column -> cells that are no number although it is declared one.
    cells : int
        Cells of a row as captured, the commonest number; differs from the columns when one is missing or extra.
    """

    columns: tuple[Column, ...]
    raw: Mapping[str, np.ndarray]
    user: np.ndarray
    request: np.ndarray
    item: np.ndarray
    position: np.ndarray
    at_us: np.ndarray
    label: np.ndarray
    unreadable: Mapping[str, int] = field(default_factory=dict)
    cells: int = 0

    def __len__(self) -> int:
        return len(self.user)

    @property
    def users(self) -> int:
        return int(self.user.max()) + 1 if len(self) else 0

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self.columns]

    def rows(self, chosen: np.ndarray) -> Shown:
        """The chosen rows (mask or places), users and requests numbered anew."""
        return replace(
            self,
            raw={name: values[chosen] for name, values in self.raw.items()},
            user=_numbered(self.user[chosen]),
            request=_numbered(self.request[chosen]),
            item=self.item[chosen],
            position=self.position[chosen],
            at_us=self.at_us[chosen],
            label=self.label[chosen],
        )

    def labelled(self) -> Shown:
        return self.rows(np.isfinite(self.label))

    def at_most(self, rows: int) -> Shown:
        """Evenly spaced rows."""
        if len(self) <= rows:
            return self
        return self.rows(np.linspace(0, len(self) - 1, rows).astype(np.int64))


def present(kind: str, values: np.ndarray) -> np.ndarray:
    """Which cells hold something, (N,) bool."""
    return ~np.isnan(values) if kind == "number" else values != ""


def numbered(values: Sequence[Any] | np.ndarray) -> np.ndarray:
    """0, 1, … for distinct values, whatever they are."""
    places: dict[Any, int] = {}
    return np.fromiter((places.setdefault(value, len(places)) for value in values), np.int64, len(values))


def _numbered(values: np.ndarray) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1].astype(np.int64)
