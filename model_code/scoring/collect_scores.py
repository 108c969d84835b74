"""Processing job: the lists of the batch transform, counted, to one Parquet file and to the export table.

In   --lists (the transform's output), --users (list_users' output), --release-id, --at, --k; --releases-table says whether the
     release was rejected meanwhile
Out  --output/lists.parquet: user_id, position, item_id, score, release_id, scored_for; manifest with counts; with --export yes
     the Iceberg table `recommendations` of --glue-database holds exactly these rows (scoring.export)

Users in = lists out = distinct users in the file, and the rows of the file = places of the lists = rows of the table; else the
job fails, says which differ, and the table keeps its snapshot.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a file: the root of model_code/ is where packages are found
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import boto3
from pyiceberg.exceptions import CommitFailedException

from features.job import JobFailed, job_parser, metric, progress, run
from features.lake import Lake
from features.manifest import ManifestError, read_manifest, sha256_of, write_manifest
from scoring.expiry import expire
from scoring.export import TABLE, replace_lists
from scoring.lists import Counts, Written, count, differences, write_lists

LISTS = "lists.parquet"
MAX_DEGRADED_SHARE = 0.05  # of lists that lack a step: above it yesterday's lists are the better ones


def main(arguments: argparse.Namespace) -> str:
    """Write, count, compare, export, describe."""
    asked = _read_users(arguments.users)
    output: Path = arguments.output
    output.mkdir(parents=True, exist_ok=True)
    files = sorted(file for file in arguments.lists.rglob("*.out") if file.is_file())
    written = write_lists(files, output / LISTS, arguments.release_id, arguments.at, arguments.k)
    ids = sorted((arguments.users / "ids").glob("*.parquet"))
    with tempfile.TemporaryDirectory(prefix="collect-scores-") as scratch:
        counts = count(output / LISTS, written, int(asked["count"]), Path(scratch) / "count")
        problem = _unfit(written, arguments.release_id) or differences(
            counts, output / LISTS, ids, Path(scratch) / "compare"
        )
    if problem:
        raise JobFailed(f"{problem}; nothing was exported, {TABLE} keeps what it had")
    snapshot = _export(arguments, output / LISTS, counts)
    _describe(arguments, asked, written, counts, snapshot)
    where = f"{TABLE} holds them" if snapshot else f"{TABLE} was left alone: the release is not the champion"
    return f"{counts.lists_out:,} lists of {arguments.release_id}, {counts.rows_in_parquet:,} rows; {where}"


def _read_users(folder: Path) -> dict[str, Any]:
    try:
        return read_manifest(folder, "list_users")
    except ManifestError as error:
        raise JobFailed(f"the users are not those that were listed: {error}") from None


def _unfit(written: Written, release_id: str) -> str | None:
    """Why the lists must not be exported although they are complete."""
    if written.empty:
        return f"{written.empty} lists are empty: {release_id} has nothing to show to them, not even popular items"
    worst, lacking = max(written.degraded.items(), key=lambda step: step[1], default=("", 0))
    if lacking > MAX_DEGRADED_SHARE * written.lists:
        return f"{lacking} of {written.lists} lists were made without {worst}, more than {MAX_DEGRADED_SHARE:.0%}"
    return None


def _export(arguments: argparse.Namespace, lists: Path, counts: Counts) -> int | None:
    """The table's snapshot with these lists; None where they are not for export."""
    _refuse_rejected(arguments.releases_table, arguments.release_id)
    if arguments.export == "no":
        return None
    lake = Lake(arguments.lake_bucket, arguments.glue_database)
    snapshot = replace_lists(lake, lists, counts.rows_in_parquet, arguments.at, sha256_of(lists))
    progress(f"{TABLE}: snapshot {snapshot}")
    _clean_up(lake)
    return snapshot


def _clean_up(lake: Lake) -> None:
    """What is older than a week goes; today's lists are safe already, so whatever is in the way waits for tomorrow."""
    try:
        snapshots, files = expire(lake, TABLE, datetime.now(UTC))
    except CommitFailedException:
        progress(f"{TABLE}: another writer came first, old snapshots go tomorrow")
    else:
        progress(f"{TABLE}: {snapshots} old snapshots and {files} files that none names are gone")


def _refuse_rejected(table: str, release_id: str) -> None:
    """A release that was retired meanwhile is as good as it was; one that was rejected must not be shown to anybody."""
    key = {"release_id": {"S": release_id}}
    item = boto3.client("dynamodb").get_item(TableName=table, Key=key, ConsistentRead=True).get("Item", {})
    status = item.get("status", {}).get("S")
    if status in (None, "rejected"):
        raise JobFailed(f"{release_id} is {status or 'not registered'} by now: its lists are not exported")


def _describe(
    arguments: argparse.Namespace, asked: dict[str, Any], written: Written, counts: Counts, snapshot: int | None
) -> None:
    facts = {
        "release_id": arguments.release_id,
        "scored_for": arguments.at.isoformat(),
        "k": arguments.k,
        "counts": {**asdict(counts), "short_lists": written.short, "users_without_features": asked["without_features"]},
        "degraded": dict(written.degraded),
        "feature_time": asked["feature_time"],
        "table": None
        if snapshot is None
        else {"name": TABLE, "snapshot": str(snapshot), "rows": counts.rows_in_parquet},
    }
    write_manifest(arguments.output, "collect_scores", facts)
    metric(lists=counts.lists_out, rows=counts.rows_in_parquet, degraded=sum(written.degraded.values()))


def parser() -> argparse.ArgumentParser:
    made = job_parser((__doc__ or "").splitlines()[0])
    for name in ("lists", "users", "output"):
        made.add_argument(f"--{name}", type=Path, required=True)
    made.add_argument("--release-id", required=True)
    made.add_argument("--at", type=datetime.fromisoformat, required=True, help="the time the lists are for")
    made.add_argument("--k", type=int, required=True, help="places of a list")
    made.add_argument("--releases-table", required=True)
    made.add_argument("--lake-bucket", required=True)
    made.add_argument("--glue-database", required=True)
    made.add_argument("--export", choices=("yes", "no"), default="yes")
    return made


if __name__ == "__main__":
    sys.exit(run(parser(), main))
