"""User vectors from what users chose: learned history embeddings, fitted by ridge regression.

Shape letters: U users, I items, D factors.
"""

from __future__ import annotations

import numpy as np
from scipy import sparse


def normalised_history(positives_UI: sparse.csr_matrix) -> sparse.csr_matrix:
    """Each user's positives with weight 1/√n: few choices move the vector less than many that agree."""
    counts = np.maximum(np.diff(positives_UI.indptr), 1)
    return sparse.csr_matrix(
        (
            np.repeat(1 / np.sqrt(counts), np.diff(positives_UI.indptr)).astype(np.float32),
            positives_UI.indices,
            positives_UI.indptr,
        ),
        shape=positives_UI.shape,
    )


def fit_history(positives_UI: sparse.csr_matrix, users_UD: np.ndarray, regularisation: float) -> np.ndarray:
    """Item embeddings E with (1/√n) Σ E_i nearest to the user vectors; shape (I, D)."""
    return ridge(normalised_history(positives_UI), users_UD, regularisation)


def history_scores(positives_UI: sparse.csr_matrix, history_ID: np.ndarray, items_ID: np.ndarray) -> np.ndarray:
    """Scores of users known by their history alone; shape (U, I)."""
    return (normalised_history(positives_UI) @ history_ID) @ items_ID.T


def ridge(
    design_RF: sparse.csr_matrix, target_RD: np.ndarray, regularisation: float, iterations: int = 60
) -> np.ndarray:
    """argmin |X W − Y|² + λ|W|², by conjugate gradients on all columns at once; shape (F, D).

    Never forms XᵀX, so F may be the whole catalogue.
    """
    weights = np.zeros((design_RF.shape[1], target_RD.shape[1]), dtype=np.float32)
    transposed = design_RF.T.tocsr()
    residual = np.asarray(transposed @ target_RD, dtype=np.float32)
    direction = residual.copy()
    norm = (residual**2).sum(axis=0)
    floor = 1e-8 * np.maximum(norm, 1e-20)
    for _ in range(iterations):
        image = transposed @ (design_RF @ direction) + regularisation * direction
        step = norm / np.maximum((direction * image).sum(axis=0), 1e-20)
        weights += step * direction
        residual -= step * image
        fresh = (residual**2).sum(axis=0)
        if (fresh <= floor).all():
            break
        direction = residual + (fresh / np.maximum(norm, 1e-20)) * direction
        norm = fresh
    return weights
