"""What the last release knew: its id vectors, by id."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load_file

from features.archive import open_model
from features.job import JobFailed
from two_tower.artefact import FILES, read_artefact
from two_tower.encoding import Vocabulary
from two_tower.model import DIMENSION


@dataclass(frozen=True, slots=True)
class WarmIds:
    """Rows of the vectors by id; vectors are float32 of shape (ids, D)."""

    tower_id: str
    users: dict[str, int]
    items: dict[str, int]
    user_vectors: np.ndarray
    item_vectors: np.ndarray


def read_warm(channel: Path) -> WarmIds:
    """Read the channel `warm`: a model.tar.gz, or one unpacked.

    Raises
    ------
    JobFailed
        If its vectors do not belong to its vocabulary, or are not numbers.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = open_model(channel, Path(scratch))
        manifest = read_artefact(folder)
        vocabulary = Vocabulary.load(folder / FILES["vocabulary"])
        try:
            vectors = load_file(folder / FILES["id_vectors"])
        except SafetensorError as error:
            raise JobFailed(f"{FILES['id_vectors']} of the warm release cannot be read: {error}") from error
    for name, index in (("users", vocabulary.users), ("items", vocabulary.items)):
        found = vectors.get(name, np.empty(0)).shape
        if found != (len(index), DIMENSION) or not np.isfinite(vectors[name]).all():
            raise JobFailed(
                f"the warm release's {name} vectors have shape {found} or gaps, not {len(index)} × {DIMENSION}"
            )
    return WarmIds(
        manifest["tower_id"],
        {value: row for row, value in enumerate(vocabulary.users.values)},
        {value: row for row, value in enumerate(vocabulary.items.values)},
        vectors["users"],
        vectors["items"],
    )


def warm_start(
    start: tuple[np.ndarray, np.ndarray], vocabulary: Vocabulary, warm: WarmIds
) -> tuple[np.ndarray, np.ndarray]:
    """Turn fresh vectors into the last release's directions, and take its own vectors for the ids it knew.

    The scores of fresh vectors do not change by the turn, which is the orthogonal one that brings the items nearest
    (Procrustes); so ids of either kind live in one space. Without an item in common, the start stays as it is.
    """
    users_UD, items_ID = start
    here, there = _shared(vocabulary.items.values, warm.items)
    if not here:
        return start
    left, _, right = np.linalg.svd(items_ID[here].T @ warm.item_vectors[there])
    turn_DD = (left @ right).astype(np.float32)
    users_UD, items_ID = users_UD @ turn_DD, items_ID @ turn_DD
    items_ID[here] = warm.item_vectors[there]
    here, there = _shared(vocabulary.users.values, warm.users)
    users_UD[here] = warm.user_vectors[there]
    return users_UD, items_ID


def _shared(values: list[str], known: dict[str, int]) -> tuple[list[int], list[int]]:
    here = [row for row, value in enumerate(values) if value in known]
    return here, [known[values[row]] for row in here]
