"""`serving.json`: what the recommender must know of a release to serve it, gathered where both models are open.

Registration copies it into the release's record, so that the layer reads data and imports no model code.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from evaluation.release import Release
from features.archive import MODEL_ARCHIVE
from features.declaration import load
from features.manifest import sha256_of

POPULAR = 100  # answers of last resort that a release's record holds


def serving_facts(release: Release, prepared: Path, two_tower: Path, ranker: Path) -> dict[str, Any]:
    """Ids and digests of both models, the ranker's columns with their defaults, crosses, index fields, popular items.

    Parameters
    ----------
    two_tower, ranker : Path
        The folders that hold the two model.tar.gz, whose digests a rollout checks before it serves them.

    Raises
    ------
    KeyError
        The ranker was trained on a column that features.yaml does not declare.
    """
    declared = load(prepared / "features.yaml")
    popular = json.loads((prepared / "popular.json").read_text(encoding="utf-8"))
    return {
        "feature_set": declared.version,
        "tower_id": release.tower_id,
        "ranker_id": release.ranker_manifest["ranker_id"],
        "served_form": release.ranker_manifest["served_form"],
        "model_digests": {
            "two_tower": sha256_of(two_tower / MODEL_ARCHIVE),
            "ranker": sha256_of(ranker / MODEL_ARCHIVE),
        },
        "ranker_columns": [
            [name, kind, declared.columns[name].default] for name, kind in release.ranker_manifest["columns"]
        ],
        "crosses": [{"name": c.name, "user": c.user, "item": c.item, "default": c.default} for c in declared.crosses],
        "item_fields": list(declared.item_fields),
        "popular": [entry["item_id"] for entry in popular[:POPULAR]],
    }
