"""The user tower's container: users as JSON in, vectors out. SageMaker's four functions; numpy and ONNX Runtime only.

POST application/json {"users": [{"user_id": str, "age": number, "city": str, ..., "last_5_clicks": [item ids]}]}
  -> {"tower_id": str, "vectors": [[float × 64], ...]}, in the order of the request.

A stranger's vector is what his features say. A ValueError is the caller's fault (400); its text says what was expected.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime

from two_tower.artefact import FILES, read_artefact
from two_tower.encoding import Vocabulary

MAX_USERS = 10_000
JSON = "application/json"


@dataclass(frozen=True, slots=True)
class Model:
    """A loaded user tower; safe to share between threads."""

    tower_id: str
    vocabulary: Vocabulary
    session: onnxruntime.InferenceSession


def model_fn(model_dir: str) -> Model:
    """Load the model; a missing, truncated or altered file is refused with its name."""
    folder = Path(model_dir)
    manifest = read_artefact(folder)
    options = onnxruntime.SessionOptions()
    # One request is microseconds of work: threads would cost more than they bring, and fight over the cores.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(
        str(folder / FILES["user_tower"]), options, providers=["CPUExecutionProvider"]
    )
    return Model(manifest["tower_id"], Vocabulary.load(folder / FILES["vocabulary"]), session)


def input_fn(body: bytes | str, content_type: str) -> list[dict[str, Any]]:
    """The request's users, their shape checked; their values are checked when they are encoded."""
    if content_type.split(";")[0].strip().lower() != JSON:
        raise ValueError(f"content type is {content_type!r}; expected {JSON}")
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"the body is no JSON: {error}") from None
    users = document.get("users") if isinstance(document, dict) else None
    if not isinstance(users, list) or not 1 <= len(users) <= MAX_USERS:
        raise ValueError(f'expected {{"users": [...]}} with 1 to {MAX_USERS} users')
    for place, user in enumerate(users):
        if not isinstance(user, dict) or not isinstance(user.get("user_id"), str) or not user["user_id"]:
            raise ValueError(f"users[{place}] has no user_id; expected a string that is not empty")
    return users


def predict_fn(users: list[dict[str, Any]], model: Model) -> dict[str, Any]:
    """One vector a user; a feature that is left out counts as missing."""
    raw = {column.name: [user.get(column.feature) for user in users] for column in model.vocabulary.user_columns}
    encoded = model.vocabulary.encode_users([user["user_id"] for user in users], raw)
    (vectors,) = model.session.run(["vector"], encoded)
    return {"tower_id": model.tower_id, "vectors": np.asarray(vectors)}


def output_fn(prediction: dict[str, Any], accept: str) -> bytes:
    """The answer as JSON, which is the only form there is."""
    accepted = [part.split(";")[0].strip().lower() for part in accept.split(",")]
    if not {JSON, "application/*", "*/*", ""} & set(accepted):
        raise ValueError(f"accept is {accept!r}; expected {JSON}")
    return json.dumps(prediction | {"vectors": prediction["vectors"].tolist()}).encode()
