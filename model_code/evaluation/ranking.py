"""Stage two on the holdout: probabilities where the labels arose, and the order as it would be served.

Letters: N rows, L lists, K places.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from evaluation.holdout import Rows
from evaluation.metrics import auc, calibration_error, log_loss, ndcg_at_k
from evaluation.release import Release

K = 10


@dataclass(frozen=True, slots=True)
class Ranked:
    """What a ranker says of the held-out rows."""

    logged: np.ndarray  # (N,) probability at the position the item was shown in
    served: np.ndarray  # (N,) probability as if shown first: what the order is made of
    ndcg_L: np.ndarray  # NDCG@10 of each list that has a positive and more than one row
    user_L: np.ndarray  # whose list

    def figures(self, rows: Rows) -> dict[str, float]:
        """The ranking part of evaluation.json. AUC, log loss and calibration are at the logged position."""
        return {
            "auc": auc(rows.labels, self.logged),
            "log_loss": log_loss(rows.labels, self.logged),
            "ndcg_at_10": float(self.ndcg_L.mean()) if len(self.ndcg_L) else float("nan"),
            "calibration_error": calibration_error(rows.labels, self.logged),
        }


def rank(release: Release, rows: Rows) -> Ranked:
    """Score every held-out row both ways."""
    return of_scores(rows, *release.scores(rows.table))


def of_scores(rows: Rows, logged: np.ndarray, served: np.ndarray) -> Ranked:
    """The same from probabilities of shape (N,): at the logged position, and as if shown first."""
    hits, relevant, user = list_hits(rows, served)
    return Ranked(logged, served, ndcg_at_k(hits, relevant, K), user)


def list_hits(rows: Rows, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Each list reordered by score: `(hits_LK, relevant_L, user_L)`; ties keep the logged order.

    Lists without a positive have no NDCG, and lists of one row have only one order: both are left out.
    """
    order = np.lexsort((-scores, rows.list_of))  # stable: ties stay as they were logged
    sizes = np.bincount(rows.list_of)
    begins = np.cumsum(sizes) - sizes
    place = np.arange(len(order)) - begins[rows.list_of[order]]
    hits = np.zeros((len(sizes), K), bool)
    within = place < K
    hits[rows.list_of[order][within], place[within]] = rows.labels[order][within] > 0
    relevant = np.bincount(rows.list_of, weights=rows.labels).astype(np.int64)
    counted = (relevant > 0) & (sizes > 1)
    return hits[counted], relevant[counted], rows.user[begins[counted]]
