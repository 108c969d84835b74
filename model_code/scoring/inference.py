"""The container of the daily batch transform: users as JSON lines in, their lists out. SageMaker's four functions.

In   application/jsonlines, one user a line: {"user_id": str, "features": {the online features, {} for a user without}}
Out  application/jsonlines, one list a line, in order: {"user_id", "release_id", "items": [ids], "scores": [p, ...], "degraded": [steps]}

The list is made by the recommender's own rules (understudy.domain.recommendation) over the whole of one release, without its
share of chance. Environment: SCORING_AT (ISO time whose hour and weekday the ranker is told), SCORING_K (places), SCORING_RULES
(JSON: candidates, max_per_author, max_per_topic_share).
"""

from __future__ import annotations

import json
import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from scoring.containers import ReleaseModels
from scoring.packed import check_packed, read_index, read_record
from understudy.domain.recommendation import Ask, Deadline, Kitchen, Rules, Trace

JSON_LINES = "application/jsonlines"
_NO_HURRY = Deadline(60.0, 60.0, lambda: 0.0)  # nothing is late in one process
_CONTEXT = SimpleNamespace(topics=[], blocked=[])


class GivenFeatures:
    """`Features` come with each user here."""

    def of(self, user_id: str, timeout_s: float) -> Mapping[str, Any]:
        return {}


@dataclass(frozen=True, slots=True)
class Model:
    """A whole release, and when and how long the lists are."""

    record: Any  # the fields of ReleaseRecord that answers are made with
    kitchen: Kitchen
    at: datetime
    k: int


def model_fn(model_dir: str) -> Model:
    """Load the packed release; a missing, truncated or altered file is refused with its name."""
    folder = Path(model_dir)
    check_packed(folder)
    try:
        at, k = datetime.fromisoformat(os.environ["SCORING_AT"]), int(os.environ["SCORING_K"])
        rules = Rules(exploration_bp=0, **json.loads(os.environ["SCORING_RULES"]))
    except KeyError as error:
        raise ValueError(f"the transform job's environment lacks {error}") from None
    index, models = read_index(folder), ReleaseModels(folder)
    kitchen = Kitchen(GivenFeatures(), models, index, rules, random.Random(0))  # noqa: S311  never asked: no exploration
    return Model(read_record(folder), kitchen, at, k)


def input_fn(body: bytes | str, content_type: str) -> list[dict[str, Any]]:
    """The users of a request; a line that is not one, e.g. a truncated one, refuses the request."""
    if content_type.split(";")[0].strip().lower() != JSON_LINES:
        raise ValueError(f"content type is {content_type!r}; expected {JSON_LINES}")
    text = body.decode("utf-8") if isinstance(body, bytes) else body
    return [_user(place, line) for place, line in enumerate(text.splitlines(), start=1) if line.strip()]


def _user(place: int, line: str) -> dict[str, Any]:
    try:
        user = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"line {place} of the request is no JSON, it may have been cut off: {error}") from None
    if not isinstance(user, dict) or not isinstance(user.get("user_id"), str) or not user["user_id"]:
        raise ValueError(f"line {place} of the request has no user_id; expected a string that is not empty")
    if not isinstance(user.get("features"), dict):
        raise ValueError(f"line {place} of the request has no map `features`")
    return user


def predict_fn(users: Sequence[Mapping[str, Any]], model: Model) -> list[dict[str, Any]]:
    """One list a user."""
    return [_list(user["user_id"], user["features"], model) for user in users]


def _list(user_id: str, features: Mapping[str, Any], model: Model) -> dict[str, Any]:
    request: Any = SimpleNamespace(user_id=user_id, k=model.k, context=_CONTEXT)
    trace = Trace()
    slate = model.kitchen.slate(Ask(request, user_id, model.record, "blue", features, model.at), _NO_HURRY, trace)
    return {
        "user_id": user_id,
        "release_id": model.record.release_id,
        "items": [item["item_id"] for item in slate.items],
        "scores": [round(item["score"], 6) for item in slate.items],
        "degraded": list(trace.degraded),
    }


def output_fn(prediction: Sequence[Mapping[str, Any]], accept: str) -> tuple[str, str]:
    """JSON lines, whatever was asked for: it is the only form there is."""
    return "\n".join(json.dumps(one, separators=(",", ":"), allow_nan=False) for one in prediction), JSON_LINES
