"""Processing job: every user with the features that the recommender would find now, as the lines of the batch transform.

In   --user-features-table (online features), --lake-bucket, --glue-database (users that have none yet)
Out  --output/users/part-<n>.jsonl: {"user_id", "features"}, LINES a file; ids/*.parquet: user_id, each once; manifest with
     count, with_features, without_features, oldest and newest feature_time
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

if __name__ == "__main__":  # run as a file: the root of model_code/ is where packages are found
    sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

import boto3
import pyarrow as pa
import pyarrow.parquet as pq

from features import duck
from features.job import JobFailed, job_parser, metric, progress, run
from features.lake import Lake
from features.manifest import write_manifest

LINES = 20_000  # a file: about 40 MB, so that instances can share the files and a part of one is little work
IDS = pa.schema([("user_id", pa.string())])


def main(arguments: argparse.Namespace) -> str:
    """Online features first, then the users of the lake that have none."""
    output: Path = arguments.output
    for name in ("users", "ids"):
        (output / name).mkdir(parents=True, exist_ok=True)
    times: set[str] = set()
    known = write_users(output, "online", _features(arguments.user_features_table, times))
    with tempfile.TemporaryDirectory(prefix="list-users-") as scratch:
        strangers = _without_features(arguments, output / "ids" / "online.parquet", Path(scratch))
    write_users(output, "without", ((user_id, {}) for user_id in strangers))
    count = known + len(strangers)
    if not count:
        raise JobFailed("there is no user: neither online features nor users in the lake")
    facts = {"count": count, "with_features": known, "without_features": len(strangers)}
    spread = {"oldest": min(times, default=None), "newest": max(times, default=None)}
    write_manifest(output, "list_users", {**facts, "feature_time": spread})
    metric(users=count, users_without_features=len(strangers))
    return f"{count:,} users, {len(strangers):,} of them without features"


def write_users(output: Path, name: str, users: Iterable[tuple[str, Mapping[str, Any]]]) -> int:
    """Lines `users/<name>-<n>.jsonl` and `ids/<name>.parquet` of (id, features); how many."""
    count, rest = 0, iter(users)
    with pq.ParquetWriter(output / "ids" / f"{name}.parquet", IDS) as ids:
        for number in itertools.count():
            batch = list(itertools.islice(rest, LINES))
            if not batch:
                return count
            lines = (
                json.dumps({"user_id": user_id, "features": features}, separators=(",", ":"), allow_nan=False)
                for user_id, features in batch
            )
            (output / "users" / f"{name}-{number:05d}.jsonl").write_text(
                "".join(f"{line}\n" for line in lines), encoding="utf-8"
            )
            ids.write_table(pa.table({"user_id": [user_id for user_id, _ in batch]}, schema=IDS))
            count += len(batch)
            progress(f"{count:,} users {name}")
    return count


def _features(table: str, times: set[str]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for item in online_users(table):
        times.add(item["feature_time"])
        yield item["user_id"], item["features"]


def online_users(table: str) -> Iterator[dict[str, Any]]:
    """`{user_id, feature_time, features}` of every online user item."""
    pages = boto3.client("dynamodb").get_paginator("scan").paginate(TableName=table)
    for page in pages:
        for item in page["Items"]:
            yield {name: plain(item[name]) for name in ("user_id", "feature_time", "features")}


def plain(attribute: dict[str, Any]) -> Any:
    """A DynamoDB value as the recommender reads it: whole numbers as int, others as float (understudy.adapters.aws_items)."""
    ((kind, value),) = attribute.items()
    if kind == "N":
        return int(value) if value.lstrip("-").isdigit() else float(value)
    if kind == "M":
        return {key: plain(one) for key, one in value.items()}
    if kind == "L":
        return [plain(one) for one in value]
    return None if kind == "NULL" else value


def _without_features(arguments: argparse.Namespace, ids: Path, scratch: Path) -> list[str]:
    """Users that the lake knows and the online table does not."""
    lake = Lake(arguments.lake_bucket, arguments.glue_database)
    files = lake.fetch("users", lake.pin("users"), scratch / "users")
    if not files:
        return []
    with duck.connect(scratch / "work") as database:
        rows = database.execute(
            f"""SELECT DISTINCT user_id FROM {duck.parquet(files)}
            WHERE user_id NOT IN (SELECT user_id FROM {duck.parquet([ids])}) ORDER BY user_id"""  # noqa: S608  our own files
        ).fetchall()
    return [user_id for (user_id,) in rows]


def parser() -> argparse.ArgumentParser:
    made = job_parser((__doc__ or "").splitlines()[0])
    made.add_argument("--user-features-table", required=True, help="DynamoDB table of online user features")
    made.add_argument("--lake-bucket", required=True)
    made.add_argument("--glue-database", required=True)
    made.add_argument("--output", type=Path, required=True)
    return made


if __name__ == "__main__":
    sys.exit(run(parser(), main))
