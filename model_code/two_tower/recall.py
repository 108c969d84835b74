"""Recall and NDCG of a validation split, and the lists everybody would get beside them.

Shape letters: V validation users, I items, D factors, K places.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from two_tower.data import Validation

PLACES = (10, 50, 100)
METRICS = (*(f"recall_at_{k}" for k in PLACES), "ndcg_at_10")
CHUNK = 512


def recall_metrics(score: Callable[[slice], np.ndarray], validation: Validation) -> dict[str, float]:
    """`recall_at_10/50/100` and `ndcg_at_10`, mean over the validation users.

    Parameters
    ----------
    score : callable
        Slice of validation users to fresh float scores of shape (len, I); higher is better. What a user has seen is
        taken out of his list.

    Returns
    -------
    dict
        Recall is the share of a user's relevant items among his first K; NDCG has binary gain. All in [0, 1].
    """
    per_user: dict[str, list[float]] = {name: [] for name in METRICS}
    discount = 1 / np.log2(np.arange(2, 12))
    for start in range(0, len(validation.relevant), CHUNK):
        chunk = slice(start, min(start + CHUNK, len(validation.relevant)))
        scores = score(chunk)
        for row, seen in enumerate(validation.seen[chunk]):
            scores[row, seen] = -np.inf
        top = _top(scores, min(max(PLACES), scores.shape[1]))
        for places, relevant in zip(top, validation.relevant[chunk], strict=True):
            hits = np.isin(places, relevant)
            for k in PLACES:
                per_user[f"recall_at_{k}"].append(hits[:k].sum() / len(relevant))
            gained = hits[:10] @ discount[: len(hits[:10])]
            per_user["ndcg_at_10"].append(gained / discount[: min(10, len(relevant))].sum())
    return {name: float(np.mean(values)) for name, values in per_user.items()}


def _top(scores: np.ndarray, k: int) -> np.ndarray:
    """Columns of the k highest scores, best first."""
    part = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    order = np.argsort(-np.take_along_axis(scores, part, axis=1), axis=1, kind="stable")
    return np.take_along_axis(part, order, axis=1)


def baselines(counts_I: np.ndarray, validation: Validation, seed: int) -> dict[str, dict[str, float]]:
    """The same metrics for the most chosen items of the training rows, and for a shuffle."""
    shuffle = np.random.default_rng(seed)
    return {
        "popularity": recall_metrics(
            lambda chunk: np.tile(counts_I.astype(np.float64), (chunk.stop - chunk.start, 1)), validation
        ),
        "random": recall_metrics(lambda chunk: shuffle.random((chunk.stop - chunk.start, len(counts_I))), validation),
    }
