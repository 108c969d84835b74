"""`manifest.json`: the last file of every job's output folder, and the proof that the folder is whole."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

MANIFEST = "manifest.json"


class ManifestError(ValueError):
    """A folder is not what its manifest says."""


def sha256_of(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def write_manifest(
    folder: Path, stage: str, facts: Mapping[str, Any] | None = None, *, name: str = MANIFEST
) -> dict[str, Any]:
    """Describe every file under `folder` and write the manifest last, whole or not at all.

    Parameters
    ----------
    folder : Path
        A job's output folder. A manifest already there is replaced.
    stage : str
        The job's name, e.g. ``prepare_data``.
    facts : mapping, optional
        The stage's own facts, JSON-able; `stage` and `files` are reserved.
    name : str
        Of the manifest; another than `manifest.json` only where hosts share a folder (features.shards).

    Returns
    -------
    dict
        ``{stage, files: [{path, bytes, sha256}], **facts}``; paths are relative, with ``/``, sorted.
    """
    reserved = {"stage", "files"} & set(facts or {})
    if reserved:
        raise ManifestError(f"facts may not be named {', '.join(sorted(reserved))}")
    files = [
        {"path": file.relative_to(folder).as_posix(), "bytes": file.stat().st_size, "sha256": sha256_of(file)}
        for file in sorted(folder.rglob("*"))
        if file.is_file() and file != folder / name
    ]
    manifest = {"stage": stage, "files": files, **(facts or {})}
    draft = folder / f".{name}.{os.getpid()}"
    draft.write_text(json.dumps(manifest, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    draft.replace(folder / name)
    return manifest


def read_manifest(folder: Path, stage: str | None = None, *, name: str = MANIFEST) -> dict[str, Any]:
    """Read a folder's manifest and check every file it names.

    Parameters
    ----------
    stage : str, optional
        The stage that must have written it.

    Raises
    ------
    ManifestError
        If there is no readable manifest, the stage is another, or a file is missing, truncated or altered; the
        sentence names the file, and its size as found and as written.
    """
    try:
        manifest = json.loads((folder / name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ManifestError(f"{folder} has no {name}: the job that wrote it did not finish") from None
    except (OSError, ValueError) as error:
        raise ManifestError(f"{folder / name} cannot be read: {error}") from error
    if not isinstance(manifest, dict) or not isinstance(manifest.get("files"), list):
        raise ManifestError(f"{folder / name} is no manifest: expected an object with stage and files")
    if stage is not None and manifest.get("stage") != stage:
        raise ManifestError(f"{folder} was written by {manifest.get('stage')!r}, not by {stage!r}")
    for entry in manifest["files"]:
        _check(folder, entry)
    return manifest


def _check(folder: Path, entry: Mapping[str, Any]) -> None:
    file = folder / str(entry["path"])
    if not file.resolve().is_relative_to(folder.resolve()):
        raise ManifestError(f"{entry['path']} lies outside {folder}")
    if not file.is_file():
        raise ManifestError(f"{file} is missing; the manifest says {entry['bytes']} bytes")
    size = file.stat().st_size
    if size < entry["bytes"]:
        raise ManifestError(f"{file} is truncated: {size} of {entry['bytes']} bytes")
    if size > entry["bytes"]:
        raise ManifestError(f"{file} has grown: {size} bytes, the manifest says {entry['bytes']}")
    if sha256_of(file) != entry["sha256"]:
        raise ManifestError(f"{file} was altered: its sha256 is not the manifest's")
