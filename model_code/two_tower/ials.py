"""Implicit alternating least squares and EASE: the wide, unservable models that teach the towers.

Shape letters: U users, I items, D factors, C rows of one chunk.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from scipy import linalg, sparse
from threadpoolctl import threadpool_limits

from two_tower.threads import available_cores

Progress = Callable[[str], None]


def fit_ials(
    positives_UI: sparse.csr_matrix,
    *,
    dimension: int,
    regularisation: float,
    alpha: float,
    sweeps: int,
    seed: int,
) -> tuple[np.ndarray, np.ndarray]:
    """Exact iALS factors of a binary user × item matrix.

    Minimises Σ_pos (1−s)² + α0 Σ_all s² + λ Σ_u (n_u + α0 I) |u|² + λ Σ_i (n_i + α0 U) |v|²  with s = u·v.

    Parameters
    ----------
    positives_UI : csr matrix of shape (U, I)
        Non-zero where the user chose the item; values are ignored.
    dimension : int
        D ≥ 1.
    regularisation, alpha : float
        λ and α0, both > 0.
    sweeps : int
        Alternations; one last half for the users follows.

    Returns
    -------
    tuple of float32 arrays of shape (U, D) and (I, D)
        Users and items without a positive get the zero vector.

    References
    ----------
    Rendle, Krichene, Zhang, Koren: Revisiting the Performance of iALS on Item Recommendation Benchmarks (2022), eq. 3–6.
    """
    n_items = positives_UI.shape[1]
    by_item_IU = positives_UI.T.tocsr()
    generator = np.random.default_rng(seed)
    items_ID = generator.normal(0, 0.1 / np.sqrt(dimension), (n_items, dimension)).astype(np.float32)
    for _ in range(sweeps):
        users_UD = _solve_side(positives_UI, items_ID, alpha, regularisation)
        items_ID = _solve_side(by_item_IU, users_UD, alpha, regularisation)
    return _solve_side(positives_UI, items_ID, alpha, regularisation), items_ID


def _solve_side(rows: sparse.csr_matrix, fixed_ID: np.ndarray, alpha: float, regularisation: float) -> np.ndarray:
    """The exact least-squares vector of every row against the fixed side."""
    dimension = fixed_ID.shape[1]
    gram_DD = alpha * (fixed_ID.T @ fixed_ID)
    solved = np.zeros((rows.shape[0], dimension), dtype=np.float32)
    indptr, indices = rows.indptr, rows.indices
    ridge = regularisation * (np.diff(indptr) + alpha * fixed_ID.shape[0])
    diagonal = np.arange(dimension)

    def solve(chunk: range) -> None:
        left_CDD = np.broadcast_to(gram_DD, (len(chunk), dimension, dimension)).copy()
        right_CD = np.zeros((len(chunk), dimension), dtype=np.float32)
        for place, row in enumerate(chunk):
            chosen = fixed_ID[indices[indptr[row] : indptr[row + 1]]]
            left_CDD[place] += chosen.T @ chosen
            right_CD[place] = chosen.sum(axis=0)
        left_CDD[:, diagonal, diagonal] += np.maximum(ridge[chunk.start : chunk.stop, None], 1e-6)
        solved[chunk.start : chunk.stop] = np.linalg.solve(left_CDD, right_CD[:, :, None])[:, :, 0]

    size = max(8, 4_000_000 // dimension**2)  # 16 MB of normal equations at a time and thread
    chunks = [range(start, min(start + size, rows.shape[0])) for start in range(0, rows.shape[0], size)]
    # Many small products: threads of our own beat threads inside BLAS, which would wait for each other.
    with threadpool_limits(limits=1, user_api="blas"), ThreadPoolExecutor(available_cores()) as pool:
        list(pool.map(solve, chunks))
    return solved


def fit_ease(positives_UI: sparse.csr_matrix, *, regularisation: float) -> np.ndarray:
    """Item × item weights of EASE; a user's scores are his row of positives times them.

    Returns
    -------
    float32 array of shape (I, I), zero on the diagonal. Memory and time grow with I² and I³.

    References
    ----------
    Steck: Embarrassingly Shallow Autoencoders for Sparse Data (2019), eq. 8.
    """
    gram_II = (positives_UI.T @ positives_UI).toarray().astype(np.float64)
    np.fill_diagonal(gram_II, gram_II.diagonal() + regularisation)
    factor = linalg.cho_factor(gram_II, lower=True, overwrite_a=True, check_finite=False)
    inverse_II = linalg.cho_solve(factor, np.eye(len(gram_II)), overwrite_b=True, check_finite=False)
    weights_II = (-inverse_II / inverse_II.diagonal()).astype(np.float32)
    np.fill_diagonal(weights_II, 0)
    return weights_II
