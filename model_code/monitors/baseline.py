"""Processing job: the baseline of a release, for every kind of monitor.

In   --prepared, --two-tower, --ranker, --vectors: the release's own folders, as evaluate takes them
Out  --output: docs/seams.md, Monitors
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from evaluation.holdout import read_rows, read_split
from evaluation.release import open_release
from features.declaration import load
from features.job import job_parser, metric, progress, run
from features.manifest import read_manifest
from monitors.baseline_files import read_model, write_baseline
from monitors.formats import BINARY_METRICS, Kind
from monitors.judging import build_baseline
from monitors.replay import Replay, Rules, read_requests
from monitors.shown import Column, Shown
from ranker.scorer import POSITION

HOLDOUT_ROWS = 50_000  # of the held-out impressions, at most: deviations of AUC are in the third digit long before


def parser() -> argparse.ArgumentParser:
    made = job_parser((__doc__ or "").splitlines()[0])
    for name in ("prepared", "two-tower", "ranker", "vectors", "output"):
        made.add_argument(f"--{name}", type=Path, required=True)
    made.add_argument("--release-id", required=True)
    made.add_argument("--requests", type=int, default=4000, help="past requests that are answered anew")
    made.add_argument(
        "--candidates", type=int, default=Rules().candidates, help="as the recommender asks the index for"
    )
    made.add_argument("--seed", type=int, default=0)
    return made


def main(arguments: argparse.Namespace) -> str:
    """Replay, measure, write."""
    prepared: Path = arguments.prepared
    read_manifest(prepared, "prepare_data")
    with tempfile.TemporaryDirectory() as scratch:
        release = open_release(arguments.two_tower, arguments.ranker, arguments.vectors, Path(scratch))
        scorer, explainer = read_model(release.ranker)
        rules = Rules(candidates=arguments.candidates)
        replay = Replay(release, scorer, load(prepared / "features.yaml"), prepared, rules)
        requests = read_requests(prepared, arguments.requests, arguments.seed)
        replayed = replay.shown(requests)
        progress(
            f"{len(requests.user_Q):,} requests of {len(requests.users):,} users answered anew: {len(replayed):,} rows"
        )
        holdout = read_holdout(prepared, replay.columns)
        baseline = build_baseline(
            replayed,
            holdout,
            popularity(prepared),
            scorer,
            explainer,
            release_id=arguments.release_id,
            seed=arguments.seed,
        )
        arguments.output.mkdir(parents=True, exist_ok=True)
        write_baseline(baseline, release.ranker, arguments.output)
    quality = baseline.documents[Kind.MODEL_QUALITY][0][BINARY_METRICS]
    metric(**{name: float(quality[name]["value"]) for name in ("auc", "auc_implied", "log_loss", "calibration_ratio")})
    return f"Completed: baseline of {arguments.release_id} from {len(replayed):,} replayed and {len(holdout):,} held-out rows"


def read_holdout(prepared: Path, columns: tuple[Column, ...]) -> Shown:
    """The held-out impressions with labels and places."""
    rows = read_rows(prepared)
    raw = {name: column_cells(rows.table[name], kind) for name, kind in columns}
    shown = Shown(
        columns=columns,
        raw=raw,
        user=rows.user.astype(np.int64),
        request=rows.list_of.astype(np.int64),
        item=rows.table["item_id"].to_numpy(zero_copy_only=False),
        position=raw[POSITION] if POSITION in raw else np.ones(len(rows.labels)),
        at_us=rows.table["event_time"].cast(pa.int64()).to_numpy(),
        label=rows.labels,
    )
    return shown.at_most(HOLDOUT_ROWS)


def column_cells(column: pa.ChunkedArray, kind: str) -> np.ndarray:
    """A prepared column as raw cells: NaN or "" where missing."""
    if kind == "number":
        return np.asarray(column.cast(pa.float64()).to_numpy())
    return np.array(pc.fill_null(column.cast(pa.string()), "").to_pylist(), object)


def popularity(prepared: Path) -> dict[str, float]:
    """Clicks of the last 30 days of every item of the catalogue."""
    items = read_split(prepared, "items", ["item_id", "item_clicks_30d"])
    clicks = items["item_clicks_30d"].to_pylist()
    return {item: float(count or 0) for item, count in zip(items["item_id"].to_pylist(), clicks, strict=True)}


if __name__ == "__main__":
    sys.exit(run(parser(), main))
