"""Processing job: candidate beside champion on the held-out time, the gate's answer, and the model card.

In   --prepared, --two-tower, --ranker, --vectors, and the champion's three where there is one
Out  --output: evaluation.json, serving.json, model_card.html, manifest.json
A candidate that the gate rejects is an answer, not a failure: the job ends well and says so.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from functools import partial
from pathlib import Path
from typing import Any

from evaluation.comparison import Evaluated, evaluate_release, intervals_of, segments_table
from evaluation.documents import nulled
from evaluation.gate import Gate, Thresholds, decide_gate
from evaluation.holdout import Rows, read_popularity, read_rows
from evaluation.model_card import render_card
from evaluation.release import Release, open_release
from evaluation.retrieval import most_popular
from evaluation.serving import serving_facts
from features.job import JobFailed, job_parser, metric, progress, run
from features.manifest import read_manifest, write_manifest

FOLDERS = ("two_tower", "ranker", "vectors")


def parser() -> argparse.ArgumentParser:
    made = job_parser((__doc__ or "").splitlines()[0])
    for name in ("prepared", *FOLDERS, "output"):
        made.add_argument(f"--{name.replace('_', '-')}", type=Path, required=True)
    for name in FOLDERS:
        made.add_argument(f"--champion-{name.replace('_', '-')}", type=Path, help="the serving release's")
    made.add_argument("--release-id", required=True)
    made.add_argument("--users-limit", type=int, default=20_000, help="users that recall is measured on, at most")
    made.add_argument("--seed", type=int, default=0)
    return made


def main(arguments: argparse.Namespace) -> str:
    """Evaluate, decide, write."""
    prepared: Path = arguments.prepared
    window = read_manifest(prepared, "prepare_data")
    rows = read_rows(prepared)
    with tempfile.TemporaryDirectory() as scratch:
        new, old = open_releases(arguments, Path(scratch))
        note = incomparable(old, rows)
        measure = partial(
            evaluate_release, prepared=prepared, rows=rows, users_limit=arguments.users_limit, seed=arguments.seed
        )
        candidate = measure(new)
        champion = None if old is None or note else measure(old)
        progress(f"measured on {candidate.queries.count} users and {len(rows.labels)} impressions")
        document = compare(arguments, candidate, champion, rows, note)
        card = render_card(document, window, candidate, champion, rows, prepared)
        serving = serving_facts(candidate.release, prepared, arguments.two_tower, arguments.ranker)
        write(arguments.output, document, card, serving)
    metric(**{f"{stage}_{name}": value for stage, named in candidate.figures.items() for name, value in named.items()})
    verdict = "passed" if document["gate"]["passed"] else "rejected"
    return f"{arguments.release_id} {verdict}: {'; '.join(document['gate']['reasons'])}"


def open_releases(arguments: argparse.Namespace, scratch: Path) -> tuple[Release, Release | None]:
    """Candidate and champion; the champion's three folders come together or not at all."""
    given = [getattr(arguments, f"champion_{name}") for name in FOLDERS]
    if any(given) and not all(given):
        raise JobFailed("a champion needs --champion-two-tower, --champion-ranker and --champion-vectors together")
    candidate = open_release(arguments.two_tower, arguments.ranker, arguments.vectors, scratch / "candidate")
    if not all(given):
        return candidate, None
    two_tower, ranker, vectors = given
    return candidate, open_release(two_tower, ranker, vectors, scratch / "champion")


def incomparable(champion: Release | None, rows: Rows) -> str:
    """Why a champion cannot be measured on this holdout; empty if it can."""
    if champion is None:
        return ""
    absent = sorted({name for name, _ in champion.ranker_manifest["columns"]} - set(rows.table.schema.names))
    return (
        f"champion needs {', '.join(absent)}, which this feature set lacks: judged as a first release" if absent else ""
    )


def compare(
    arguments: argparse.Namespace, candidate: Evaluated, champion: Evaluated | None, rows: Rows, note: str
) -> dict[str, Any]:
    """evaluation.json: see docs/seams.md."""
    popular = most_popular(read_popularity(arguments.prepared, candidate.release.item_ids), candidate.queries)
    baseline = float(popular.per_user(candidate.queries)["recall_at_100"].mean())
    intervals = intervals_of(candidate, champion, rows, seed=arguments.seed)
    gate = decide_gate(
        candidate.figures,
        None if champion is None else champion.figures,
        Thresholds(popularity_recall_at_100=baseline),
        None if champion is None else intervals,
    )
    gate = Gate(gate.passed, (*gate.reasons, *([note] if note else [])))
    return {
        "release_id": arguments.release_id,
        "candidate": candidate.figures,
        "champion": None if champion is None else champion.figures,
        "popularity": {"recall_at_100": baseline},
        "intervals": {"of": "candidate" if champion is None else "candidate - champion", **intervals},
        "segments": segments_table(candidate, champion, rows, arguments.prepared),
        "gate": gate.to_document(),
    }


def write(output: Path, document: dict[str, Any], card: str, serving: dict[str, Any]) -> None:
    """All three files, and the manifest that proves them; a figure that is not defined is null, as JSON has no NaN."""
    output.mkdir(parents=True, exist_ok=True)
    text = json.dumps(nulled(document), indent=1, allow_nan=False, ensure_ascii=False)
    (output / "evaluation.json").write_text(text + "\n", encoding="utf-8")
    (output / "model_card.html").write_text(card, encoding="utf-8")
    (output / "serving.json").write_text(json.dumps(serving, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    write_manifest(output, "evaluate", {"release_id": document["release_id"], "passed": document["gate"]["passed"]})


if __name__ == "__main__":
    sys.exit(run(parser(), main))
