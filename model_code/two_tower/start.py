"""Where the towers start: random, the last release's id vectors, or a teacher's, with features fitted to stand in for ids.

Shape letters: U users, I items, D factors, R training rows, F columns of the ridge design.
"""

from __future__ import annotations

import numpy as np
import torch
from scipy import sparse

from two_tower.data import Prepared, known_rows
from two_tower.encoding import UNKNOWN, Encoded
from two_tower.history import ridge
from two_tower.model import DIMENSION, Tower, TwoTower, as_tensors
from two_tower.warm import WarmIds

FIT_ROWS = 300_000  # of the training rows at most: the ridge fit needs no more
FEATURE_RIDGE = 100.0  # pseudo-rows that pull a feature's row towards nothing; docs/decisions/two_tower-start.md


def start_random(model: TwoTower, scale: float, seed: int) -> None:
    """The same random rows for the same seed, on every machine."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model.user.reset(scale)
        model.item.reset(scale)


def start_warm(model: TwoTower, prepared: Prepared, warm: WarmIds) -> int:
    """Give every id that the last release knew its vector from there; how many those were."""
    return sum(
        _take_over(tower, index.values, ids, vectors)
        for tower, index, ids, vectors in (
            (model.user, prepared.vocabulary.users, warm.users, warm.user_vectors),
            (model.item, prepared.vocabulary.items, warm.items, warm.item_vectors),
        )
    )


def _take_over(tower: Tower, values: list[str], ids: dict[str, int], vectors: np.ndarray) -> int:
    here = [row for row, value in enumerate(values, start=1) if value in ids]
    there = [ids[values[row - 1]] for row in here]
    with torch.no_grad():
        tower.ids.weight[here] = torch.from_numpy(vectors[there])
    return len(here)


def start_from_vectors(model: TwoTower, prepared: Prepared, users_UD: np.ndarray, items_ID: np.ndarray) -> None:
    """Let known ids begin with exactly these vectors, and features with their best guess of them.

    The feature rows are the ridge regression of the vectors on the features; an id's own row is what they leave over
    (for users: at the newest row of the training data). A stranger's vector is the regression's prediction.
    """
    users_R = prepared.users["user_id"]
    rows = np.arange(len(users_R))
    if len(rows) > FIT_ROWS:
        rows = np.random.default_rng(0).choice(rows, FIT_ROWS, replace=False)
    _fit_features(
        model.user, {name: value[rows] for name, value in prepared.users.items()}, users_UD[users_R[rows] - 1]
    )
    newest = np.zeros(len(users_UD), dtype=np.int64)
    newest[users_R - 1] = np.arange(len(users_R))  # rows are in time order: the last one stays
    _leave_over(model.user, {name: value[newest] for name, value in prepared.users.items()}, users_UD)
    known = known_rows(prepared.catalogue["item_id"])
    catalogue = {name: value[known] for name, value in prepared.catalogue.items()}
    _fit_features(model.item, catalogue, items_ID)
    _leave_over(model.item, catalogue, items_ID)


def _fit_features(tower: Tower, inputs: Encoded, target_RD: np.ndarray) -> None:
    n_rows = len(target_RD)
    tables = [len(tower.table(column.name)) for column in tower.columns]
    blocks = [
        _one_hot(inputs[column.name].reshape(n_rows, -1), size)
        for column, size in zip(tower.columns, tables, strict=True)
    ]
    mean_D = target_RD.mean(axis=0)
    design = sparse.hstack(blocks, format="csr", dtype=np.float32)
    fitted = ridge(design, target_RD - mean_D, FEATURE_RIDGE)
    with torch.no_grad():
        tower.ids.weight[UNKNOWN] = torch.from_numpy(mean_D)
        for column, part in zip(tower.columns, np.split(fitted, np.cumsum(tables)[:-1]), strict=True):
            tower.table(column.name).copy_(torch.from_numpy(part))


def _one_hot(rows_RL: np.ndarray, size: int) -> sparse.csr_matrix:
    """Row r marks its values, 1/√n each where it has n of a list; the unknown value of a list marks nothing."""
    if rows_RL.shape[1] == 1:
        weights = np.ones(rows_RL.shape, dtype=np.float32)
    else:
        known = rows_RL != UNKNOWN
        weights = (known / np.sqrt(np.maximum(known.sum(axis=1, keepdims=True), 1))).astype(np.float32)
    where = np.repeat(np.arange(len(rows_RL)), rows_RL.shape[1])
    return sparse.csr_matrix((weights.ravel(), (where, rows_RL.ravel())), shape=(len(rows_RL), size))


def _leave_over(tower: Tower, inputs: Encoded, target: np.ndarray) -> None:
    with torch.no_grad():
        said = tower.features(as_tensors(inputs))
        tower.ids.weight[1:] = torch.from_numpy(np.ascontiguousarray(target, dtype=np.float32)) - said


def own_vectors(tower: Tower) -> np.ndarray:
    """Rows of the id table without the unknown one; shape (ids, D)."""
    vectors = tower.ids.weight.detach()[1:].cpu().numpy()
    assert vectors.shape[1] == DIMENSION  # noqa: S101  what ids.safetensors promises
    return vectors
