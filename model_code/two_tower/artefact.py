"""A trained model's folder: its manifest, read and checked. Needs the standard library only.

The container, embed_items, and a warm start read models here, so a truncated or altered file is refused everywhere.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"
FILES = {
    "user_tower": "user_tower.onnx",
    "item_tower": "item_tower.onnx",
    "vocabulary": "vocabulary.json",
    "id_vectors": "ids.safetensors",
}


class ArtefactError(ValueError):
    """A model folder is not what its manifest says."""


def sha256_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_artefact(folder: Path) -> dict[str, Any]:
    """The manifest of a two-tower model, every file it names checked by size-independent hash.

    Raises
    ------
    ArtefactError
        If the manifest is missing, of another kind or format, or a file is missing or altered.
    """
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ArtefactError(f"{folder} holds no {MANIFEST}") from None
    except ValueError as error:
        raise ArtefactError(f"{folder / MANIFEST} cannot be read: {error}") from error
    if not isinstance(manifest, dict) or (manifest.get("kind"), manifest.get("format")) != ("two_tower", 1):
        raise ArtefactError(f"{folder / MANIFEST} is no two_tower manifest of format 1")
    for name, digest in manifest["sha256"].items():
        file = folder / Path(name).name
        if not file.is_file():
            raise ArtefactError(f"{name} is missing from the model")
        if sha256_of(file) != digest:
            raise ArtefactError(f"{name} was truncated or altered: its sha256 is not the manifest's")
    return manifest
