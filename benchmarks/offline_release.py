"""A release answering in this process: the very domain code of `recommend`, over the release's own artefacts, without a wire or a deadline.

For asking what a release is worth under a known taste. Letters: I items, D dimensions, N items of one list.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from features.archive import open_model
from item_index.documents import Items
from ranker import inference as ranker
from two_tower import inference as two_tower
from understudy.contracts.release import ReleaseRecord
from understudy.contracts.serving import RecommendRequest
from understudy.contracts.traffic import Slot
from understudy.domain.diversity import Slate
from understudy.domain.recommendation import (
    Ask,
    Deadline,
    IndexQuestion,
    Kitchen,
    RankerAnswer,
    Rules,
    TowerAnswer,
    Trace,
)
from understudy.settings import RecommendSettings

REQUEST_ID = "01KJKRV5G00000000000000000"
# what the template gives `recommend`: the defaults of its settings
_SETTINGS: dict[str, Any] = {field.name: field.default for field in fields(RecommendSettings)}
RULES = Rules(*(_SETTINGS[name] for name in ("candidates", "exploration_bp", "max_per_author", "max_per_topic_share")))


def download_models(s3: Any, record: ReleaseRecord, folder: Path) -> Path:
    """Both archives of a release, each in a folder as a job's channel has it."""
    for name, uri in (("two_tower", record.two_tower_model_s3), ("ranker", record.ranker_model_s3)):
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        (folder / name).mkdir(parents=True, exist_ok=True)
        s3.download_file(bucket, key, str(folder / name / "model.tar.gz"))
    return folder


class ReleaseModels:
    """`Models` of one release, loaded from its archives."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        def opened(name: str) -> str:
            (scratch / name).mkdir(parents=True)
            return str(open_model(folder / name, scratch / name))

        self._tower, self._ranker = two_tower.model_fn(opened("two_tower")), ranker.model_fn(opened("ranker"))

    def user_vector(self, user: Mapping[str, Any], slot: Slot, request_id: str, timeout_s: float) -> TowerAnswer:
        body = json.dumps({"users": [user]}).encode()
        answer = two_tower.predict_fn(two_tower.input_fn(body, "application/json"), self._tower)
        return TowerAnswer(answer["tower_id"], answer["vectors"][0])

    def scores(self, rows: str, slot: Slot, request_id: str, timeout_s: float) -> RankerAnswer:
        answer = ranker.predict_fn(ranker.input_fn(rows.encode(), "text/csv"), self._ranker)
        return RankerAnswer(answer["ranker_id"], answer["scores"])


class ExactIndex:
    """`ItemIndex` of what an index holds, searched exactly."""

    def __init__(self, content: Items) -> None:
        self._ids, self._vectors_ID = np.array(content.ids), content.vectors_ID
        self._documents = [
            {name: value for name, value in row.items() if value is not None} for row in content.features.to_pylist()
        ]

    def nearest(self, record: ReleaseRecord, query: IndexQuestion, timeout_s: float) -> list[dict[str, Any]]:
        scores_I = self._vectors_ID @ np.asarray(query.vector, dtype=np.float32)
        if query.excluded:
            scores_I = np.where(np.isin(self._ids, list(query.excluded)), -np.inf, scores_I)
        best = np.argsort(-scores_I, kind="stable")[: query.size]
        found = [place for place in best.tolist() if np.isfinite(scores_I[place])]
        return [
            {**self._documents[place], "item_id": str(self._ids[place]), "score": float(scores_I[place])}
            for place in found
        ]


class NoFeatures:
    """`Features` are handed in with each question here."""

    def of(self, user_id: str, timeout_s: float) -> Mapping[str, Any]:
        return {}


@dataclass(frozen=True, slots=True)
class OfflineRelease:
    """What one release, with whatever its index holds, shows to a user."""

    record: ReleaseRecord
    kitchen: Kitchen

    @classmethod
    def of(cls, record: ReleaseRecord, models: ReleaseModels, content: Items, rng: Random) -> OfflineRelease:
        return cls(record, Kitchen(NoFeatures(), models, ExactIndex(content), RULES, rng))

    def slate(self, user_id: str, features: Mapping[str, Any], k: int, now: datetime) -> Slate:
        """The list; empty steps raise here, since nothing is late in one process."""
        trace, request = Trace(), RecommendRequest(user_id=user_id, k=k)
        ask = Ask(request, REQUEST_ID, self.record, "blue", features, now)
        slate = self.kitchen.slate(ask, Deadline(60.0, 60.0, lambda: 0.0), trace)
        if trace.degraded:
            raise RuntimeError(f"{self.record.release_id} for {user_id}: {trace.degraded}")
        return slate
