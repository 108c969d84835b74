"""The same figures by kind of user and item: a mean may hide whom a candidate is worse for."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.compute as pc

from evaluation.holdout import Queries, Rows, read_split
from evaluation.metrics import auc
from evaluation.ranking import Ranked
from evaluation.retrieval import Retrieved

AGE_BANDS = ((0, 17), (18, 24), (25, 34), (35, 44), (45, 54), (55, 200))
TOP = 8  # cities and topics shown by name, the rest together
OTHER, UNKNOWN = "other", "unknown"


@dataclass(frozen=True, slots=True)
class Segment:
    """One group, as row and pair masks of the holdout."""

    segment: str
    value: str
    rows: np.ndarray  # (N,) bool
    pairs: np.ndarray  # (P,) bool


def segments_of(prepared: Path, rows: Rows, queries: Queries, item_ids: Sequence[str]) -> Iterator[Segment]:
    """Age bands, cities, new and old users, item topics; empty groups are left out."""
    names = {
        "age": (_bands(rows.table["user_age"].to_pylist()), _bands([user["age"] for user in queries.users])),
        "city": _common(_texts(rows.table["user_city"]), np.array([user["city"] or UNKNOWN for user in queries.users])),
        "tenure": _tenure(prepared, rows, queries),
    }
    for segment, (of_rows, of_users) in names.items():
        yield from _groups(segment, of_rows, of_users[queries.pair_user])
    topics = read_split(prepared, "items", ["item_id", "item_topic"])
    topic_of = dict(zip(topics["item_id"].to_pylist(), topics["item_topic"].to_pylist(), strict=True))
    of_items = np.array([*(topic_of.get(item) or UNKNOWN for item in item_ids), UNKNOWN])  # the last is item -1
    yield from _groups("topic", *_common(_texts(rows.table["item_topic"]), of_items[queries.pair_item]))


def measure_segment(
    segment: Segment, rows: Rows, queries: Queries, retrieved: Retrieved, ranked: Ranked
) -> dict[str, Any]:
    """Figures of one group; null where it has nothing to measure them on."""
    measured = retrieved.per_user(queries, segment.pairs) if segment.pairs.any() else None
    ranking = auc(rows.labels[segment.rows], ranked.logged[segment.rows]) if segment.rows.any() else float("nan")
    return {
        "recall_at_100": None if measured is None else float(measured["recall_at_100"].mean()),
        "ndcg_at_10": None if measured is None else float(measured["ndcg_at_10"].mean()),
        "auc": ranking if np.isfinite(ranking) else None,
    }


def sizes(segment: Segment, rows: Rows, queries: Queries) -> dict[str, int]:
    """Users with something to find, impressions and clicks of one group."""
    return {
        "users": len(np.unique(queries.pair_user[segment.pairs])),
        "impressions": int(segment.rows.sum()),
        "clicks": int(rows.labels[segment.rows].sum()),
    }


def _bands(ages: Sequence[float | None]) -> np.ndarray:
    uppers = [upper for _, upper in AGE_BANDS]
    labels = [f"{lower}–{upper}" if upper < 200 else f"{lower}+" for lower, upper in AGE_BANDS]
    known = np.array([np.nan if age is None else age for age in ages], np.float64)
    places = np.minimum(np.searchsorted(uppers, known), len(uppers) - 1)
    return np.where(np.isnan(known), UNKNOWN, np.array(labels)[places])


def _texts(column: Any) -> np.ndarray:
    filled = pc.if_else(pc.equal(pc.fill_null(column, ""), ""), UNKNOWN, column)
    return np.array(filled.to_pylist())


def _common(of_rows: np.ndarray, of_others: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both with everything but the TOP most frequent of the rows' values called `other`."""
    values, counts = np.unique(of_rows, return_counts=True)
    top = values[np.argsort(-counts, kind="stable")[:TOP]]
    return tuple(np.where(np.isin(names, top), names, OTHER) for names in (of_rows, of_others))  # type: ignore[return-value]


def _tenure(prepared: Path, rows: Rows, queries: Queries) -> tuple[np.ndarray, np.ndarray]:
    old = set(read_split(prepared, "history", ["user_id"])["user_id"].to_pylist())
    of_rows = np.array(["old" if user in old else "new" for user in rows.table["user_id"].to_pylist()])
    return of_rows, np.where(queries.new, "new", "old")


def _groups(segment: str, of_rows: np.ndarray, of_pairs: np.ndarray) -> Iterator[Segment]:
    for value in sorted(set(of_rows.tolist()) | set(of_pairs.tolist())):
        yield Segment(segment, value, of_rows == value, of_pairs == value)
