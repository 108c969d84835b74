"""Folders as prepare_data and embed_items write them, with vectors of a shape a test chooses."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.declaration import DECLARATION_FILE
from features.manifest import write_manifest

NUMBERS = ("item_age_days", "item_impressions_7d", "item_clicks_7d", "item_ctr_7d", "item_clicks_30d")


def make_folders(
    root: Path, count: int, *, dimension: int = 64, seed: int = 0, tower_id: str = "t" * 64, topics: int = 20
) -> tuple[Path, Path, np.ndarray]:
    """(vectors folder, prepared folder, vectors of shape (items, D)); unit vectors around fifty centres."""
    rng = np.random.default_rng(seed)
    prepared, vectors = root / "prepared", root / "vectors"
    for folder in (prepared / "items", prepared / "history", vectors):
        folder.mkdir(parents=True)
    ids = [f"i{number:06d}" for number in range(count)]
    centres, centre_of = rng.normal(size=(50, dimension)), rng.integers(50, size=count)
    matrix = centres[centre_of] + 0.5 * rng.normal(size=(count, dimension))
    matrix = (matrix / np.linalg.norm(matrix, axis=1, keepdims=True)).astype(np.float32)
    columns = {
        "item_id": ids,
        "title": [f"Title {number}" for number in range(count)],
        "item_topic": [f"t{number}" for number in rng.integers(topics, size=count)],
        "item_author_id": [f"a{number}" for number in rng.integers(max(2, count // 20), size=count)],
        **{name: rng.random(count).astype(np.float32) for name in NUMBERS},
    }
    pq.write_table(pa.table(columns), prepared / "items" / "part-0.parquet")
    chosen = [rng.choice(np.flatnonzero(centre_of == user % 50), size=5) for user in range(200)]
    history = {
        "user_id": [f"u{user}" for user in range(200) for _ in range(5)],
        "item_id": [ids[row] for rows in chosen for row in rows],
    }
    pq.write_table(pa.table(history), prepared / "history" / "part-0.parquet")
    shutil.copy(DECLARATION_FILE, prepared / "features.yaml")
    write_manifest(prepared, "prepare_data")
    write_vectors(vectors, ids, matrix, tower_id)
    return vectors, prepared, matrix


def write_vectors(folder: Path, ids: list[str], matrix: np.ndarray, tower_id: str = "t" * 64) -> None:
    """embed_items' output; NaN in the matrix is written as it is."""
    column = pa.FixedSizeListArray.from_arrays(pa.array(matrix.ravel()), matrix.shape[1])
    pq.write_table(pa.table({"item_id": ids, "vector": column}), folder / "vectors-algo-1.parquet")
    facts = {
        "tower_id": tower_id,
        "count": len(ids),
        "host": "algo-1",
        "hosts": ["algo-1"],
        "dimension": matrix.shape[1],
    }
    write_manifest(folder, "embed_items", facts)
