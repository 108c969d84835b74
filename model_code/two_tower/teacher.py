"""Id vectors by a teacher: iALS alone, or an ensemble of iALS, EASE and a history tower, distilled to the towers' width.

The teacher is too wide to serve. What it knows about (user, item) pairs becomes the start of the towers' id embeddings.
Shape letters: U users, I items, D factors.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from two_tower.data import Prepared
from two_tower.distil import distil_whole, truncated_svd
from two_tower.distil_sampled import distil_sampled, factor_svd, z_scored_factors
from two_tower.history import fit_history, history_scores
from two_tower.ials import Progress, fit_ease, fit_ials
from two_tower.model import DIMENSION
from two_tower.warm import WarmIds, warm_start

WHOLE_MATRIX_CELLS = 25_000_000  # beyond it the score matrix is not materialised (100 MB in float32)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Numbers of the teachers; the defaults were measured on MovieLens 1M (docs/decisions/two_tower-teacher.md)."""

    sweeps: int = 8
    narrow: tuple[int, float, float] = (64, 0.009, 0.1)  # factors, λ, α0
    wide: tuple[int, float, float] = (128, 0.006, 0.2)
    ease_regularisation: float = 500.0
    history_regularisation: float = 1.0
    iterations: int = 40
    sparse: tuple[int, float, float] = (160, 0.006, 0.015)  # where the matrix is too large, and so too sparse
    sparse_sweeps: int = 6
    epochs: int = 12


def z_scored(scores_UI: np.ndarray) -> np.ndarray:
    """Every user's scores with mean 0 and deviation 1 over all items."""
    scores_UI -= scores_UI.mean(axis=1, keepdims=True)
    scores_UI /= np.maximum(scores_UI.std(axis=1, keepdims=True), 1e-6)
    return scores_UI


def ensemble_scores(positives_UI: sparse.csr_matrix, recipe: Recipe, seed: int, progress: Progress) -> np.ndarray:
    """Mean of the members' z-scores, shape (U, I): a narrow and a wide iALS, a history tower on the narrow one, EASE."""
    users_UD, items_ID = _ials(positives_UI, recipe.narrow, recipe.sweeps, seed, progress)
    history_ID = fit_history(positives_UI, users_UD, recipe.history_regularisation)
    total_UI = z_scored(users_UD @ items_ID.T)
    total_UI += z_scored(history_scores(positives_UI, history_ID, items_ID))
    users_UD, items_ID = _ials(positives_UI, recipe.wide, recipe.sweeps, seed, progress)
    total_UI += z_scored(users_UD @ items_ID.T)
    progress("EASE")
    total_UI += z_scored(np.asarray(positives_UI @ fit_ease(positives_UI, regularisation=recipe.ease_regularisation)))
    return total_UI / 4


def _ials(
    positives_UI: sparse.csr_matrix, numbers: tuple[int, float, float], sweeps: int, seed: int, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    dimension, regularisation, alpha = numbers
    progress(f"iALS with {dimension} factors, {sweeps} sweeps")
    return fit_ials(
        positives_UI, dimension=dimension, regularisation=regularisation, alpha=alpha, sweeps=sweeps, seed=seed
    )


def teach(
    prepared: Prepared, teacher: str, recipe: Recipe, seed: int, warm: WarmIds | None, progress: Progress
) -> tuple[np.ndarray, np.ndarray]:
    """Id vectors distilled from the teacher, float32 of shape (U, D) and (I, D); rows as in the vocabulary.

    Parameters
    ----------
    teacher : str
        ``ials`` or ``ensemble``. Where users × items exceed `WHOLE_MATRIX_CELLS`, both mean one wide iALS, distilled by
        sampled batches.
    warm : WarmIds or None
        The distillation starts from these vectors for the ids they know, so that vectors move little from night to night.
    """
    positives_UI = prepared.positives_UI
    progress(f"teacher {teacher} on {positives_UI.nnz} pairs")
    if np.prod(positives_UI.shape, dtype=np.int64) > WHOLE_MATRIX_CELLS:
        factors = z_scored_factors(*_ials(positives_UI, recipe.sparse, recipe.sparse_sweeps, seed, progress))
        start = _from_warm(factor_svd(*factors, DIMENSION), prepared, warm)
        return distil_sampled(factors, positives_UI, start, epochs=recipe.epochs, seed=seed, progress=progress)
    if teacher == "ensemble":
        scores_UI = ensemble_scores(positives_UI, recipe, seed, progress)
    else:
        users_UD, items_ID = _ials(positives_UI, recipe.wide, recipe.sweeps, seed, progress)
        scores_UI = z_scored(users_UD @ items_ID.T)
    start = _from_warm(truncated_svd(scores_UI, DIMENSION, seed), prepared, warm)
    return distil_whole(scores_UI, positives_UI, start, iterations=recipe.iterations, progress=progress)


def _from_warm(
    start: tuple[np.ndarray, np.ndarray], prepared: Prepared, warm: WarmIds | None
) -> tuple[np.ndarray, np.ndarray]:
    return start if warm is None else warm_start(start, prepared.vocabulary, warm)
