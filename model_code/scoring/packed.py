"""A release packed into one folder, as `pack_release` writes it and the container of the batch transform reads it.

manifest.json   {kind: "release", format: 1, release_id, items, dimension, sha256: {file: hex}}
release.json    the release's record
vectors.npy     float32 (I, D), row i is the item of line i of items.jsonl
items.jsonl     what the release's index answers of each item: its `_source`
two_tower/, ranker/   both models as they were trained, code included
code/           inference.py of this package, the package, and the recommender's rules (understudy.domain)

Letters: I items, D dimensions. numpy and the standard library only.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from understudy.contracts.release import ReleaseRecord
    from understudy.domain.recommendation import IndexQuestion

MANIFEST, RECORD, VECTORS, ITEMS = "manifest.json", "release.json", "vectors.npy", "items.jsonl"
RECORD_FIELDS = ("release_id", "tower_id", "ranker_id", "ranker_columns", "item_fields", "popular")


def sha256_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


@dataclass(frozen=True, slots=True)
class ExactIndex:
    """`ItemIndex` of `domain.recommendation` over all vectors of the release: the answer that its index approximates."""

    ids: list[str]
    vectors_ID: np.ndarray
    documents: list[dict[str, Any]]
    place: dict[str, int]

    def nearest(self, record: ReleaseRecord, query: IndexQuestion, timeout_s: float) -> list[dict[str, Any]]:
        """Item fields and inner product, best first; the `excluded` are left out."""
        scores_I = self.vectors_ID @ np.asarray(query.vector, dtype=np.float32)
        hidden = [self.place[item] for item in query.excluded if item in self.place]
        scores_I[hidden] = -np.inf
        size = min(query.size, len(self.ids) - len(set(hidden)))
        if size <= 0:
            return []
        best = np.argpartition(-scores_I, size - 1)[:size]
        best = best[np.lexsort((best, -scores_I[best]))]  # ties keep the order of the items
        return [
            {**self.documents[place], "item_id": self.ids[place], "score": score}
            for place, score in zip(best.tolist(), scores_I[best].tolist(), strict=True)
        ]


def read_index(folder: Path) -> ExactIndex:
    vectors_ID = np.load(folder / VECTORS, allow_pickle=False)
    with (folder / ITEMS).open(encoding="utf-8") as lines:
        documents = [json.loads(line) for line in lines]
    if vectors_ID.shape[0] != len(documents):
        raise ValueError(f"{VECTORS} holds {vectors_ID.shape[0]} items and {ITEMS} {len(documents)}")
    ids = [document["item_id"] for document in documents]
    return ExactIndex(ids, vectors_ID, documents, {item: place for place, item in enumerate(ids)})


def read_record(folder: Path) -> Any:
    """The fields of a release's record that an answer is made with, under the names that `ReleaseRecord` has."""
    record = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    return SimpleNamespace(
        **{name: record[name] for name in RECORD_FIELDS},
        crosses=[SimpleNamespace(**cross) for cross in record["crosses"]],
        index_query=SimpleNamespace(factor=1.0, factor_filtered=1.0),  # of an approximate index; this one is exact
    )


def check_packed(folder: Path) -> dict[str, Any]:
    """The manifest of a packed release, every file it names checked by its hash.

    Raises
    ------
    ValueError
        If it is no packed release, or a file is missing or not as it was written; the sentence names it.
    """
    manifest: dict[str, Any] = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    if (manifest.get("kind"), manifest.get("format")) != ("release", 1):
        raise ValueError(f"{folder / MANIFEST} is no packed release of format 1")
    for name, digest in manifest["sha256"].items():
        file = folder / name
        if not file.is_file() or sha256_of(file) != digest:
            raise ValueError(f"{name} of the packed release is missing, truncated or altered")
    return manifest
