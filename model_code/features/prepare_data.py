"""prepare_data: raw events in, samples and features out (docs/seams.md, Jobs).

1. Live feedback joins `events`.
2. Snapshots of events, users and items are pinned; their files of the window come to local disk.
3. DuckDB computes features known at each day, labels, samples and the tables around them (`prepare`).
4. This day's feature rows join the offline tables, every user's newest row goes online.
5. The manifest, last.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a file: the root of model_code/ is where packages are found
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import boto3
import duckdb

from features import duck
from features.declaration import FeatureSet, load
from features.feedback import take_feedback
from features.job import JobFailed, job_parser, metric, progress, run
from features.lake import Lake
from features.manifest import write_manifest
from features.online import materialise
from features.prepare import SHARD_ROWS, Prepared, prepare
from features.sources import Window, boundary


def parser() -> argparse.ArgumentParser:
    arguments = job_parser("Prepare samples and features from the lake's events.")
    arguments.add_argument("--lake-bucket", required=True)
    arguments.add_argument("--glue-database", required=True)
    arguments.add_argument("--user-features-table", required=True, help="DynamoDB table of online user features")
    arguments.add_argument("--state-table", required=True, help="DynamoDB table of how far things are")
    arguments.add_argument(
        "--as-of", required=True, type=moment, help="ISO time; the window ends at its day's start, UTC"
    )
    arguments.add_argument("--window-days", type=int, default=30)
    arguments.add_argument("--validation-days", type=int, default=1)
    arguments.add_argument("--holdout-days", type=int, default=1)
    arguments.add_argument("--shard-rows", type=int, default=SHARD_ROWS, help="events of users that one pass holds")
    arguments.add_argument("--output", required=True, type=Path)
    return arguments


def moment(text: str) -> datetime:
    """An ISO time; without a zone it is UTC."""
    at = datetime.fromisoformat(text)
    return at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)


def main(arguments: argparse.Namespace) -> str:
    declared = load()
    window = Window.ending(
        arguments.as_of,
        arguments.window_days,
        arguments.validation_days,
        arguments.holdout_days,
        declared.longest_window_days(),
    )
    lake = Lake(arguments.lake_bucket, arguments.glue_database)
    arguments.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="prepare-data-") as folder:
        scratch = Path(folder)
        try:
            return _work(arguments, lake, declared, window, scratch)
        except duckdb.OutOfMemoryException as error:
            raise JobFailed(f"out of memory beyond {duck.MEMORY_LIMIT}: {error}; try a smaller --shard-rows") from error


def _work(arguments: argparse.Namespace, lake: Lake, declared: FeatureSet, window: Window, scratch: Path) -> str:
    with duck.connect(scratch / "feedback") as database:
        feedback = take_feedback(lake, database, scratch / "feedback")
    tables = ("events", "users", "items")
    snapshots = {name: lake.pin(name) for name in tables}
    since, end = boundary(window.start - window.lookback), boundary(window.end)
    files = {
        name: lake.fetch(name, snapshots[name], scratch / name, *((since, end) if name == "events" else ()))
        for name in tables
    }
    progress(f"snapshots {snapshots}; {len(files['events'])} files of events from {since.date()} to {end.date()}")
    (scratch / "work").mkdir()
    done = prepare(files, declared, window, arguments.output, scratch / "work", arguments.shard_rows)
    _keep_offline(lake, done, end)
    written, kept = materialise(done.online, declared, arguments.user_features_table, end)
    _record_materialised(arguments.state_table, end, declared.version)
    progress(f"online: {written:,} users written, {kept:,} as new already")
    facts = _facts(window, snapshots, done) | {"online": {"written": written, "kept": kept}}
    facts["feedback"] = {
        "objects": feedback.objects,
        "events": feedback.landed.rows,
        "duplicates": feedback.landed.duplicates,
        "rejected": feedback.rejected,
    }
    write_manifest(arguments.output, "prepare_data", facts)
    metric(impressions=done.counts["ranking_train"], positives=done.counts["recall_train"], base_rate=done.base_rate)
    return (
        f"Completed: {done.counts['ranking_train']:,} impressions and {done.counts['recall_train']:,} positives for training, "
        f"{done.counts['users']:,} users, {done.counts['items']:,} items"
    )


def _facts(window: Window, snapshots: dict[str, int | None], done: Prepared) -> dict[str, Any]:
    days = {"start": window.start, "validation": window.validation, "holdout": window.holdout, "end": window.end}
    return {
        "window": {name: boundary(day).isoformat() for name, day in days.items()},
        # as texts: a snapshot id does not fit into the floating-point numbers that JSON readers make of it
        "snapshots": {name: None if snapshot is None else str(snapshot) for name, snapshot in snapshots.items()},
        "counts": done.counts,
        "base_rate": done.base_rate,
        "duplicates": done.duplicates,
    }


def _keep_offline(lake: Lake, done: Prepared, feature_time: datetime) -> None:
    """Append this feature_time's rows to the offline tables, once: what was known then does not change by being asked again."""
    until = boundary((feature_time - boundary(0)).days + 1)
    for table, files in done.offline.items():
        if files and not lake.files(table, lake.pin(table), feature_time, until):
            lake.add(table, files)


def _record_materialised(table: str, feature_time: datetime, feature_set: str) -> None:
    """`{"id": "online_features"}`: how new the online features are. Only ever moves on."""
    client = boto3.client("dynamodb")
    try:
        client.update_item(
            TableName=table,
            Key={"id": {"S": "online_features"}},
            UpdateExpression="SET feature_time = :at, feature_set = :version",
            ConditionExpression="attribute_not_exists(id) OR feature_time <= :at",
            ExpressionAttributeValues={":at": {"S": feature_time.isoformat()}, ":version": {"S": feature_set}},
        )
    except client.exceptions.ConditionalCheckFailedException:
        progress("online features of a later day stand already")


if __name__ == "__main__":
    sys.exit(run(parser(), main))
