"""Recall of the product's two_tower job on MovieLens 1M, leave-one-out, beside a tuned `implicit` ALS of the same run.

The value is HR@10 against the 99 given negatives, mean of three seeds; NDCG@10 stands in the table. The job is run as
SageMaker runs it: `two_tower/train.py` in a process, on a folder of prepare_data's form; users are scored by the
archive's `inference.py`, items by `embed_items.py`. Ties count half, floored: some given negatives equal the test item.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy import sparse

ROOT = Path(__file__).parents[1]
CODE = ROOT / "model_code"
DATA = ROOT.parent / "shared" / "data" / "ml-1m"
GOAL_HR, GOAL_NDCG = 0.725, 0.450
GOAL_CPU_SECONDS = 2 * 120.0  # 120 s on two cores; in CPU seconds, so that a busy machine does not decide
SEEDS = (0, 1, 2)
USERS, ITEMS = 6040, 3706
STOPPING_USERS = 500  # one of their pairs each goes to validation: the job wants a split to stop on
# The id vectors are under test: features stay in the towers, but nothing is trained on top of the teacher.
HYPERPARAMETERS = ("--teacher", "ensemble", "--epochs", "0")
ALS = {"factors": 64, "regularization": 50.0, "alpha": 7.0, "iterations": 15}  # best of 12 on a validation split
AGES = {"1": 17.0, "18": 21.0, "25": 30.0, "35": 40.0, "45": 47.0, "50": 53.0, "56": 60.0}
PROFILE = {"user_age": pa.float32(), "user_city": pa.string(), "user_segment": pa.string()}


@dataclass(frozen=True)
class Split:
    """Leave-one-out: pairs to train on, one item a user to find among 99 others."""

    users: np.ndarray
    items: np.ndarray
    test_items: np.ndarray
    negatives: np.ndarray

    @classmethod
    def read(cls, folder: Path = DATA) -> Split:
        train, test = np.load(folder / "train_rebuilt.npz"), np.load(folder / "test.npz")
        order = np.argsort(test["user"])
        negatives = test["neg"][order].astype(np.int64)
        return cls(train["user"].astype(np.int64), train["item"].astype(np.int64), test["item"][order], negatives)

    def gains(self, users: np.ndarray, items: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Hits and NDCG gains at 10 of every user, by dot products."""
        found = np.einsum("ud,ud->u", users, items[self.test_items])[:, None]
        others = np.einsum("ud,und->un", users, items[self.negatives])
        rank = (others > found).sum(1) + (others == found).sum(1) // 2
        hit = rank < 10
        return hit.astype(float), np.where(hit, 1 / np.log2(rank + 2), 0.0)


def profiles() -> list[dict[str, Any]]:
    """Age and occupation of every user, as request features; MovieLens knows no city but zip codes."""
    rows = [line.split("::") for line in (DATA / "users.dat").read_text(encoding="latin-1").splitlines()]
    by_id = {int(row[0]) - 1: {"age": AGES[row[2]], "city": None, "segment": f"{row[1]}-{row[3]}"} for row in rows}
    return [by_id[user] for user in range(USERS)]


def write_prepared(folder: Path, split: Split) -> None:
    """The pairs as prepare_data would leave them: without times there are neither last clicks nor ages of items."""
    from features.declaration import DECLARATION_FILE
    from features.manifest import write_manifest

    held_out = _stopping_rows(split)
    people = profiles()
    for name, rows in (("train", ~held_out), ("validation", held_out)):
        users = split.users[rows]
        columns: dict[str, Any] = {
            "user_id": [f"u{user}" for user in users],
            "item_id": [f"i{item}" for item in split.items[rows]],
            "event_time": pa.array([datetime(2003, 2, 28, tzinfo=UTC) + timedelta(days=name != "train")] * len(users)),
            "user_last_5_clicks": pa.array([[]] * len(users), pa.list_(pa.string())),
            "weight": pa.array(np.ones(len(users), dtype=np.float32)),
        }
        for column, kind in PROFILE.items():
            columns[column] = pa.array([people[user][column.removeprefix("user_")] for user in users], kind)
        _write(folder / "recall" / name, pa.table(columns))
    lines = (DATA / "item_map.tsv").read_text(encoding="utf-8").splitlines()[1:]
    described = {int(line.split("\t")[0]): line.split("\t") for line in lines}
    topics = [described[item][4].split("|")[0] if item in described else None for item in range(ITEMS)]
    catalogue = {
        "item_id": [f"i{item}" for item in range(ITEMS)],
        "item_topic": topics,
        "item_author_id": pa.nulls(ITEMS, pa.string()),
        "item_age_days": pa.nulls(ITEMS, pa.float32()),
    }
    _write(folder / "items", pa.table(catalogue))
    shutil.copy(DECLARATION_FILE, folder / "features.yaml")
    write_manifest(folder, "prepare_data")


def _stopping_rows(split: Split) -> np.ndarray:
    """One random pair of each of some users, as a mask over the pairs."""
    rng = np.random.default_rng(11)
    order = rng.permutation(len(split.users))
    _, first = np.unique(split.users[order], return_index=True)
    mask = np.zeros(len(split.users), dtype=bool)
    mask[order[rng.choice(first, STOPPING_USERS, replace=False)]] = True
    return mask


