"""A release's folders as processing inputs bring them: a real ranker, and a user tower that knows nothing but the container's contract."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
from pathlib import Path
from unittest import mock

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.manifest import write_manifest
from ranker import train

DIMENSION = 8
# One vector a user, looked up by id: what a trained tower does, seen from outside.
TOWER = """
import json
def model_fn(model_dir):
    return json.load(open(model_dir + "/vocabulary.json"))
def input_fn(body, content_type):
    assert content_type == "application/json", content_type
    return json.loads(body)["users"]
def predict_fn(users, model):
    assert all(set(user) == {"user_id", "age", "city", "segment", "last_5_clicks"} for user in users)
    return {"tower_id": model["tower_id"], "vectors": [model["vectors"].get(user["user_id"], model["mean"]) for user in users]}
def output_fn(prediction, accept):
    return json.dumps(prediction)
"""


def pack(folder: Path, into: Path) -> Path:
    into.mkdir(parents=True)
    with tarfile.open(into / "model.tar.gz", "w:gz") as archive:
        archive.add(folder, arcname=".")
    return into


def store_tower(prepared: Path, folder: Path, tower_id: str, turned: bool = False) -> tuple[Path, Path]:
    """A tower from the truth: a user is the mean of what he chose in training, an item a random direction, plus noise.

    Turned round, its items lie where users do not look.
    """
    rng = np.random.default_rng(0)
    positives = pq.read_table(prepared / "recall" / "train")
    ids = sorted(pq.read_table(prepared / "items")["item_id"].to_pylist())
    topics = dict(
        zip(*(pq.read_table(prepared / "items")[name].to_pylist() for name in ("item_id", "item_topic")), strict=True)
    )
    axis = {topic: place for place, topic in enumerate(sorted(set(topics.values())))}
    items = np.array([np.eye(DIMENSION)[axis[topics[item]]] for item in ids]) + rng.normal(
        0, 0.05, (len(ids), DIMENSION)
    )
    place = {item: index for index, item in enumerate(ids)}
    chosen: dict[str, list] = {}
    for user, item in zip(positives["user_id"].to_pylist(), positives["item_id"].to_pylist(), strict=True):
        chosen.setdefault(user, []).append(items[place[item]])
    vectors = {user: np.mean(rows, axis=0).tolist() for user, rows in chosen.items()}
    model = folder / "unpacked"
    (model / "code").mkdir(parents=True)
    (model / "code" / "inference.py").write_text(TOWER)
    mean = np.mean(list(vectors.values()), axis=0).tolist()
    (model / "vocabulary.json").write_text(json.dumps({"tower_id": tower_id, "vectors": vectors, "mean": mean}))
    (model / "manifest.json").write_text(
        json.dumps({"kind": "two_tower", "format": 1, "tower_id": tower_id, "dimension": DIMENSION})
    )
    embedded = folder / "vectors"
    embedded.mkdir()
    column = pa.FixedSizeListArray.from_arrays(
        pa.array((-items if turned else items).astype(np.float32).ravel()), DIMENSION
    )
    pq.write_table(pa.table({"item_id": ids, "vector": column}), embedded / "vectors-algo-1.parquet")
    write_manifest(embedded, "embed_items", {"tower_id": tower_id, "count": len(ids)})
    return pack(model, folder / "packed"), embedded


def store_ranker(prepared: Path, folder: Path, *options: str) -> Path:
    environment = {"SM_CHANNEL_PREPARED": str(prepared), "SM_MODEL_DIR": str(folder / "unpacked")}
    with mock.patch.dict(os.environ, environment):
        arguments = train.parser().parse_args(["--num_threads", "1", "--num_iterations", "60", *options])
        with contextlib.redirect_stdout(io.StringIO()):
            train.main(arguments)
    return pack(folder / "unpacked", folder / "packed")
