"""Stage one on the holdout: exact nearest items per user, without what the user already chose.

Letters: U users, I items, D dimensions, K places, P relevant pairs.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.holdout import Queries
from evaluation.metrics import ndcg_at_k, recall_at_k

K = 100
CHUNK = 1024  # users scored at once


@dataclass(frozen=True, slots=True)
class Retrieved:
    """What each user is given, and where his relevant items stand in it."""

    top_UK: np.ndarray  # item index, best first
    rank_P: np.ndarray  # place (from 0) of each relevant pair's item; K where it is not among them

    def hits(self, queries: Queries, chosen: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`(hits_UK, relevant_U, users)` of the users with a relevant pair, all pairs or the chosen ones."""
        pairs = np.ones(len(self.rank_P), bool) if chosen is None else chosen
        relevant = np.bincount(queries.pair_user[pairs], minlength=len(self.top_UK))
        hits = np.zeros((len(self.top_UK), self.top_UK.shape[1] + 1), bool)
        hits[queries.pair_user[pairs], self.rank_P[pairs]] = True
        users = np.flatnonzero(relevant)
        return hits[users, :-1], relevant[users], users

    def per_user(self, queries: Queries, chosen: np.ndarray | None = None) -> dict[str, np.ndarray]:
        """Recall and NDCG per user with a relevant item; `user` says which."""
        hits, relevant, users = self.hits(queries, chosen)
        measured = {f"recall_at_{k}": recall_at_k(hits, relevant, min(k, hits.shape[1])) for k in (10, 50, 100)}
        return {"user": users, "ndcg_at_10": ndcg_at_k(hits, relevant, min(10, hits.shape[1])), **measured}


def retrieve(user_vectors: np.ndarray, item_vectors: np.ndarray, queries: Queries) -> Retrieved:
    """The K items with the largest dot product per user, history left out.

    Ties keep item order, as the index does; with fewer than K items, all of them are ranked.
    """
    places = min(K, len(item_vectors))
    top = np.empty((len(user_vectors), places), np.int64)
    for start in range(0, len(user_vectors), CHUNK):
        scores = user_vectors[start : start + CHUNK] @ item_vectors.T
        top[start : start + CHUNK] = _best(_without_history(scores, queries, start), places)
    return Retrieved(top, ranks_of(top, queries))


def most_popular(popularity: np.ndarray, queries: Queries) -> Retrieved:
    """The same for everybody: the most chosen items of the time before, history left out."""
    places = min(K, len(popularity))
    top = np.empty((queries.count, places), np.int64)
    for start in range(0, queries.count, CHUNK):
        rows = min(CHUNK, queries.count - start)
        scores = np.tile(popularity.astype(np.float32), (rows, 1))
        top[start : start + rows] = _best(_without_history(scores, queries, start), places)
    return Retrieved(top, ranks_of(top, queries))


def ranks_of(top: np.ndarray, queries: Queries) -> np.ndarray:
    """Place of each relevant pair's item in its user's list; the list's length where it is absent."""
    found = top[queries.pair_user] == queries.pair_item[:, None]
    return np.where(found.any(1), found.argmax(1), top.shape[1])


def _without_history(scores: np.ndarray, queries: Queries, start: int) -> np.ndarray:
    first, last = np.searchsorted(queries.seen_user, (start, start + len(scores)))
    scores[queries.seen_user[first:last] - start, queries.seen_item[first:last]] = -np.inf
    return scores


def _best(scores: np.ndarray, places: int) -> np.ndarray:
    """Indices of the largest scores per row, best first, ties in item order."""
    if places == scores.shape[1]:
        return np.argsort(-scores, axis=1, kind="stable")
    top = np.sort(np.argpartition(-scores, places - 1, axis=1)[:, :places], axis=1)
    values = np.take_along_axis(scores, top, axis=1)
    order = np.argsort(-values, axis=1, kind="stable")
    best = np.take_along_axis(top, order, axis=1)
    # Where the last place is tied with items outside, the partition kept arbitrary ones of them.
    least = values.min(axis=1)
    for row in np.flatnonzero((scores >= least[:, None]).sum(axis=1) > places):
        best[row] = np.argsort(-scores[row], kind="stable")[:places]
    return best
