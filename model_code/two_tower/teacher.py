"""Id vectors by a teacher: iALS alone, or an ensemble of iALS, EASE and a history tower, distilled to the towers' width.

The teacher is too wide to serve. What it knows about (user, item) pairs becomes the start of the towers' id embeddings.
Shape letters: U users, I items, D factors, S rows of side information.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from two_tower.data import Prepared, known_rows
from two_tower.distil import distil_whole, truncated_svd
from two_tower.distil_sampled import Factors, distil_sampled, factor_svd, z_scored_factors
from two_tower.encoding import UNKNOWN
from two_tower.history import fit_history, history_scores
from two_tower.ials import Progress, fit_ease, fit_ials
from two_tower.model import DIMENSION
from two_tower.warm import WarmIds, warm_start

WHOLE_MATRIX_CELLS = 25_000_000  # beyond it the score matrix is not materialised (100 MB in float32)
EASE_ITEMS = 10_000  # beyond it EASE's item × item inverse is left out (seconds grow with the cube)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Numbers of the teachers; the defaults were measured on MovieLens 1M and gowalla (docs/decisions/two_tower-teacher.md).

    `narrow`, `wide` and `sparse` are (factors, λ, α0) of an iALS; the last is for matrices too large to form.
    """

    sweeps: int = 8
    narrow: tuple[int, float, float] = (64, 0.009, 0.1)
    wide: tuple[int, float, float] | None = (128, 0.006, 0.2)
    sparse: tuple[int, float, float] = (160, 0.006, 0.015)
    sparse_sweeps: int = 6
    ease_regularisation: float = 500.0
    history_regularisation: float = 1.0
    iterations: int = 40
    epochs: int = 12


def teach(
    prepared: Prepared, teacher: str, recipe: Recipe, seed: int, warm: WarmIds | None, progress: Progress
) -> Factors:
    """Id vectors distilled from the teacher, float32 of shape (U, D) and (I, D); rows as in the vocabulary.

    Parameters
    ----------
    teacher : str
        ``ials`` or ``ensemble``. Where users × items exceed `WHOLE_MATRIX_CELLS`, both mean one wide iALS, distilled by
        sampled batches.
    warm : WarmIds or None
        The distillation starts from these vectors for the ids they know, so that vectors move little from night to night.
    """
    positives_UI, side_SI = prepared.positives_UI, side_information(prepared)
    progress(f"teacher {teacher} on {positives_UI.nnz} pairs and {side_SI.shape[0]} item attributes")
    if np.prod(positives_UI.shape, dtype=np.int64) > WHOLE_MATRIX_CELLS:
        factors = z_scored_factors(*ials(positives_UI, side_SI, recipe.sparse, recipe.sparse_sweeps, seed, progress))
        start = _from_warm(factor_svd(*factors, DIMENSION), prepared, warm)
        return distil_sampled(factors, positives_UI, start, epochs=recipe.epochs, seed=seed, progress=progress)
    if teacher == "ensemble":
        scores_UI = ensemble_scores(positives_UI, side_SI, recipe, seed, progress)
    else:
        numbers = recipe.wide or recipe.narrow
        users_UD, items_ID = ials(positives_UI, side_SI, numbers, recipe.sweeps, seed, progress)
        scores_UI = z_scored(users_UD @ items_ID.T)
    start = _from_warm(truncated_svd(scores_UI, DIMENSION, seed), prepared, warm)
    return distil_whole(scores_UI, positives_UI, start, iterations=recipe.iterations, progress=progress)


def _from_warm(start: Factors, prepared: Prepared, warm: WarmIds | None) -> Factors:
    return start if warm is None else warm_start(start, prepared.vocabulary, warm)


def side_information(prepared: Prepared) -> sparse.csr_matrix:
    """One row per value of an item category, marking the items that have it: users who like just that.

    The teachers see them below the users, so items of one topic or author come together before clicks say so.
    Shape (S, I); S may be 0.
    """
    known = known_rows(prepared.catalogue["item_id"])
    blocks = [sparse.csr_matrix((0, len(known)), dtype=np.float32)]
    for column in prepared.vocabulary.item_columns:
        if column.kind == "category":
            values = prepared.catalogue[column.name][known]
            where = np.flatnonzero(values != UNKNOWN)
            ones = np.ones(len(where), dtype=np.float32)
            blocks.append(sparse.csr_matrix((ones, (values[where] - 1, where)), shape=(len(column.index), len(known))))
    side_SI = sparse.vstack(blocks, format="csr")
    return side_SI[np.diff(side_SI.indptr) > 1]  # a value of one item ties it to nothing


def z_scored(scores_UI: np.ndarray) -> np.ndarray:
    """Every user's scores with mean 0 and deviation 1 over all items; in place."""
    scores_UI -= scores_UI.mean(axis=1, keepdims=True)
    scores_UI /= np.maximum(scores_UI.std(axis=1, keepdims=True), 1e-6)
    return scores_UI


def ensemble_scores(
    positives_UI: sparse.csr_matrix, side_SI: sparse.csr_matrix, recipe: Recipe, seed: int, progress: Progress
) -> np.ndarray:
    """Mean of the members' z-scores, shape (U, I): a narrow and a wide iALS, a history tower on the narrow one, EASE."""
    users_UD, items_ID = ials(positives_UI, side_SI, recipe.narrow, recipe.sweeps, seed, progress)
    history_ID = fit_history(positives_UI, users_UD, recipe.history_regularisation)
    total_UI = z_scored(users_UD @ items_ID.T)
    total_UI += z_scored(history_scores(positives_UI, history_ID, items_ID))
    members = 2
    if recipe.wide is not None:
        users_UD, items_ID = ials(positives_UI, side_SI, recipe.wide, recipe.sweeps, seed, progress)
        total_UI += z_scored(users_UD @ items_ID.T)
        members += 1
    if positives_UI.shape[1] <= EASE_ITEMS:
        progress("EASE")
        rows = sparse.vstack([positives_UI, side_SI], format="csr")
        weights_II = fit_ease(rows, regularisation=recipe.ease_regularisation)
        total_UI += z_scored(np.asarray(positives_UI @ weights_II))
        members += 1
    return total_UI / members


def ials(
    positives_UI: sparse.csr_matrix,
    side_SI: sparse.csr_matrix,
    numbers: tuple[int, float, float],
    sweeps: int,
    seed: int,
    progress: Progress,
) -> Factors:
    """iALS factors of users and items, the side information helping the items."""
    dimension, regularisation, alpha = numbers
    progress(f"iALS with {dimension} factors, λ {regularisation:g}, α0 {alpha:g}, {sweeps} sweeps")
    rows = sparse.vstack([positives_UI, side_SI], format="csr")
    users, items = fit_ials(
        rows, dimension=dimension, regularisation=regularisation, alpha=alpha, sweeps=sweeps, seed=seed
    )
    return users[: positives_UI.shape[0]], items
