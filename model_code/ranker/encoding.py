"""From raw declared features to the matrix the trees split on; the same code in training and in the container.

Letters: N rows, C category columns, X crosses, F columns of the matrix, K folds. numpy only, and plain numbers on disk.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from ranker.statistics import Statistics, fit_statistics, out_of_fold

Form = Literal["onnx", "booster"]
Column = tuple[str, str]  # name and kind: "number" | "category"
Raw = Mapping[str, Any]  # column -> float64 array of shape (N,), NaN where missing; or N strings, "" where missing

FORMAT = 1


@dataclass(frozen=True, slots=True)
class Plan:
    """What to encode, and how: everything that is chosen before data is seen.

    Parameters
    ----------
    columns : sequence of (name, kind)
        The declared columns, in manifest order.
    crosses : sequence of names, two or more each
        Columns whose joint value gets statistics of its own; a number takes part by its quantile bin.
    smoothing : float
        Rows of prior that a click rate is mixed with; > 0.
    folds : int
        K of the out-of-fold encodings, >= 2.
    bins : int
        Quantile bins of a number in a cross, >= 2.
    """

    columns: tuple[Column, ...]
    crosses: tuple[tuple[str, ...], ...] = ()
    smoothing: float = 20.0
    folds: int = 5
    bins: int = 8

    def __post_init__(self) -> None:
        names = [name for name, _ in self.columns]
        if len(set(names)) != len(names):
            raise ValueError("a declared column appears twice")
        for name, kind in self.columns:
            if kind not in ("number", "category"):
                raise ValueError(f"column {name} has kind {kind!r}; expected number or category")
        unknown = sorted({part for cross in self.crosses for part in cross} - set(names))
        if unknown:
            raise ValueError(f"crosses name unknown columns: {', '.join(unknown)}")

    @property
    def numbers(self) -> list[str]:
        return [name for name, kind in self.columns if kind == "number"]

    @property
    def categories(self) -> list[str]:
        return [name for name, kind in self.columns if kind == "category"]

    @property
    def keys(self) -> list[tuple[str, ...]]:
        """What statistics are kept of: every category alone, then every cross."""
        return [(name,) for name in self.categories] + list(self.crosses)


@dataclass(frozen=True, slots=True)
class Encoded:
    """The three blocks of columns; a served form is a choice of blocks. All float32."""

    numbers: np.ndarray  # (N, numbers) NaN where missing
    codes: np.ndarray  # (N, C) index in the vocabulary, NaN where never seen
    statistics: np.ndarray  # (N, 2 (C + X)) click rate and log count of each key, in turn

    def matrix(self, form: Form) -> np.ndarray:
        """(N, F) of one served form: `onnx` splits on numbers only, `booster` on category codes too."""
        blocks = (self.numbers, self.statistics) if form == "onnx" else (self.numbers, self.codes, self.statistics)
        return np.concatenate(blocks, axis=1)


@dataclass(frozen=True, slots=True)
class Encoder:
    """A fitted plan. `encode` needs nothing but the raw columns."""

    plan: Plan
    vocabularies: dict[str, dict[str, int]]
    fills: dict[str, float]  # median of each number that training never missed: it has no branch for "missing"
    edges: dict[str, np.ndarray]  # inner bin edges of each number in a cross
    statistics: dict[tuple[str, ...], Statistics]

    def encode(self, raw: Raw) -> Encoded:
        """Encode rows that training did not see.

        Raises
        ------
        ValueError
            If a declared column is absent.
        """
        codes = self._codes(raw)
        looked_up = [
            column for key in self.plan.keys for column in self.statistics[key].look_up(self._key(key, codes, raw))
        ]
        return self._blocks(raw, codes, looked_up)

    def names(self, form: Form) -> list[str]:
        """Names of the matrix's columns."""
        codes = [f"{name}#code" for name in self.plan.categories] if form == "booster" else []
        keys = ["*".join(key) for key in self.plan.keys]
        return self.plan.numbers + codes + [f"{key}#{what}" for key in keys for what in ("rate", "count")]

    def categorical(self, form: Form) -> list[int]:
        """Which of the matrix's columns are category codes."""
        first = len(self.plan.numbers)
        return list(range(first, first + len(self.plan.categories))) if form == "booster" else []

    def sources(self, form: Form) -> list[tuple[str, ...]]:
        """The declared columns each of the matrix's columns was made of."""
        codes = [(name,) for name in self.plan.categories] if form == "booster" else []
        return [(name,) for name in self.plan.numbers] + codes + [key for key in self.plan.keys for _ in range(2)]

    def _codes(self, raw: Raw) -> dict[str, np.ndarray]:
        absent = [name for name, _ in self.plan.columns if name not in raw]
        if absent:
            raise ValueError(f"declared columns are absent: {', '.join(absent)}")
        return {name: _codes(raw[name], self.vocabularies[name]) for name in self.plan.categories}

    def _key(self, key: tuple[str, ...], codes: Mapping[str, np.ndarray], raw: Raw) -> np.ndarray:
        """One integer per row for the joint value of the key's columns; -1 where a part was never seen."""
        joint = self._part(key[0], codes, raw)
        for name in key[1:]:
            part = self._part(name, codes, raw)
            width = len(self.vocabularies[name]) if name in codes else len(self.edges[name]) + 2
            joint = np.where((joint < 0) | (part < 0), -1, joint * width + part)
        return joint

    def _part(self, name: str, codes: Mapping[str, np.ndarray], raw: Raw) -> np.ndarray:
        if name in codes:
            return codes[name]
        values = np.asarray(raw[name], np.float64)
        missing = len(self.edges[name]) + 1
        return np.where(np.isnan(values), missing, np.searchsorted(self.edges[name], values)).astype(np.int64)

    def _blocks(self, raw: Raw, codes: Mapping[str, np.ndarray], looked_up: Sequence[np.ndarray]) -> Encoded:
        rows = len(raw[self.plan.columns[0][0]])
        numbers = np.empty((rows, len(self.plan.numbers)), np.float32)
        for place, name in enumerate(self.plan.numbers):
            numbers[:, place] = raw[name]
            if name in self.fills:
                np.nan_to_num(numbers[:, place], copy=False, nan=self.fills[name], posinf=np.inf, neginf=-np.inf)
        coded = np.empty((rows, len(codes)), np.float32)
        for place, name in enumerate(self.plan.categories):
            coded[:, place] = codes[name]
        coded[coded < 0] = np.nan
        statistics = np.stack(looked_up, axis=1) if looked_up else np.empty((rows, 0))
        return Encoded(numbers, coded, statistics.astype(np.float32))

    def to_document(self) -> dict[str, Any]:
        """Plain JSON values, enough for `from_document`."""
        return {
            "format": FORMAT,
            "columns": [list(column) for column in self.plan.columns],
            "crosses": [list(cross) for cross in self.plan.crosses],
            "smoothing": self.plan.smoothing,
            "folds": self.plan.folds,
            "bins": self.plan.bins,
            "vocabularies": {name: list(words) for name, words in self.vocabularies.items()},
            "fills": self.fills,
            "edges": {name: edges.tolist() for name, edges in self.edges.items()},
            "statistics": [self.statistics[key].to_document() for key in self.plan.keys],
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Encoder:
        """The inverse of `to_document`; refuses a format it does not know."""
        if document.get("format") != FORMAT:
            raise ValueError(f"encoding has format {document.get('format')!r}; expected {FORMAT}")
        plan = Plan(
            columns=tuple((name, kind) for name, kind in document["columns"]),
            crosses=tuple(tuple(cross) for cross in document["crosses"]),
            smoothing=document["smoothing"],
            folds=document["folds"],
            bins=document["bins"],
        )
        return cls(
            plan=plan,
            vocabularies={
                name: {word: code for code, word in enumerate(words)}
                for name, words in document["vocabularies"].items()
            },
            fills=dict(document["fills"]),
            edges={name: np.asarray(edges, np.float64) for name, edges in document["edges"].items()},
            statistics={
                key: Statistics.from_document(entry)
                for key, entry in zip(plan.keys, document["statistics"], strict=True)
            },
        )


def fit(plan: Plan, raw: Raw, labels: np.ndarray, *, seed: int) -> tuple[Encoder, Encoded]:
    """Fit the encoder and encode the training rows out of fold.

    A training row's click rates come from the other folds only, so its own label is in none of them; counts hold no
    label and are whole.

    Parameters
    ----------
    raw : mapping
        The declared columns of N rows.
    labels : array of shape (N,)
        0 or 1.
    seed : int
        Deals rows to folds; same seed, same encoding.

    Returns
    -------
    (Encoder, Encoded)
        For rows to come, and of these rows.
    """
    absent = [name for name, _ in plan.columns if name not in raw]
    if absent:
        raise ValueError(f"declared columns are absent: {', '.join(absent)}")
    vocabularies = {name: {word: code for code, word in enumerate(sorted(set(raw[name])))} for name in plan.categories}
    numbers = {name: np.asarray(raw[name], np.float64) for name in plan.numbers}
    fills = {name: float(np.median(values)) for name, values in numbers.items() if not np.isnan(values).any()}
    edges = {
        name: _quantile_edges(numbers[name], plan.bins)
        for name in plan.numbers
        if any(name in cross for cross in plan.crosses)
    }
    encoder = Encoder(plan, vocabularies, fills, edges, {})
    codes = encoder._codes(raw)
    folds = np.random.default_rng(seed).integers(0, plan.folds, len(labels))
    looked_up: list[np.ndarray] = []
    for key in plan.keys:
        joint = encoder._key(key, codes, raw)
        encoder.statistics[key] = fit_statistics(joint, labels, smoothing=plan.smoothing)
        looked_up += out_of_fold(joint, labels, folds, smoothing=plan.smoothing)
    return encoder, encoder._blocks(raw, codes, looked_up)


def _codes(values: Sequence[str], vocabulary: Mapping[str, int]) -> np.ndarray:
    look_up = vocabulary.get
    return np.fromiter((look_up(value, -1) for value in values), np.int64, len(values))


def _quantile_edges(values: np.ndarray, bins: int) -> np.ndarray:
    known = values[~np.isnan(values)]
    return np.unique(np.quantile(known, np.linspace(0, 1, bins + 1)[1:-1])) if len(known) else np.empty(0)
