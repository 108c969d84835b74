from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest

from features.manifest import read_manifest, write_manifest
from support.prepared import make_prepared
from support.training_job import CODE, Finished, Train

USERS = [
    {"user_id": "u00003", "age": 31, "city": "Oslo", "segment": "fan", "last_5_clicks": ["i00001", "i00007"]},
    {"user_id": "never seen", "age": None, "city": "Atlantis"},
]
SERVE = """
import json, sys
sys.modules["torch"] = sys.modules["pyarrow"] = sys.modules["scipy"] = sys.modules["yaml"] = None
import inference
model = inference.model_fn(sys.argv[1])
users = inference.input_fn(sys.stdin.read(), "application/json")
print(inference.output_fn(inference.predict_fn(users, model), "application/json").decode())
"""


def serve(model: Path, body: object) -> subprocess.CompletedProcess[str]:
    """Ask the archive's own code, with nothing of ours on the path and no torch."""
    return subprocess.run(
        [sys.executable, "-c", SERVE, str(model)],
        env={"PYTHONPATH": str(model / "code"), "PYTHONDONTWRITEBYTECODE": "1"},
        input=json.dumps(body),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


def test_the_container_answers_from_numpy_and_onnx_runtime_alone(trained: Finished) -> None:
    done = serve(trained.model, {"users": USERS})
    assert done.returncode == 0, done.stderr
    answer = json.loads(done.stdout)
    assert answer["tower_id"] == trained.manifest["tower_id"]
    vectors = np.array(answer["vectors"])
    assert vectors.shape == (2, 64)
    assert np.isfinite(vectors).all()
    assert not np.allclose(vectors[0], vectors[1])


def test_an_altered_model_is_refused(trained: Finished, tmp_path: Path) -> None:
    import shutil

    model = Path(shutil.copytree(trained.model, tmp_path / "model"))
    tower = model / "user_tower.onnx"
    tower.write_bytes(tower.read_bytes()[:-1])
    done = serve(model, {"users": USERS})
    assert "user_tower.onnx was truncated or altered" in done.stderr


def archived(model: Path, channel: Path) -> Path:
    channel.mkdir()
    with tarfile.open(channel / "model.tar.gz", "w:gz") as tar:
        tar.add(model, arcname=".")
    return channel


def embed(model: Path, prepared: Path, output: Path, host: str = "algo-1", hosts: tuple[str, ...] = ("algo-1",)):
    config = output.parent / f"config-{host}"
    config.mkdir(parents=True)
    (config / "resourceconfig.json").write_text(json.dumps({"current_host": host, "hosts": list(hosts)}))
    arguments = {"model": model, "prepared": prepared, "output": output, "config-dir": config}
    arguments["message-file"] = output.parent / f"message-{host}"
    done = subprocess.run(
        [
            sys.executable,
            str(CODE / "two_tower" / "embed_items.py"),
            *[part for name, value in arguments.items() for part in (f"--{name}", str(value))],
        ],
        env={"PYTHONPATH": str(CODE), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    return done, arguments["message-file"].read_text()


def vectors_of(folder: Path) -> dict[str, np.ndarray]:
    table = pq.read_table(folder, columns=["item_id", "vector"])
    matrix = table["vector"].combine_chunks().flatten().to_numpy().reshape(-1, 64)
    return dict(zip(table["item_id"].to_pylist(), matrix, strict=True))


def test_every_known_item_gets_a_finite_vector_of_this_tower(trained: Finished, prepared: Path, tmp_path: Path) -> None:
    done, message = embed(archived(trained.model, tmp_path / "channel"), prepared, tmp_path / "out" / "vectors")
    assert done.returncode == 0, done.stderr
    manifest = read_manifest(tmp_path / "out" / "vectors", "embed_items")
    assert (manifest["tower_id"], manifest["count"]) == (trained.manifest["tower_id"], 90)
    assert "90 items embedded" in message
    found = vectors_of(tmp_path / "out" / "vectors" / "vectors-algo-1.parquet")
    assert set(found) == set(pq.read_table(prepared / "items")["item_id"].to_pylist())
    assert np.isfinite(np.stack(list(found.values()))).all()
    schema = pq.read_schema(tmp_path / "out" / "vectors" / "vectors-algo-1.parquet")
    assert str(schema.field("vector").type).startswith("fixed_size_list<")
    assert schema.field("vector").type.list_size == 64


def test_two_hosts_share_the_items_without_gap_or_overlap(trained: Finished, prepared: Path, tmp_path: Path) -> None:
    hosts, parts = ("algo-1", "algo-2"), []
    for host in hosts:
        done, _ = embed(trained.model, prepared, tmp_path / host / "vectors", host, hosts)
        assert done.returncode == 0, done.stderr
        parts.append(vectors_of(tmp_path / host / "vectors" / f"vectors-{host}.parquet"))
    assert not set(parts[0]) & set(parts[1])
    assert len(parts[0]) + len(parts[1]) == 90
    assert abs(len(parts[0]) - len(parts[1])) <= 1


def test_a_host_that_is_none_of_the_hosts_is_told(trained: Finished, prepared: Path, tmp_path: Path) -> None:
    done, message = embed(trained.model, prepared, tmp_path / "out" / "vectors", "algo-9", ("algo-1", "algo-2"))
    assert done.returncode == 1
    assert "'algo-9' as this host, which is none of algo-1, algo-2" in message


def test_a_model_with_a_gap_in_its_vectors_embeds_nothing(trained: Finished, prepared: Path, tmp_path: Path) -> None:
    """The weights themselves hold NaN, hashes and all: only looking at the vectors can tell."""
    import onnx
    from onnx import numpy_helper

    from two_tower.artefact import sha256_of

    channel = tmp_path / "broken"
    channel.mkdir()
    for file in trained.model.iterdir():
        if file.is_file():
            (channel / file.name).write_bytes(file.read_bytes())
    graph = onnx.load(channel / "item_tower.onnx")
    table = next(tensor for tensor in graph.graph.initializer if tensor.name == "ids")
    broken = numpy_helper.to_array(table).copy()
    broken[1] = np.nan
    table.CopyFrom(numpy_helper.from_array(broken, "ids"))
    onnx.save(graph, channel / "item_tower.onnx")
    manifest = json.loads((channel / "manifest.json").read_text())
    manifest["sha256"]["item_tower.onnx"] = sha256_of(channel / "item_tower.onnx")
    (channel / "manifest.json").write_text(json.dumps(manifest))
    done, message = embed(channel, prepared, tmp_path / "out" / "vectors")
    assert done.returncode == 1
    assert "1 items have no finite vector" in message
    assert not (tmp_path / "out" / "vectors" / "manifest.json").exists()


@pytest.fixture(scope="session")
def with_cold_items(train: Train, tmp_path_factory: pytest.TempPathFactory) -> tuple[Finished, Path, set[str]]:
    """Every fifth item is new: nobody has chosen it in training, only its topic, author and age are known."""
    folder = make_prepared(tmp_path_factory.mktemp("cold") / "prepared", users=400, items=150, days=8)
    cold = set(pq.read_table(folder / "items")["item_id"].to_pylist()[::5])
    (folder / "manifest.json").unlink()
    file = folder / "recall" / "train" / "part-0.parquet"
    table = pq.read_table(file)
    pq.write_table(table.filter([item not in cold for item in table["item_id"].to_pylist()]), file)
    write_manifest(folder, "prepare_data")
    done = train(folder)
    assert done.code == 0, done.errors
    return done, folder, cold


def test_a_cold_item_of_a_liked_topic_outranks_a_random_cold_item(
    with_cold_items: tuple[Finished, Path, set[str]], tmp_path: Path
) -> None:
    """Liked is what most of a user's training clicks were; the user is known, the item is not."""
    done, folder, cold = with_cold_items
    assert embed(done.model, folder, tmp_path / "out" / "vectors")[0].returncode == 0
    vectors = vectors_of(tmp_path / "out" / "vectors" / "vectors-algo-1.parquet")
    topic = dict(
        zip(*(pq.read_table(folder / "items")[name].to_pylist() for name in ("item_id", "item_topic")), strict=True)
    )
    train = pq.read_table(folder / "recall" / "train").to_pylist()
    clicks: dict[str, list[str]] = {}
    for row in train:
        clicks.setdefault(row["user_id"], []).append(topic[row["item_id"]])
    newest = {row["user_id"]: row for row in sorted(train, key=lambda row: row["event_time"])}
    users = [user for user in sorted(clicks) if max(map(clicks[user].count, clicks[user])) >= 0.5 * len(clicks[user])]
    asked = [
        {"user_id": user} | {name: newest[user][f"user_{name}"] for name in ("age", "city", "segment", "last_5_clicks")}
        for user in users
    ]
    answer = json.loads(serve(done.model, {"users": asked}).stdout)["vectors"]
    wins = []
    for user, vector in zip(users, np.array(answer), strict=True):
        liked = max(clicks[user], key=clicks[user].count)
        scores = {item: vector @ vectors[item] for item in cold}
        mine = [score for item, score in scores.items() if topic[item] == liked]
        others = [score for item, score in scores.items() if topic[item] != liked]
        wins.append(np.mean([a > b for a in mine for b in others]))
    assert len(users) > 100
    assert np.mean(wins) > 0.6  # 0.5 is a coin
