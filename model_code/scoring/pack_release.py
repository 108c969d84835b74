"""Processing job: the parts of one release as one model archive, for the batch transform that makes every user's list.

In   --two-tower, --ranker (model.tar.gz), --vectors, --prepared: the release's own folders; --release: its manifest.json
Out  --output/model.tar.gz (scoring.packed says what is in it); manifest with release_id, tower_id, ranker_id, items
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import shutil
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a file: the root of model_code/ is where packages are found
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from features.archive import MODEL_ARCHIVE, open_model
from features.job import JobFailed, job_parser, metric, progress, run
from features.manifest import read_manifest, write_manifest
from features.shards import read_shards
from item_index.documents import Items, read_items
from scoring.packed import ITEMS, MANIFEST, RECORD, VECTORS, sha256_of

CONTAINER = ("__init__.py", "containers.py", "inference.py", "packed.py")  # of this package, what the container imports
RULES = (
    "__init__.py",
    "errors.py",
    *(f"domain/{name}.py" for name in ("__init__", "diversity", "ranking_rows", "recommendation")),
)


def main(arguments: argparse.Namespace) -> str:
    """Check that everything is of one release, and pack it."""
    record = json.loads((arguments.release / MANIFEST).read_text(encoding="utf-8"))
    read_manifest(arguments.prepared, "prepare_data")
    with tempfile.TemporaryDirectory(prefix="pack-release-") as scratch:
        folder = Path(scratch) / "model"
        towers, ranks = _models(arguments, record, folder, Path(scratch))
        items = _items(arguments, record, int(towers["dimension"]))
        _write_items(items, folder)
        (folder / RECORD).write_text(json.dumps(record, sort_keys=True), encoding="utf-8")
        _write_code(folder / "code")
        _write_packed_manifest(folder, record["release_id"], items)
        arguments.output.mkdir(parents=True, exist_ok=True)
        _pack(folder, arguments.output / MODEL_ARCHIVE)
    facts = {name: record[name] for name in ("release_id", "tower_id", "ranker_id")}
    write_manifest(arguments.output, "pack_release", facts | {"items": len(items.ids)})
    metric(items_packed=len(items.ids))
    return f"{record['release_id']} packed: {len(items.ids)} items, ranker {ranks['ranker_id'][:12]}"


def _models(
    arguments: argparse.Namespace, record: dict[str, Any], folder: Path, scratch: Path
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Both models unpacked below `folder`; their manifests.

    Raises
    ------
    JobFailed
        If one is not the record's, or both bring a module of one name with different contents.
    """
    manifests = []
    for name, channel in (("two_tower", arguments.two_tower), ("ranker", arguments.ranker)):
        found = open_model(channel, scratch / f"unpacked_{name}")
        shutil.copytree(found, folder / name)
        manifest = json.loads((found / MANIFEST).read_text(encoding="utf-8"))
        key = "tower_id" if name == "two_tower" else "ranker_id"
        if manifest[key] != record[key]:
            raise JobFailed(
                f"the {name} model is {manifest[key][:12]}, {record['release_id']} has {record[key][:12]}: "
                "a list is made by one release, never by parts of two"
            )
        manifests.append(manifest)
    _refuse_clashes(folder / "two_tower" / "code", folder / "ranker" / "code")
    return manifests[0], manifests[1]


def _refuse_clashes(first: Path, second: Path) -> None:
    ours, theirs = ({f.relative_to(code): f.read_bytes() for f in code.rglob("*.py")} for code in (first, second))
    for file in sorted(ours.keys() & theirs.keys() - {Path("inference.py")}):
        if ours[file] != theirs[file]:
            raise JobFailed(f"both models bring {file}, and they differ: one process can only import one of them")


def _items(arguments: argparse.Namespace, record: dict[str, Any], dimension: int) -> Items:
    """Vectors and documents, as index_items joins them."""
    embedded = read_shards(arguments.vectors, "embed_items", agree=("tower_id",))
    if embedded.facts["tower_id"] != record["tower_id"]:
        raise JobFailed(
            f"vectors are of tower {embedded.facts['tower_id'][:12]}, {record['release_id']} has {record['tower_id'][:12]}: "
            "a user vector must only meet items of its own release"
        )
    items = read_items(embedded.files, arguments.prepared / "items", record["item_fields"], dimension)
    if not items.ids:
        raise JobFailed("the release has no item with a vector and features")
    progress(f"{len(items.ids):,} items, {len(items.dead)} put aside")
    return items


def _write_items(items: Items, folder: Path) -> None:
    np.save(folder / VECTORS, items.vectors_ID, allow_pickle=False)
    with (folder / ITEMS).open("w", encoding="utf-8") as lines:
        for item, row in zip(items.ids, items.features.to_pylist(), strict=True):
            known = {name: value for name, value in row.items() if value is not None}
            lines.write(json.dumps({"item_id": item, **known}, allow_nan=False) + "\n")


def _write_code(target: Path) -> None:
    """inference.py where SageMaker looks for it, the package, and the recommender's rules (docs/decisions/scoring-one-set-of-rules.md)."""
    here, rules = Path(__file__).parent, _rules_folder()
    wanted = {f"scoring/{name}": here / name for name in CONTAINER} | {
        f"understudy/{name}": rules / name for name in RULES
    }
    for name, source in {**wanted, "inference.py": here / "inference.py"}.items():
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target / name)


def _rules_folder() -> Path:
    found = importlib.util.find_spec("understudy.errors")
    if found is None or found.origin is None:
        raise JobFailed(
            "the code archive lacks the recommender's rules (understudy.domain); plan_scoring writes it with them"
        )
    return Path(found.origin).parent


def _write_packed_manifest(folder: Path, release_id: str, items: Items) -> None:
    files = sorted(file for file in folder.rglob("*") if file.is_file())
    facts = {
        "kind": "release",
        "format": 1,
        "release_id": release_id,
        "items": len(items.ids),
        "dimension": int(items.vectors_ID.shape[1]),
        "sha256": {file.relative_to(folder).as_posix(): sha256_of(file) for file in files},
    }
    (folder / MANIFEST).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _pack(folder: Path, archive: Path) -> None:
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:  # floats hardly compress; time is what counts
        for file in sorted(file for file in folder.rglob("*") if file.is_file()):
            tar.add(file, arcname=file.relative_to(folder).as_posix(), recursive=False)


def parser() -> argparse.ArgumentParser:
    made = job_parser((__doc__ or "").splitlines()[0])
    for name in ("two-tower", "ranker", "vectors", "prepared", "release", "output"):
        made.add_argument(f"--{name}", type=Path, required=True)
    return made


if __name__ == "__main__":
    sys.exit(run(parser(), main))
