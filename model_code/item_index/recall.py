"""How many of the truly nearest items the index finds, without a filter and with one that keeps about 15 % of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from item_index.documents import Items
from item_index.wire import OpenSearch

PLACES = 100  # whose recall is asked for
WANTED = 200  # items `recommend` asks for; their true first 100 are what counts
GOAL = 0.98
KEPT = 0.15
QUERIES = 200
# Beams to try, as multiples of the items asked for: a Lucene graph under a filter finds too few with a beam of k itself.
FACTORS = (1.0, 1.5, 2.0, 3.0, 5.0, 8.0)
K_LIMIT = 10_000  # of the engine
MAX_TERMS = 65_536  # of one terms filter


@dataclass(frozen=True, slots=True)
class Filter:
    """A filter as the engine is asked it, and the items it keeps (bool array of shape (I,))."""

    clause: dict[str, Any]
    mask_I: np.ndarray
    field: str


@dataclass(frozen=True, slots=True)
class Recall:
    """Mean recall@100 at the smallest beam that reaches the goal, or at the widest if none does."""

    value: float
    factor: float


def sample_queries(vectors_ID: np.ndarray, histories: Sequence[np.ndarray], rng: np.random.Generator) -> np.ndarray:
    """Vectors of shape (Q, D) like those users have: the mean of the items they chose, or one item at random.

    The towers' own user vectors are not here; the mean of a user's items is what a history tower makes of it, and lies
    where users lie.
    """
    count = len(vectors_ID)
    chosen = list(histories[:QUERIES])
    chosen += [rng.integers(count, size=1) for _ in range(QUERIES - len(chosen))]
    return np.stack([vectors_ID[rows].mean(axis=0) for rows in chosen]).astype(np.float32)


def fifteen_percent(items: Items, rng: np.random.Generator) -> Filter:
    """A filter that keeps 13 to 17 % of the items: by topics if they allow it, else by authors, else by ids."""
    for field in ("item_topic", "item_author_id"):
        if field in items.features.schema.names:
            made = _by_values(items.features[field], field)
            if made is not None:
                return made
    count = min(math.ceil(len(items.ids) * KEPT), MAX_TERMS)
    rows = rng.choice(len(items.ids), size=count, replace=False)
    mask_I = np.zeros(len(items.ids), bool)
    mask_I[rows] = True
    return Filter({"terms": {"item_id": [items.ids[row] for row in rows]}}, mask_I, "item_id")


def _by_values(column: pa.ChunkedArray, field: str) -> Filter | None:
    counts = sorted(
        ((each["counts"], each["values"]) for each in pc.value_counts(column).to_pylist() if each["values"]),
        reverse=True,
    )
    chosen: list[str] = []
    kept, total = 0, len(column)
    for size, value in counts:
        if kept + size <= 0.17 * total and len(chosen) < MAX_TERMS:
            chosen.append(value)
            kept += size
        if kept >= KEPT * total:
            break
    if kept < 0.13 * total:
        return None
    mask = pc.fill_null(pc.is_in(column, value_set=pa.array(chosen, pa.string())), False)
    return Filter({"terms": {field: chosen}}, mask.to_numpy(), field)


def measure(engine: OpenSearch, index: str, items: Items, queries_QD: np.ndarray, only: Filter | None = None) -> Recall:
    """Recall@100 against the exact order, at the smallest beam of `FACTORS` that reaches `GOAL`."""
    floor_Q, places = _floors(items.vectors_ID, queries_QD, None if only is None else only.mask_I)
    recall = Recall(0.0, 1.0)
    rows = {item: row for row, item in enumerate(items.ids)}
    for factor in FACTORS:
        k = min(math.ceil(WANTED * factor), K_LIMIT)

        def found(query: int, k: int = k) -> float:
            hits = _ask(engine, index, queries_QD[query], places, k, only)
            near = items.vectors_ID[[rows[item] for item in hits]] @ queries_QD[query]
            return float(np.count_nonzero(near >= floor_Q[query])) / places

        with ThreadPoolExecutor(2, "recall") as pool:
            recall = Recall(float(np.mean(list(pool.map(found, range(len(queries_QD)))))), factor)
        if recall.value >= GOAL:
            break
    return recall


def _floors(vectors_ID: np.ndarray, queries_QD: np.ndarray, mask_I: np.ndarray | None) -> tuple[np.ndarray, int]:
    """Score of the last true place for each query, a hair below it: a tie with it is as near. And how many places there are."""
    kept_ID = vectors_ID if mask_I is None else vectors_ID[mask_I]
    places = min(PLACES, len(kept_ID))
    floor_Q = np.empty(len(queries_QD), np.float32)
    for query, vector_D in enumerate(queries_QD):
        scores = kept_ID @ vector_D
        floor_Q[query] = np.partition(scores, -places)[-places]
    return floor_Q - 1e-5 * np.abs(floor_Q), places


def _ask(engine: OpenSearch, index: str, vector_D: np.ndarray, size: int, k: int, only: Filter | None) -> list[str]:
    knn: dict[str, Any] = {"vector": [float(value) for value in vector_D], "k": k}
    if only is not None:
        knn["filter"] = {"bool": {"filter": [only.clause]}}
    body = {"size": size, "_source": False, "query": {"knn": {"vector": knn}}}
    answer = engine.call("POST", f"/{index}/_search", body)
    return [hit["_id"] for hit in answer["hits"]["hits"]]
