"""The held-out time of a prepared folder: queries for retrieval, rows for ranking, and which user is which.

Everything a model is shown was known before the holdout began: profiles come from each user's first held-out row (joined
as of that time), popularity and history from the time before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from features.job import JobFailed

LIST_GAP_S = 30 * 60  # a pause this long begins a new list; the usual session cut of web analytics
PROFILE = ("user_age", "user_city", "user_segment", "user_last_5_clicks")


@dataclass(frozen=True, slots=True)
class Queries:
    """U users with something to find. Pairs are (user index, item index), sorted by user."""

    users: list[dict[str, Any]]  # as the user tower's request has them
    pair_user: np.ndarray  # (P,)
    pair_item: np.ndarray  # (P,) -1 where the item has no vector: it cannot be found
    seen_user: np.ndarray  # history
    seen_item: np.ndarray
    new: np.ndarray  # (U,) bool: no positive before the holdout

    @property
    def count(self) -> int:
        return len(self.users)


@dataclass(frozen=True, slots=True)
class Rows:
    """N held-out impressions, ordered by user and time."""

    table: pa.Table
    labels: np.ndarray  # (N,) 0 or 1
    user: np.ndarray  # (N,) 0 … users − 1
    list_of: np.ndarray  # (N,) 0 … lists − 1: one user's impressions without a pause


def read_queries(prepared: Path, item_ids: Sequence[str], *, limit: int, seed: int) -> Queries:
    """Users with a held-out positive that is not in their history, at most `limit` of them, drawn by seed.

    Raises
    ------
    JobFailed
        If the holdout holds no such user.
    """
    columns = ["user_id", "item_id", "event_time", *PROFILE]
    held_out = read_split(prepared, "recall/holdout", columns).sort_by(
        [("user_id", "ascending"), ("event_time", "ascending")]
    )
    history = read_split(prepared, "history", ["user_id", "item_id"])
    seen = set(zip(history["user_id"].to_pylist(), history["item_id"].to_pylist(), strict=True))
    pairs = dict.fromkeys(zip(held_out["user_id"].to_pylist(), held_out["item_id"].to_pylist(), strict=True))
    wanted = [pair for pair in pairs if pair not in seen]
    names = sorted({user for user, _ in wanted})
    if not names:
        raise JobFailed("the holdout has no user with a new positive: nothing to evaluate recall on")
    if len(names) > limit:
        names = sorted(np.random.default_rng(seed).choice(names, limit, replace=False).tolist())
    user_of, item_of = (
        {name: index for index, name in enumerate(names)},
        {name: index for index, name in enumerate(item_ids)},
    )
    pair_user, pair_item = _indexed(wanted, user_of, item_of)
    seen_user, seen_item = _indexed(seen, user_of, item_of)
    old, known = {user for user, _ in seen}, seen_item >= 0
    return Queries(
        users=_profiles(held_out, names),
        pair_user=pair_user,
        pair_item=pair_item,
        seen_user=seen_user[known],
        seen_item=seen_item[known],
        new=np.array([name not in old for name in names]),
    )


def read_popularity(prepared: Path, item_ids: Sequence[str]) -> np.ndarray:
    """Positives of each item before the holdout, shape (I,)."""
    counts = np.zeros(len(item_ids))
    item_of = {name: index for index, name in enumerate(item_ids)}
    for split in ("recall/train", "recall/validation"):
        for entry in read_split(prepared, split, ["item_id"])["item_id"].value_counts().to_pylist():
            if entry["values"] in item_of:
                counts[item_of[entry["values"]]] += entry["counts"]
    return counts


def read_rows(prepared: Path) -> Rows:
    """Every held-out impression, with all its columns.

    Raises
    ------
    JobFailed
        If there is none.
    """
    table = read_split(prepared, "ranking/holdout").sort_by(
        [("user_id", "ascending"), ("event_time", "ascending"), ("event_id", "ascending")]
    )
    user = np.unique(table["user_id"].to_numpy(zero_copy_only=False), return_inverse=True)[1]
    times = table["event_time"].cast(pa.int64()).to_numpy()
    begins = np.ones(len(table), bool)
    begins[1:] = (user[1:] != user[:-1]) | (np.diff(times) > LIST_GAP_S * 1_000_000)
    return Rows(table, table["label"].to_numpy().astype(np.float64), user, np.cumsum(begins) - 1)


def read_split(prepared: Path, split: str, columns: Sequence[str] | None = None) -> pa.Table:
    """All Parquet files of one split.

    Raises
    ------
    JobFailed
        If there is no file or row, or a column is absent.
    """
    files = sorted((prepared / split).glob("*.parquet"))
    if not files:
        raise JobFailed(f"prepared/{split} holds no Parquet file")
    absent = sorted(set(columns or ()) - set(pq.read_schema(files[0]).names))
    if absent:
        raise JobFailed(f"prepared/{split} lacks the columns {', '.join(absent)}")
    table = pa.concat_tables(pq.read_table(file, columns=None if columns is None else list(columns)) for file in files)
    if not len(table) and split != "history":
        raise JobFailed(f"prepared/{split} holds no rows")
    return table.combine_chunks()


def _profiles(held_out: pa.Table, names: Sequence[str]) -> list[dict[str, Any]]:
    """Each user's first held-out row as a request of the user tower. `names` and the rows are sorted alike."""
    ids = held_out["user_id"].to_numpy(zero_copy_only=False)
    first = held_out.take(np.searchsorted(ids, np.array(names, object)))
    filled = {
        name: pc.fill_null(first[name], "") if name in ("user_city", "user_segment") else first[name]
        for name in PROFILE
    }
    lists = {name.removeprefix("user_"): column.to_pylist() for name, column in filled.items()}
    return [
        {
            "user_id": name,
            **{feature: values[place] for feature, values in lists.items()},
            "last_5_clicks": lists["last_5_clicks"][place] or [],
        }
        for place, name in enumerate(names)
    ]


def _indexed(pairs: Any, user_of: dict[str, int], item_of: dict[str, int]) -> tuple[np.ndarray, np.ndarray]:
    # By name, not by index: two releases number their items differently, and their pairs must still line up.
    kept = [(user_of[user], item_of.get(item, -1)) for user, item in sorted(pairs) if user in user_of]
    indices = np.array(kept, np.int64).reshape(-1, 2)
    return indices[:, 0], indices[:, 1]
