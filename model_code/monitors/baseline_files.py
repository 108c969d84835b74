"""A baseline folder: everything that a monitor knows of the release it watches."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.manifest import read_manifest, write_manifest
from monitors.explainability import Explainer
from monitors.formats import CONSTRAINTS, FACTS, RANKER, STATISTICS, Kind
from monitors.profile import Profile, read_profile, write_profile
from monitors.ranking_quality import Catalogue
from monitors.shown import Column, Shown
from ranker.scorer import POSITION, Scorer, load_scorer

STAGE = "baseline"
CATALOGUE_FILE = "catalogue.parquet"


@dataclass(frozen=True, slots=True)
class Facts:
    """facts.json."""

    release_id: str
    ranker_id: str
    columns: tuple[Column, ...]
    threshold_first: float  # score at the first place from which a row counts as predicted positive (bias)
    threshold_shown: float  # the same of probabilities at the place shown (model quality)

    def to_document(self) -> dict[str, Any]:
        return {
            "release_id": self.release_id,
            "ranker_id": self.ranker_id,
            "columns": [list(column) for column in self.columns],
            "threshold_first": self.threshold_first,
            "threshold_shown": self.threshold_shown,
        }

    @classmethod
    def from_document(cls, document: Mapping[str, Any]) -> Facts:
        return cls(
            document["release_id"],
            document["ranker_id"],
            tuple((name, kind) for name, kind in document["columns"]),
            float(document["threshold_first"]),
            float(document["threshold_shown"]),
        )


@dataclass(frozen=True, slots=True)
class Baseline:
    """Of one release. `documents` are (statistics.json, constraints.json) by kind."""

    facts: Facts
    documents: Mapping[Kind, tuple[dict[str, Any], dict[str, Any]]]
    profile: Profile
    catalogue: Catalogue
    scorer: Scorer
    explainer: Explainer

    def probabilities(self, shown: Shown) -> np.ndarray:
        """Of a click at the place where each row was shown, (N,)."""
        raw = {**shown.raw, POSITION: shown.position} if POSITION in shown.raw else shown.raw
        return self.scorer.score(raw, position_as_given=True)

    def first_place(self, shown: Shown) -> np.ndarray:
        """Of a click at the first place, as served, (N,)."""
        return self.scorer.score(shown.raw)


def write_baseline(baseline: Baseline, model: Path, folder: Path) -> None:
    """Write the folder; `model` is the unpacked ranker. The manifest comes last."""
    for kind, (statistics, constraints) in baseline.documents.items():
        (folder / kind).mkdir(parents=True, exist_ok=True)
        for name, document in ((STATISTICS, statistics), (CONSTRAINTS, constraints)):
            write_json(folder / kind / name, document)
    write_profile(baseline.profile, folder / Kind.DATA_QUALITY)
    _write_catalogue(baseline.catalogue, folder / Kind.RANKING_QUALITY)
    shutil.copytree(model, folder / RANKER, ignore=shutil.ignore_patterns("code"), dirs_exist_ok=True)
    write_json(folder / FACTS, baseline.facts.to_document())
    write_manifest(folder, STAGE, {"release_id": baseline.facts.release_id, "ranker_id": baseline.facts.ranker_id})


def read_baseline(folder: Path) -> Baseline:
    """Read and check a baseline folder.

    Raises
    ------
    ValueError
        If a file is missing, truncated or altered, or the model is not the one that the facts name.
    """
    read_manifest(folder, STAGE)
    facts = Facts.from_document(_read_json(folder / FACTS))
    documents = {
        kind: (_read_json(folder / kind / STATISTICS), _read_json(folder / kind / CONSTRAINTS)) for kind in Kind
    }
    scorer, explainer = read_model(folder / RANKER)
    if scorer.ranker_id != facts.ranker_id:
        raise ValueError(f"the baseline is of ranker {facts.ranker_id[:12]}, its model is {scorer.ranker_id[:12]}")
    profile, catalogue = read_profile(folder / Kind.DATA_QUALITY), _read_catalogue(folder / Kind.RANKING_QUALITY)
    return Baseline(facts, documents, profile, catalogue, scorer, explainer)


def read_model(folder: Path) -> tuple[Scorer, Explainer]:
    """An unpacked ranker: what scores, and what explains.

    Raises
    ------
    ValueError
        If the model has no trees to explain it with (packaged before monitors were).
    """
    scorer = load_scorer(folder)
    files = _read_json(folder / "manifest.json")["files"]
    if "trees" not in files:
        raise ValueError("the ranker's package has no trees: it cannot be explained")
    return scorer, Explainer(scorer, folder / files["trees"])


def write_json(file: Path, document: Mapping[str, Any]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False) + "\n", encoding="utf-8")


def _read_json(file: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return document


def _write_catalogue(catalogue: Catalogue, folder: Path) -> None:
    items = sorted(catalogue.information)
    table = pa.table({"item_id": items, "information": [catalogue.information[item] for item in items]})
    facts = {
        "items": catalogue.items,
        "users": catalogue.users,
        "unknown_information": catalogue.unknown_information,
        "shown_to": catalogue.shown_to.tolist(),
    }
    pq.write_table(table, folder / CATALOGUE_FILE)
    write_json(folder / "coverage.json", facts)


def _read_catalogue(folder: Path) -> Catalogue:
    table, facts = pq.read_table(folder / CATALOGUE_FILE), _read_json(folder / "coverage.json")
    information = dict(zip(table["item_id"].to_pylist(), table["information"].to_pylist(), strict=True))
    return Catalogue(
        int(facts["items"]),
        information,
        float(facts["unknown_information"]),
        np.asarray(facts["shown_to"], np.int64),
        int(facts["users"]),
    )
