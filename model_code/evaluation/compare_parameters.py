"""Processing job: one model trained with today's hyperparameters beside the best trial of a search, on the held-out time.

In   --model two_tower|ranker, --prepared, --today and --tuned (a model.tar.gz each)
Out  --output: comparison.json {model, primary, today, tuned, intervals, users}, manifest.json
The search saw the validation split, which also stopped each training early; nothing of it saw the holdout. One comparison is made
there a search, so its interval needs no correction for the number of trials.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a file: the root of model_code/ is where packages are found
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import numpy as np

from evaluation.comparison import ranking_intervals, recall_figures, recall_intervals
from evaluation.documents import nulled
from evaluation.holdout import Rows, read_queries, read_rows
from evaluation.ranking import Ranked, of_scores
from evaluation.release import ranker_scores, read_model, user_vectors
from evaluation.retrieval import retrieve
from features.archive import open_model
from features.job import JobFailed, job_parser, metric, progress, run
from features.manifest import read_manifest, write_manifest
from two_tower.embed_items import item_batches, load_item_tower

SIDES = ("today", "tuned")
PRIMARY = {"two_tower": "recall.recall_at_50", "ranker": "ranking.auc"}  # what the search looked for, too


@dataclass(frozen=True, slots=True)
class Compared:
    """Figures of both sides by full name, and intervals of tuned minus today for the same users."""

    figures: dict[str, dict[str, float]]
    intervals: dict[str, dict[str, Any]]
    users: int


def parser() -> argparse.ArgumentParser:
    made = job_parser((__doc__ or "").splitlines()[0])
    made.add_argument("--model", choices=tuple(PRIMARY), required=True)
    for name in ("prepared", *SIDES, "output"):
        made.add_argument(f"--{name}", type=Path, required=True)
    made.add_argument("--users-limit", type=int, default=20_000, help="users that recall is measured on, at most")
    made.add_argument("--seed", type=int, default=0)
    return made


def main(arguments: argparse.Namespace) -> str:
    """Measure both, write the difference."""
    prepared: Path = arguments.prepared
    read_manifest(prepared, "prepare_data")
    with tempfile.TemporaryDirectory() as scratch:
        models = {side: open_model(getattr(arguments, side), Path(scratch) / side) for side in SIDES}
        compare = compare_towers if arguments.model == "two_tower" else compare_rankers
        compared = compare(models, prepared, arguments)
    primary = PRIMARY[arguments.model]
    document = {
        "model": arguments.model,
        "primary": primary,
        **compared.figures,
        "intervals": compared.intervals,
        "users": compared.users,
    }
    arguments.output.mkdir(parents=True, exist_ok=True)
    text = json.dumps(nulled(document), indent=1, allow_nan=False)
    (arguments.output / "comparison.json").write_text(text + "\n", encoding="utf-8")
    write_manifest(arguments.output, "compare_parameters", {"model": arguments.model})
    for side in SIDES:
        metric(**{f"{side}_{name.replace('.', '_')}": value for name, value in compared.figures[side].items()})
    difference = compared.intervals[primary]
    return (
        f"{arguments.model} on {compared.users} held-out users: {primary} of the tuned parameters minus today's "
        f"{difference['value']:+.4f} [{difference['low']:+.4f}, {difference['high']:+.4f}]"
    )


def compare_towers(models: Mapping[str, Path], prepared: Path, arguments: argparse.Namespace) -> Compared:
    """Recall of both over the same users and items."""
    found = {side: per_user(folder, prepared, arguments) for side, folder in models.items()}
    figures = {
        side: {f"recall.{name}": value for name, value in recall_figures(each).items()} for side, each in found.items()
    }
    intervals = recall_intervals(found["tuned"], found["today"], seed=arguments.seed)
    return Compared(figures, intervals, len(found["today"]["user"]))


def per_user(folder: Path, prepared: Path, arguments: argparse.Namespace) -> dict[str, np.ndarray]:
    """Recall and NDCG of one unpacked two-tower model for each held-out user."""
    manifest = read_model(folder, "two_tower")
    tower = load_item_tower(folder)
    item_ids: list[str] = []
    chunks = []
    for ids, raw in item_batches(prepared / "items", tower, 0, 1):
        item_ids += ids
        chunks.append(tower.embed(ids, raw))
    queries = read_queries(prepared, item_ids, limit=arguments.users_limit, seed=arguments.seed)
    users = user_vectors(folder, manifest["tower_id"], tower.dimension, queries.users)
    progress(f"tower {manifest['tower_id'][:12]}: {len(item_ids)} items, {queries.count} held-out users")
    return retrieve(users, np.concatenate(chunks), queries).per_user(queries)


def compare_rankers(models: Mapping[str, Path], prepared: Path, arguments: argparse.Namespace) -> Compared:
    """Ranking figures of both over the same held-out impressions."""
    rows = read_rows(prepared)
    ranked = {side: of_ranker(folder, rows) for side, folder in models.items()}
    figures = {
        side: {f"ranking.{name}": value for name, value in each.figures(rows).items()} for side, each in ranked.items()
    }
    intervals = ranking_intervals(ranked["tuned"], ranked["today"], rows, seed=arguments.seed)
    return Compared(figures, intervals, int(rows.user.max()) + 1)


def of_ranker(folder: Path, rows: Rows) -> Ranked:
    manifest = read_model(folder, "ranker")
    absent = sorted({name for name, _ in manifest["columns"]} - set(rows.table.schema.names))
    if absent:
        raise JobFailed(f"the ranker needs {', '.join(absent)}, which the prepared data lacks")
    progress(f"ranker {manifest['ranker_id'][:12]}: {len(rows.labels)} held-out impressions")
    return of_scores(rows, *ranker_scores(folder, manifest, rows.table))


if __name__ == "__main__":
    sys.exit(run(parser(), main))
