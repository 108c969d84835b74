"""Click rate and count of a category's values, without a row's own label in its rate.

Rates are means shrunk to the overall mean m: (clicks + a m) / (rows + a); Micci-Barreca (2001), "A preprocessing scheme
for high-cardinality categorical attributes", SIGKDD Explorations 3(1), eq. 4 with lambda = n / (n + a). Out-of-fold as in
Pargent et al. (2022), "Regularized target encoding", Computational Statistics 37: leave it out, and trees learn the leak.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True, slots=True)
class Statistics:
    """What is known of each value: parallel arrays over ascending integer keys."""

    keys: np.ndarray  # int64
    rates: np.ndarray  # [0, 1]
    log_counts: np.ndarray  # ln(1 + rows)
    prior: float  # rate of a value never seen

    def look_up(self, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Rate and log count per row; a key never seen (as is any -1) has the prior and 0.

        Examples
        --------
        >>> known = fit_statistics(np.array([0, 0, 3]), np.array([1, 0, 1]), smoothing=1.0)
        >>> rates, log_counts = known.look_up(np.array([0, 3, 7]))
        >>> rates.round(3).tolist(), log_counts.round(3).tolist()
        ([0.556, 0.833, 0.667], [1.099, 0.693, 0.0])
        """
        if not len(self.keys):
            return np.full(len(keys), self.prior), np.zeros(len(keys))
        places = np.minimum(np.searchsorted(self.keys, keys), len(self.keys) - 1)
        seen = self.keys[places] == keys
        return np.where(seen, self.rates[places], self.prior), np.where(seen, self.log_counts[places], 0.0)

    def to_document(self) -> dict[str, Any]:
        return {
            "keys": self.keys.tolist(),
            "rates": self.rates.tolist(),
            "log_counts": self.log_counts.tolist(),
            "prior": self.prior,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Statistics:
        return cls(
            keys=np.asarray(document["keys"], np.int64),
            rates=np.asarray(document["rates"], np.float64),
            log_counts=np.asarray(document["log_counts"], np.float64),
            prior=float(document["prior"]),
        )


def fit_statistics(keys: np.ndarray, labels: np.ndarray, *, smoothing: float) -> Statistics:
    """Statistics over all rows, for rows to come."""
    known, inverse = np.unique(keys, return_inverse=True)
    rows = np.bincount(inverse, minlength=len(known)).astype(np.float64)
    clicks = np.bincount(inverse, weights=labels, minlength=len(known))
    prior = float(np.mean(labels))
    return Statistics(known, (clicks + smoothing * prior) / (rows + smoothing), np.log1p(rows), prior)


def out_of_fold(
    keys: np.ndarray, labels: np.ndarray, folds: np.ndarray, *, smoothing: float
) -> tuple[np.ndarray, np.ndarray]:
    """Rate from the other folds, and log count over all, per row.

    The prior is the other folds' mean too: with the overall mean, a value seen in one fold only would carry its own
    label by a hair.

    Parameters
    ----------
    keys, labels, folds : arrays of shape (N,)
        Integer key, label 0 or 1, and fold 0 … K − 1 of each row.

    Returns
    -------
    (rates, log_counts) : arrays of shape (N,)
    """
    known, inverse = np.unique(keys, return_inverse=True)
    width = int(folds.max()) + 1
    cells = inverse * width + folds
    rows_cell = np.bincount(cells, minlength=len(known) * width).astype(np.float64)
    clicks_cell = np.bincount(cells, weights=labels, minlength=len(known) * width)
    rows = rows_cell.reshape(-1, width).sum(1)
    clicks = clicks_cell.reshape(-1, width).sum(1)
    rows_fold = np.bincount(folds, minlength=width)
    clicks_fold = np.bincount(folds, weights=labels, minlength=width)
    others = np.maximum(len(labels) - rows_fold, 1)
    prior = ((labels.sum() - clicks_fold) / others)[folds]
    rates = (clicks[inverse] - clicks_cell[cells] + smoothing * prior) / (rows[inverse] - rows_cell[cells] + smoothing)
    return rates, np.log1p(rows[inverse])
