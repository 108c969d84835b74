"""A release's models and item vectors as evaluation meets them: unpacked, and checked to belong together."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.containers import ask
from features.archive import open_model
from features.job import JobFailed
from features.shards import read_shards

USERS_A_REQUEST = 1000
ROWS_A_REQUEST = 5000


@dataclass(frozen=True, slots=True)
class Release:
    """Both models and the vectors they were built for."""

    two_tower: Path
    ranker: Path
    tower_id: str
    ranker_manifest: Mapping[str, Any]
    item_ids: list[str]  # I items
    vectors: np.ndarray  # (I, D) float32

    def user_vectors(self, users: Sequence[Mapping[str, Any]]) -> np.ndarray:
        """Vectors of shape (U, D), by the user tower's own container code."""
        return user_vectors(self.two_tower, self.tower_id, self.vectors.shape[1], users)

    def scores(self, rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
        """Click probabilities, both of shape (N,), by the ranker's own container code: see `ranker_scores`."""
        return ranker_scores(self.ranker, self.ranker_manifest, rows)


def user_vectors(tower: Path, tower_id: str, dimension: int, users: Sequence[Mapping[str, Any]]) -> np.ndarray:
    """Vectors of shape (U, D), by an unpacked user tower's own container code.

    Raises
    ------
    JobFailed
        If the tower answers as another one, or a vector has another dimension or is not finite.
    """
    chunks = [users[start : start + USERS_A_REQUEST] for start in range(0, len(users), USERS_A_REQUEST)]
    requests = [("application/json", json.dumps({"users": list(chunk)})) for chunk in chunks]
    answers = list(ask(tower, requests))
    if any(answer["tower_id"] != tower_id for answer in answers):
        raise JobFailed("the user tower answers with another tower_id than its manifest")
    vectors = np.array([vector for answer in answers for vector in answer["vectors"]], np.float32)
    if vectors.shape != (len(users), dimension):
        raise JobFailed(f"user vectors have shape {vectors.shape}; expected {(len(users), dimension)}")
    if not np.isfinite(vectors).all():
        raise JobFailed("a user vector is NaN or infinite")
    return vectors


def ranker_scores(ranker: Path, manifest: Mapping[str, Any], rows: pa.Table) -> tuple[np.ndarray, np.ndarray]:
    """Click probabilities, both of shape (N,), by an unpacked ranker's own container code.

    Parameters
    ----------
    rows : table
        With every column of the ranker's manifest.

    Returns
    -------
    (logged, served)
        At the logged position, where the label arose; and all as if shown first, as they are served.
    """
    bodies = _csv_bodies(rows.select([name for name, _ in manifest["columns"]]))
    requests = [(content_type, body) for content_type in ("text/csv; position=given", "text/csv") for body in bodies]
    answers = ask(ranker, requests)
    scores = np.array([score for answer in answers for score in answer["scores"]], np.float64)
    if len(scores) != 2 * len(rows):
        raise JobFailed(f"the ranker gave {len(scores)} scores for {len(rows)} rows, each asked twice")
    if not np.isfinite(scores).all():
        raise JobFailed("the ranker scores NaN or infinity")
    return scores[: len(rows)], scores[len(rows) :]


def open_release(two_tower: Path, ranker: Path, vectors: Path, scratch: Path) -> Release:
    """Unpack both archives and read the vectors.

    Raises
    ------
    JobFailed
        If the vectors were made by another tower, an item has two vectors, or a vector is not finite.
    """
    towers, ranks = (
        open_model(folder, scratch / name) for folder, name in ((two_tower, "two_tower"), (ranker, "ranker"))
    )
    tower_manifest, ranker_manifest = (read_model(*pair) for pair in ((towers, "two_tower"), (ranks, "ranker")))
    embedded = read_shards(vectors, "embed_items", agree=("tower_id",))
    if embedded.facts["tower_id"] != tower_manifest["tower_id"]:
        raise JobFailed(
            f"vectors are of tower {embedded.facts['tower_id'][:12]}, the model is {tower_manifest['tower_id'][:12]}: "
            "a user vector must only meet items of its own release"
        )
    item_ids, matrix = _vectors(embedded.files, int(tower_manifest["dimension"]))
    return Release(towers, ranks, tower_manifest["tower_id"], ranker_manifest, item_ids, matrix)


def read_model(folder: Path, kind: str) -> dict[str, Any]:
    """The manifest of an unpacked model, which must be of this kind."""
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    if manifest.get("kind") != kind:
        raise JobFailed(f"{folder.name} holds a model of kind {manifest.get('kind')!r}; expected {kind!r}")
    return dict(manifest)


def _vectors(files: Sequence[Path], dimension: int) -> tuple[list[str], np.ndarray]:
    if not files:
        raise JobFailed("embed_items wrote no vectors")
    table = pa.concat_tables(pq.read_table(file, columns=["item_id", "vector"]) for file in files).sort_by("item_id")
    ids = table["item_id"].to_pylist()
    if len(set(ids)) != len(ids):
        raise JobFailed("an item has two vectors")
    matrix = np.asarray(table["vector"].combine_chunks().flatten(), np.float32)
    if matrix.size != len(ids) * dimension:
        raise JobFailed(f"{len(ids)} item vectors hold {matrix.size} numbers; expected {dimension} each")
    if not np.isfinite(matrix).all():
        raise JobFailed("an item vector is NaN or infinite")
    return ids, matrix.reshape(len(ids), dimension)


def _csv_bodies(table: pa.Table) -> list[str]:
    """Requests as the recommender writes them: numbers in full, a missing value as an empty cell."""
    bodies = []
    for start in range(0, len(table), ROWS_A_REQUEST):
        part = table.slice(start, ROWS_A_REQUEST)
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows(
            zip(*(column.to_pylist() for column in part.columns), strict=True)
        )
        bodies.append(text.getvalue())
    return bodies
