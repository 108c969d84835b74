"""Users a second of the daily batch transform on two cores: `python -m benchmarks.score_all [--users N]`.

Needs an account with a release on stage, as recommend_latency. The champion is packed by `scoring/pack_release.py`; its users, with their
own features, are repeated under new ids until there are N; then the container of a transform job (`local_account/sagemaker/batch_worker.py`)
makes every list of 10 out of 200 candidates, in one process and in two. Loading the model counts. Beside it: one process.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tarfile
import tempfile
import time
from itertools import cycle, islice
from pathlib import Path
from typing import Any

from benchmarks.recommend_latency import CANDIDATES, Stage, find_stage
from scoring import pack_release
from scoring.list_users import online_users

USERS, PLACES = 4000, 10
GOAL = 1_000_000 / (2 * 3600)  # a million users in two hours of one small machine
ROOT = Path(__file__).resolve().parents[1]
WORKER = ROOT / "local_account" / "sagemaker" / "batch_worker.py"
RULES = {"candidates": CANDIDATES, "max_per_author": 2, "max_per_topic_share": 0.5}


def fetch(stage: Stage, uri: str, folder: Path) -> None:
    """Every object of a prefix, or the one object, as a processing input brings it."""
    s3, (bucket, _, prefix) = stage.session.client("s3"), uri.removeprefix("s3://").partition("/")
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        for entry in page["Contents"]:
            file = folder / (entry["Key"].removeprefix(prefix).lstrip("/") or Path(entry["Key"]).name)
            file.parent.mkdir(parents=True, exist_ok=True)
            s3.download_file(bucket, entry["Key"], str(file))


def pack(stage: Stage, folder: Path) -> Path:
    """The champion as the container finds it."""
    record, arguments = stage.record, []
    parts = {
        "two-tower": record.two_tower_model_s3,
        "ranker": record.ranker_model_s3,
        "vectors": record.vectors_s3,
        "prepared": record.prepared_s3,
        "release": f"s3://{stage.outputs['ArtifactBucket']}/releases/{record.release_id}/manifest.json",
    }
    for name, uri in parts.items():
        fetch(stage, uri, folder / name)
        arguments += [f"--{name}", str(folder / name)]
    pack_release.main(pack_release.parser().parse_args([*arguments, "--output", str(folder / "packed")]))
    with tarfile.open(folder / "packed" / "model.tar.gz") as archive:
        archive.extractall(folder / "model", filter="data")
    return folder / "model"


def write_users(stage: Stage, users: int, folder: Path) -> None:
    """Lines of the transform: everybody in turn, under a new id each time round."""
    known = list(online_users(stage.outputs["UserFeaturesTable"]))
    folder.mkdir()
    with (folder / "users.jsonl").open("w", encoding="utf-8") as lines:
        for number, one in enumerate(islice(cycle(known), users)):
            user_id = one["user_id"] if number < len(known) else f"{one['user_id']}-{number // len(known)}"
            lines.write(json.dumps({"user_id": user_id, "features": one["features"]}) + "\n")


def users_a_second(model: Path, users: int, folder: Path, workers: int) -> float:
    settings = {
        "model_dir": str(model),
        "inputs": str(folder / "users"),
        "outputs": str(folder / f"lists-{workers}"),
        "content_type": "application/jsonlines",
        "accept": "application/jsonlines",
        "split": True,
        "single": False,
        "payload_bytes": 1 << 20,
        "assemble": True,
        "workers": workers,
        "retries": 0,
        "filters": {},
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    environment = {
        **os.environ,
        "PYTHONPATH": str(model / "code"),
        "OMP_NUM_THREADS": "1",
        "SCORING_AT": "2026-11-24T12:00:00+00:00",
        "SCORING_K": str(PLACES),
        "SCORING_RULES": json.dumps(RULES),
    }
    began = time.perf_counter()
    command = [sys.executable, "-P", str(WORKER), str(folder / "settings.json")]
    subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
    taken = time.perf_counter() - began
    made = sum(1 for _ in (folder / f"lists-{workers}" / "users.jsonl.out").open())
    if made != users:
        raise SystemExit(f"{made} lists of {users} users")
    return users / taken


def measure(users: int = USERS) -> dict[str, Any]:
    """Users a second, by two processes and by one."""
    stage = find_stage()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = pack(stage, folder)
        write_users(stage, users, folder / "users")
        one, two = (users_a_second(model, users, folder, workers) for workers in (1, 2))
    print(f"{users:,} users, lists of {PLACES} out of {CANDIDATES}: {one:.0f}/s by one process, {two:.0f}/s by two")  # noqa: T201
    return {
        "value": round(two, 1),
        "unit": "users/s",
        "peer": round(one, 1),
        "ratio": round(two / one, 2),
        "goal": f">= {GOAL:.0f} on 2 cores, a million users in two hours",
        "holds": two >= GOAL,
        "users": users,
    }


if __name__ == "__main__":
    reader = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    reader.add_argument("--users", type=int, default=USERS)
    print(json.dumps(measure(reader.parse_args().users)))  # noqa: T201
