"""A teacher's numbers chosen on the validation split, where the data is small enough for that to take seconds.

How much an iALS must be held back depends on how many positives a user has: numbers measured on MovieLens 1M (165 a user)
overfit a small site's month (30 a user).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from two_tower.data import Prepared, known_rows
from two_tower.encoding import UNKNOWN
from two_tower.ials import Progress
from two_tower.recall import recall_metrics
from two_tower.teacher import Recipe, ials, side_information

# (λ, α0) of the narrow iALS, from what large data wants to what small data wants.
CANDIDATES = ((0.009, 0.1), (0.006, 0.3), (0.01, 0.5), (0.006, 1.0), (0.003, 2.0))
SMALL_EASE = 1500.0  # EASE's λ where data is small
SWEEPS = 4  # on small data more sweeps only overfit


def search_recipe(prepared: Prepared, recipe: Recipe, stop_metric: str, seed: int, progress: Progress) -> Recipe:
    """The recipe with the (λ, α0) whose narrow iALS has the best `stop_metric`.

    Where that is another than the recipe's own, data is too small for the wide iALS, which is left out, and EASE is held
    back more.
    """
    side_SI = side_information(prepared)
    found: list[tuple[float, tuple[float, float]]] = []
    for regularisation, alpha in CANDIDATES:
        numbers = (recipe.narrow[0], regularisation, alpha)
        users_UD, items_ID = ials(prepared.positives_UI, side_SI, numbers, SWEEPS, seed, progress)
        found.append((_value(prepared, users_UD, items_ID, stop_metric), (regularisation, alpha)))
    best, (regularisation, alpha) = max(found)
    progress(f"λ {regularisation:g}, α0 {alpha:g} has the best {stop_metric}, {best:.4f}")
    if (regularisation, alpha) == recipe.narrow[1:]:
        return recipe
    return replace(
        recipe,
        narrow=(recipe.narrow[0], regularisation, alpha),
        wide=None,
        sweeps=SWEEPS,
        ease_regularisation=SMALL_EASE,
        iterations=recipe.iterations // 2,
    )


def _value(prepared: Prepared, users_UD: np.ndarray, items_ID: np.ndarray, stop_metric: str) -> float:
    """The metric over all validation users; a stranger gets the mean user's list, an unknown item comes last."""
    known = known_rows(prepared.catalogue["item_id"])
    rows = prepared.validation.users["user_id"]
    vectors = np.where(rows[:, None] != UNKNOWN, users_UD[rows - 1], users_UD.mean(axis=0))

    def score(chunk: slice) -> np.ndarray:
        scores = np.full((chunk.stop - chunk.start, len(prepared.catalogue_ids)), -np.inf, dtype=np.float32)
        scores[:, known] = vectors[chunk] @ items_ID.T
        return scores

    return recall_metrics(score, prepared.validation)[stop_metric]