def _write(folder: Path, table: pa.Table) -> None:
    folder.mkdir(parents=True)
    pq.write_table(table, folder / "part-0.parquet")


def train(prepared: Path, opt: Path, seed: int) -> tuple[Path, float, float]:
    """Run the training job; its model folder, wall seconds (start of Python included) and CPU seconds of all threads."""
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(CODE), "SM_CHANNEL_PREPARED": str(prepared)}
    environ |= {"SM_MODEL_DIR": str(opt / "model"), "SM_OUTPUT_DATA_DIR": str(opt / "output" / "data")}
    started, spent = time.perf_counter(), os.times()
    command = [sys.executable, str(CODE / "two_tower" / "train.py"), "--seed", str(seed), *HYPERPARAMETERS]
    subprocess.run(command, env=environ, check=True, stdout=subprocess.DEVNULL)
    now = os.times()
    cpu = now.children_user + now.children_system - spent.children_user - spent.children_system
    return opt / "model", time.perf_counter() - started, cpu


def vectors(model: Path, prepared: Path, opt: Path) -> tuple[np.ndarray, np.ndarray]:
    """User vectors as the endpoint gives them, item vectors as embed_items writes them; ordered by number."""
    from two_tower import embed_items, inference

    out = opt / "vectors"
    paths = ["--model", str(model), "--prepared", str(prepared), "--output", str(out), "--config-dir", str(opt)]
    with contextlib.redirect_stdout(None):  # the job's log is not the benchmark's table
        embed_items.main(embed_items.parser().parse_args(paths))
    table = pq.read_table(out / "vectors-algo-1.parquet", columns=["item_id", "vector"])
    order = np.argsort([int(item[1:]) for item in table["item_id"].to_pylist()])
    items = table["vector"].combine_chunks().flatten().to_numpy().reshape(-1, 64)[order]
    asked = [{"user_id": f"u{user}"} | profile for user, profile in enumerate(profiles())]
    loaded = inference.model_fn(str(model))
    users = inference.input_fn(json.dumps({"users": asked}), "application/json")
    return inference.predict_fn(users, loaded)["vectors"], items


def als(split: Split, seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    """The peer: implicit's ALS on all pairs; vectors and seconds."""
    from implicit.als import AlternatingLeastSquares
    from threadpoolctl import threadpool_limits

    pairs = sparse.csr_matrix((np.ones(len(split.users), np.float32), (split.users, split.items)), shape=(USERS, ITEMS))
    started = time.perf_counter()
    with threadpool_limits(1, "blas"):
        model = AlternatingLeastSquares(**ALS, random_state=seed)
        model.fit(pairs, show_progress=False)
    return model.user_factors, model.item_factors, time.perf_counter() - started


def measure() -> dict[str, Any]:
    """Three seeds of the job and of the peer; paired per user, averaged over seeds."""
    if not DATA.is_dir():
        return {"value": None, "unit": "HR@10", "peer": None, "ratio": None, "goal": GOAL_HR, "holds": None} | {
            "note": f"skipped: {DATA} is not there"
        }
    sys.path.insert(0, str(CODE))
    split, rows = Split.read(), []
    print(f"{'seed':>4} {'HR@10':>7} {'NDCG@10':>8} {'s':>6} {'CPU s':>6}   {'ALS HR':>7} {'NDCG':>7} {'s':>5}")  # noqa: T201
    with tempfile.TemporaryDirectory() as scratch:
        prepared = Path(scratch) / "prepared"
        write_prepared(prepared, split)
        for seed in SEEDS:
            opt = Path(scratch) / f"opt-{seed}"
            model, seconds, cpu = train(prepared, opt, seed)
            ours = split.gains(*vectors(model, prepared, opt))
            *factors, als_seconds = als(split, seed)
            theirs = split.gains(factors[0], factors[1])
            rows.append((*ours, *theirs, cpu))
            means = [part.mean() for part in (*ours, *theirs)]
            print(  # noqa: T201
                f"{seed:4} {means[0]:7.4f} {means[1]:8.4f} {seconds:6.1f} {cpu:6.1f}   {means[2]:7.4f} {means[3]:7.4f} {als_seconds:5.1f}"
            )
    hits, gains, peer_hits, peer_gains = (np.mean(np.array([row[place] for row in rows]), axis=0) for place in range(4))
    apart = gains - peer_gains
    gain, error = apart.mean(), apart.std(ddof=1) / np.sqrt(len(apart))
    slowest = max(row[4] for row in rows)
    print(f"NDCG@10 {gains.mean():.4f}; over ALS, paired per user: {gain:+.4f} ± {error:.4f}")  # noqa: T201
    holds = hits.mean() >= GOAL_HR and gains.mean() >= GOAL_NDCG and gain > 0 and slowest <= GOAL_CPU_SECONDS
    return {
        "value": round(float(hits.mean()), 4),
        "unit": "HR@10",
        "peer": round(float(peer_hits.mean()), 4),
        "ratio": round(float(hits.mean() / peer_hits.mean()), 4),
        "goal": GOAL_HR,
        "holds": bool(holds),
        "ndcg": round(float(gains.mean()), 4),
        "ndcg_over_als": [round(float(gain), 4), round(float(error), 4)],
        "cpu_seconds": round(slowest, 1),
    }


if __name__ == "__main__":
    print(json.dumps(measure(), indent=1))  # noqa: T201
