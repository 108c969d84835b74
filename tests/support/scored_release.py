"""A release's folders and record as `pack_release` takes them, small; its packed model; users as `list_users` writes them."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from features.declaration import load
from scoring import pack_release
from scoring.list_users import write_users
from support.prepared import make_prepared
from support.release_folders import store_ranker, store_tower
from support.releases import release
from understudy.contracts.release import ReleaseRecord

TOWER_ID = "t" * 64
AT = "2026-03-02T12:00:00+00:00"
RULES = {"candidates": 60, "max_per_author": 2, "max_per_topic_share": 0.5}
ENVIRONMENT = {"SCORING_AT": AT, "SCORING_K": "10", "SCORING_RULES": json.dumps(RULES)}


class ScoredRelease:
    """Folders of one release; `pack` runs the job over them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.prepared = make_prepared(folder / "prepared", users=60, items=90, days=5)
        self.two_tower, self.vectors = store_tower(self.prepared, folder / "tower", TOWER_ID)
        self.ranker = store_ranker(self.prepared, folder / "ranker", "--num_iterations", "20")
        self.record = self._record()
        self.write_record(self.record.model_dump(mode="json"))

    def _record(self) -> ReleaseRecord:
        manifest = json.loads((self.folder / "ranker" / "unpacked" / "manifest.json").read_text())
        declared = load(self.prepared / "features.yaml")
        popular = json.loads((self.prepared / "popular.json").read_text())
        return release(
            "r-1",
            tower_id=TOWER_ID,
            ranker_id=manifest["ranker_id"],
            ranker_columns=[(name, kind, declared.columns[name].default) for name, kind in manifest["columns"]],
            crosses=[{"name": c.name, "user": c.user, "item": c.item, "default": c.default} for c in declared.crosses],
            item_fields=list(declared.item_fields),
            popular=[entry["item_id"] for entry in popular[:30]],
        )

    def write_record(self, record: dict[str, Any]) -> None:
        (self.folder / "release").mkdir(exist_ok=True)
        (self.folder / "release" / "manifest.json").write_text(json.dumps(record))

    def pack(self, output: Path) -> Path:
        """The packed release, unpacked as a container finds it."""
        parts = {
            "two-tower": self.two_tower,
            "ranker": self.ranker,
            "vectors": self.vectors,
            "prepared": self.prepared,
            "release": self.folder / "release",
            "output": output,
        }
        pack_release.main(
            pack_release.parser().parse_args([text for name, at in parts.items() for text in (f"--{name}", str(at))])
        )
        with tarfile.open(output / "model.tar.gz") as archive:
            archive.extractall(output / "model", filter="data")
        return output / "model"

    def users(self) -> dict[str, dict[str, Any]]:
        """Online features of every prepared user, as the recommender reads them."""
        rows = pq.read_table(self.prepared / "users").to_pylist(maps_as_pydicts="strict")
        return {row["user_id"]: _online(row) for row in rows}


def _online(row: dict[str, Any]) -> dict[str, Any]:
    known = {
        name.removeprefix("user_"): value for name, value in row.items() if name != "user_id" and value is not None
    }
    return {**known, "seen": known["last_5_clicks"][:3]}


def write_listed(folder: Path, users: dict[str, dict[str, Any]], without: int = 0) -> Path:
    """An output of list_users."""
    from features.manifest import write_manifest

    for name in ("users", "ids"):
        (folder / name).mkdir(parents=True)
    write_users(folder, "online", users.items())
    facts = {"count": len(users), "with_features": len(users) - without, "without_features": without}
    write_manifest(folder, "list_users", {**facts, "feature_time": {"oldest": None, "newest": None}})
    return folder
