"""A wide teacher's scores pressed into vectors narrow enough to serve: SVD start, then softmax cross entropy.

Shape letters: U users, I items, D factors of the student, B users of one batch, N sampled items.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import optimize, sparse

from two_tower.ials import Progress

LABEL_SHARE = 0.1


def truncated_svd(scores_UI: np.ndarray, dimension: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Rank-D factors of a dense matrix with √σ on both sides, by subspace iteration.

    References
    ----------
    Halko, Martinsson, Tropp: Finding Structure with Randomness (2011), algorithms 4.4 and 5.1.
    """
    width = min(dimension + 8, *scores_UI.shape)
    start = np.random.default_rng(seed).normal(size=(scores_UI.shape[1], width)).astype(np.float32)
    basis, _ = np.linalg.qr(scores_UI @ start)
    for _ in range(4):
        basis, _ = np.linalg.qr(scores_UI.T @ basis)
        basis, _ = np.linalg.qr(scores_UI @ basis)
    left, sigma, right = np.linalg.svd(basis.T @ scores_UI, full_matrices=False)
    root = np.sqrt(sigma[:dimension])
    return _padded((basis @ left)[:, :dimension] * root, dimension), _padded(right[:dimension].T * root, dimension)


def _padded(factors: np.ndarray, dimension: int) -> np.ndarray:
    """A matrix smaller than D has fewer than D factors; the rest is zero."""
    missing = dimension - factors.shape[1]
    return np.pad(factors, ((0, 0), (0, missing))).astype(np.float32)


def distil_whole(
    scores_UI: np.ndarray,
    positives_UI: sparse.csr_matrix,
    start: tuple[np.ndarray, np.ndarray],
    *,
    iterations: int,
    progress: Progress,
) -> tuple[np.ndarray, np.ndarray]:
    """Fit user and item vectors to softmax targets over all items, by L-BFGS on the whole matrix.

    The target of user u is 0.9·softmax(scores_u) + 0.1·(his positives, evenly); users weigh n_u / mean n.

    Parameters
    ----------
    scores_UI : float32 array of shape (U, I)
        The teacher's scores, z-scored per user.
    start : arrays of shape (U, D) and (I, D)
    iterations : int
        L-BFGS iterations, each about one pass over the matrix.
    """
    target_UI = _whole_target(scores_UI, positives_UI)
    counts = np.diff(positives_UI.indptr).astype(np.float32)
    weights_U1 = torch.from_numpy(counts / counts.sum())[:, None]  # = n_u / mean n, averaged over users
    (n_users, dimension), n_items = start[0].shape, len(start[1])
    chunk = max(64, 2_000_000 // n_items)
    passes = 0

    def loss_and_gradient(flat: np.ndarray) -> tuple[float, np.ndarray]:
        nonlocal passes
        users = torch.from_numpy(flat[: n_users * dimension].astype(np.float32)).view(n_users, dimension)
        items = torch.from_numpy(flat[n_users * dimension :].astype(np.float32)).view(n_items, dimension)
        to_users, to_items = torch.empty_like(users), torch.zeros_like(items)
        loss = 0.0
        for first in range(0, n_users, chunk):
            rows = slice(first, min(first + chunk, n_users))
            log_p = torch.log_softmax(users[rows] @ items.T, dim=1)
            target = torch.from_numpy(target_UI[rows])
            loss -= float((weights_U1[rows] * (target * log_p).sum(1, keepdim=True)).sum())
            log_p.exp_().sub_(target).mul_(weights_U1[rows])
            torch.mm(log_p, items, out=to_users[rows])
            to_items.addmm_(log_p.T, users[rows])
        passes += 1
        if passes % 10 == 0:
            progress(f"distillation: pass {passes}, cross entropy {loss:.4f}")
        return loss, torch.cat([to_users.reshape(-1), to_items.reshape(-1)]).numpy().astype(np.float64)

    flat = np.concatenate([start[0].ravel(), start[1].ravel()]).astype(np.float64)
    found = optimize.minimize(
        loss_and_gradient, flat, jac=True, method="L-BFGS-B", options={"maxiter": iterations, "maxcor": 10}
    ).x.astype(np.float32)
    return found[: n_users * dimension].reshape(n_users, dimension), found[n_users * dimension :].reshape(-1, dimension)


def _whole_target(scores_UI: np.ndarray, positives_UI: sparse.csr_matrix) -> np.ndarray:
    target_UI = np.exp(scores_UI - scores_UI.max(axis=1, keepdims=True))
    target_UI *= (1 - LABEL_SHARE) / target_UI.sum(axis=1, keepdims=True)
    counts = np.diff(positives_UI.indptr)
    rows = np.repeat(np.arange(len(counts)), counts)
    target_UI[rows, positives_UI.indices] += LABEL_SHARE / counts[rows]
    return target_UI
