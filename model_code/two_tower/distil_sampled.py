"""Distillation where users × items do not fit: the teacher stays factors, and each step sees some users and items.

Shape letters: U users, I items, W factors of the teacher, D of the student, B users of a batch, N its items.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from scipy import sparse

from two_tower.ials import Progress

BATCH, UNIFORM = 512, 2000
LABEL_SHARE, TEACHER_TEMPERATURE, START_SCALE = 0.2, 0.7, 0.7
RATE, BETAS = 0.03, (0.9, 0.99)

Factors = tuple[np.ndarray, np.ndarray]


def z_scored_factors(users_UW: np.ndarray, items_IW: np.ndarray) -> Factors:
    """Factors whose products are each user's z-scores over all items, without ever forming them."""
    centred_IW = items_IW - items_IW.mean(axis=0)
    covariance_WW = centred_IW.T @ centred_IW / len(items_IW)
    spread_U = np.sqrt(np.maximum(((users_UW @ covariance_WW) * users_UW).sum(axis=1), 1e-12))
    return users_UW / spread_U[:, None], centred_IW


def factor_svd(users_UW: np.ndarray, items_IW: np.ndarray, dimension: int) -> Factors:
    """The rank-D truncated SVD of users_UW items_IWᵀ, √σ on both sides, from the factors alone."""
    basis_u, small_u = np.linalg.qr(users_UW)
    basis_i, small_i = np.linalg.qr(items_IW)
    left, sigma, right = np.linalg.svd(small_u @ small_i.T)
    root = np.sqrt(sigma[:dimension])
    return (basis_u @ left[:, :dimension] * root).astype(np.float32), (basis_i @ right[:dimension].T * root).astype(
        np.float32
    )


class _RowAdam:
    """Adam on the rows a step touched, with one second moment a row."""

    def __init__(self, table: torch.Tensor) -> None:
        self.table = table
        self.mean, self.square = torch.zeros_like(table), torch.zeros(len(table), 1)
        self.steps = torch.zeros(len(table), 1)

    def step(self, rows: torch.Tensor, gradient: torch.Tensor, rate: float) -> None:
        self.steps[rows] += 1
        steps, (fast, slow) = self.steps[rows], BETAS
        mean = self.mean[rows].mul_(fast).add_(gradient, alpha=1 - fast)
        square = self.square[rows].mul_(slow).add_((gradient**2).mean(1, keepdim=True), alpha=1 - slow)
        self.mean[rows], self.square[rows] = mean, square
        self.table[rows] -= rate * (mean / (1 - fast**steps)) / ((square / (1 - slow**steps)).sqrt() + 1e-10)


def distil_sampled(
    teacher: Factors, positives_UI: sparse.csr_matrix, start: Factors, *, epochs: int, seed: int, progress: Progress
) -> Factors:
    """Fit user and item vectors to 0.8·softmax(0.7·teacher) + 0.2·labels over each batch's items.

    A batch's items are all that its users chose and `UNIFORM` others; log Q, the chance of being among them, is taken
    from both sides' logits. Users weigh √n_u.

    Parameters
    ----------
    teacher : z-scored factors of shape (U, W) and (I, W)
    start : arrays of shape (U, D) and (I, D)
    """
    n_users, n_items = positives_UI.shape
    teacher_users, teacher_items = (torch.from_numpy(np.ascontiguousarray(part, dtype=np.float32)) for part in teacher)
    users, items = torch.from_numpy(start[0] * START_SCALE), torch.from_numpy(start[1].copy())
    of_users, of_items = _RowAdam(users), _RowAdam(items)
    log_q_I = torch.from_numpy(_log_rate(positives_UI))
    weights_U = torch.from_numpy(np.sqrt(np.diff(positives_UI.indptr)).astype(np.float32))
    draw = np.random.default_rng(seed)
    steps = math.ceil(n_users / BATCH)
    for epoch in range(epochs):
        order, total = draw.permutation(n_users), 0.0
        for step in range(steps):
            rows = np.sort(order[step * BATCH : (step + 1) * BATCH])
            labels = positives_UI[rows]
            extra = draw.choice(n_items, min(UNIFORM, n_items), replace=False)
            columns = np.union1d(labels.indices, extra)
            labels_BN = torch.from_numpy(labels[:, columns].toarray())
            chosen, seen = torch.from_numpy(rows), torch.from_numpy(columns)
            log_q = log_q_I[seen]
            target = torch.softmax(TEACHER_TEMPERATURE * (teacher_users[chosen] @ teacher_items[seen].T) - log_q, 1)
            target.mul_(1 - LABEL_SHARE).add_(labels_BN / labels_BN.sum(1, keepdim=True), alpha=LABEL_SHARE)
            users_BD, items_ND = users[chosen], items[seen]
            log_p = torch.log_softmax(users_BD @ items_ND.T - log_q, 1)
            weights = (weights_U[chosen] / weights_U[chosen].sum())[:, None]
            total -= float((weights * (target * log_p).sum(1, keepdim=True)).sum())
            slope = log_p.exp_().sub_(target).mul_(weights)
            rate = RATE * (1 - (epoch * steps + step) / (epochs * steps))
            of_users.step(chosen, slope @ items_ND, rate)
            of_items.step(seen, slope.T @ users_BD, rate)
        progress(f"distillation: epoch {epoch + 1} of {epochs}, cross entropy {total / steps:.4f}")
    return users.numpy(), items.numpy()


def _log_rate(positives_UI: sparse.csr_matrix) -> np.ndarray:
    """log of the chance that an item is among a batch's: drawn uniformly, or chosen by one of its users."""
    n_users, n_items = positives_UI.shape
    chosen = np.bincount(positives_UI.indices, minlength=n_items)
    missed = (1 - min(UNIFORM, n_items) / n_items) * (1 - min(BATCH, n_users) / n_users) ** chosen
    return np.log(np.maximum(1 - missed, 1e-12)).astype(np.float32)
