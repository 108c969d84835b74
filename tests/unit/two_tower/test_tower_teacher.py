from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from two_tower.distil import distil_whole, truncated_svd
from two_tower.distil_sampled import distil_sampled, factor_svd, z_scored_factors
from two_tower.history import fit_history, normalised_history, ridge
from two_tower.ials import fit_ease, fit_ials
from two_tower.teacher import z_scored


def taste_matrix(users: int = 60, items: int = 40, seed: int = 0) -> sparse.csr_matrix:
    """Two groups of users, each choosing mostly from its own half of the items; everyone chooses something."""
    rng = np.random.default_rng(seed)
    same = (np.arange(users)[:, None] % 2) == (np.arange(items)[None, :] % 2)
    chosen = rng.random((users, items)) < np.where(same, 0.4, 0.05)
    chosen[np.arange(users), np.arange(users) % items] = True
    return sparse.csr_matrix(chosen.astype(np.float32))


def quiet(_line: str) -> None: ...


def test_ials_user_vectors_are_where_the_stated_loss_has_no_slope() -> None:
    X, (reg, alpha) = taste_matrix(), (0.02, 0.3)
    users, items = (
        part.astype(np.float64) for part in fit_ials(X, dimension=6, regularisation=reg, alpha=alpha, sweeps=3, seed=0)
    )
    dense, scores = X.toarray(), users @ items.T
    pull = reg * (dense.sum(1, keepdims=True) + alpha * dense.shape[1])
    slope = (dense * (scores - 1)) @ items + alpha * scores @ items + pull * users
    assert np.abs(slope).max() < 1e-4


def test_ials_separates_the_two_tastes() -> None:
    X = taste_matrix()
    users, items = fit_ials(X, dimension=6, regularisation=0.02, alpha=0.3, sweeps=5, seed=0)
    same = (np.arange(60)[:, None] % 2) == (np.arange(40)[None, :] % 2)
    scores = users @ items.T
    assert scores[same].mean() > 3 * scores[~same].mean()


def test_a_row_without_positives_gets_the_zero_vector() -> None:
    X = sparse.vstack([taste_matrix(), sparse.csr_matrix((1, 40), dtype=np.float32)], format="csr")
    users, _ = fit_ials(X, dimension=4, regularisation=0.02, alpha=0.3, sweeps=2, seed=0)
    assert not users[-1].any()


def test_ease_weights_solve_its_constrained_regression() -> None:
    X, ridge_weight = taste_matrix().toarray().astype(np.float64), 5.0
    weights = fit_ease(taste_matrix(), regularisation=ridge_weight).astype(np.float64)
    assert not weights.diagonal().any()
    slope = X.T @ (X @ weights - X) + ridge_weight * weights
    np.fill_diagonal(slope, 0)  # the diagonal is held at zero by a multiplier
    assert np.abs(slope).max() < 1e-3


def test_conjugate_gradients_find_the_ridge_solution() -> None:
    rng = np.random.default_rng(0)
    design, target = taste_matrix(), rng.normal(size=(60, 3)).astype(np.float32)
    dense = design.toarray()
    exact = np.linalg.solve(dense.T @ dense + 2 * np.eye(40), dense.T @ target)
    assert np.allclose(ridge(design, target, 2.0), exact, atol=1e-3)


def test_a_history_tower_gives_users_back_from_what_they_chose() -> None:
    X = taste_matrix()
    users, _ = fit_ials(X, dimension=4, regularisation=0.02, alpha=0.3, sweeps=5, seed=0)
    rebuilt = normalised_history(X) @ fit_history(X, users, 0.01)
    assert np.corrcoef(rebuilt.ravel(), users.ravel())[0, 1] > 0.95


def test_z_scores_from_factors_are_those_of_the_matrix() -> None:
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(9, 5)), rng.normal(size=(20, 5)) + 1
    fast_users, fast_items = z_scored_factors(users, items)
    assert np.allclose(fast_users @ fast_items.T, z_scored(users @ items.T), atol=1e-8)


def test_both_ways_to_the_truncated_svd_agree() -> None:
    rng = np.random.default_rng(0)
    users, items = rng.normal(size=(50, 12)).astype(np.float32), rng.normal(size=(30, 12)).astype(np.float32)
    dense, thin = truncated_svd(users @ items.T, 5, 0), factor_svd(users, items, 5)
    assert np.allclose(dense[0] @ dense[1].T, thin[0] @ thin[1].T, atol=0.02)


def test_a_matrix_smaller_than_the_vectors_leaves_the_rest_zero() -> None:
    users, items = truncated_svd(np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32), 64, 0)
    assert users.shape == (3, 64)
    assert items.shape == (4, 64)
    assert not users[:, 3:].any()


def cross_entropy(users: np.ndarray, items: np.ndarray, target: np.ndarray, weights: np.ndarray) -> float:
    scores = users @ items.T
    log_p = scores - np.log(np.exp(scores).sum(1, keepdims=True))
    return float(-(weights * (target * log_p).sum(1)).sum() / weights.sum())


@pytest.fixture
def taught() -> tuple[np.ndarray, sparse.csr_matrix, tuple[np.ndarray, np.ndarray]]:
    X = taste_matrix()
    teacher = fit_ials(X, dimension=12, regularisation=0.02, alpha=0.3, sweeps=5, seed=0)
    return z_scored(teacher[0] @ teacher[1].T), X, teacher


def test_whole_distillation_comes_close_to_the_entropy_of_its_target(taught) -> None:
    scores, X, _ = taught
    counts = np.diff(X.indptr)
    soft = np.exp(scores) / np.exp(scores).sum(1, keepdims=True)
    target = 0.9 * soft + 0.1 * X.toarray() / counts[:, None]
    floor = float((counts * -(target * np.log(target)).sum(1)).sum() / counts.sum())
    start = truncated_svd(scores, 16, 0)
    found = distil_whole(scores, X, start, iterations=60, progress=quiet)
    before, after = (cross_entropy(*pair, target, counts) for pair in (start, found))
    assert floor < after < before
    assert after - floor < 0.2 * (before - floor) + 0.01


def test_sampled_distillation_orders_items_as_its_teacher_does(taught) -> None:
    scores, X, teacher = taught
    factors = z_scored_factors(*teacher)
    users, items = distil_sampled(factors, X, factor_svd(*factors, 8), epochs=12, seed=0, progress=quiet)
    found = users @ items.T
    assert np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(found, scores, strict=True)]) > 0.8


def test_equal_seeds_give_equal_vectors(taught) -> None:
    _, X, teacher = taught
    factors = z_scored_factors(*teacher)
    runs = [distil_sampled(factors, X, factor_svd(*factors, 8), epochs=2, seed=3, progress=quiet) for _ in range(2)]
    assert np.array_equal(runs[0][0], runs[1][0])
