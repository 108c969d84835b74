"""The prepare_data job as SageMaker runs it, a process of its own, against Glue, S3 and DynamoDB on the wire."""

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import boto3
import pyarrow.parquet as pq
import pytest

from features.declaration import load
from features.importers.load import load_canonical
from features.manifest import read_manifest
from simulator.files import write_world
from simulator.world import World, WorldSpec
from support.lake_account import (  # noqa: F401  fixtures
    BUCKET,
    DATABASE,
    STATE_TABLE,
    USERS_TABLE,
    aws,
    aws_server,
    dynamodb,
    lake,
    target,
)

PROGRAM = Path(__file__).resolve().parents[3] / "model_code" / "features" / "prepare_data.py"
SPEC = WorldSpec(users=60, items=50, days=8, impressions_per_day=900, seed=5)
AS_OF = SPEC.end


@pytest.fixture
def world_in_lake(target, tmp_path):  # noqa: F811
    write_world(World(SPEC), tmp_path / "world")
    return load_canonical(tmp_path / "world", target.lake, target.dynamodb, STATE_TABLE)


def prepare_data(output, as_of=AS_OF, *more):
    """(exit code, last line of stderr, message)"""
    message = output.with_suffix(".message")
    arguments = ["--lake-bucket", BUCKET, "--glue-database", DATABASE, "--user-features-table", USERS_TABLE]
    arguments += ["--state-table", STATE_TABLE, "--as-of", as_of.isoformat(), "--window-days", "8"]
    arguments += ["--output", str(output), "--message-file", str(message), *more]
    done = subprocess.run([sys.executable, str(PROGRAM), *arguments], capture_output=True, text=True, env=os.environ)
    return done.returncode, (done.stderr.splitlines() or [""])[-1], message.read_text()


def online(dynamodb, user_id):  # noqa: F811
    return dynamodb.get_item(TableName=USERS_TABLE, Key={"user_id": {"S": user_id}})["Item"]


def feedback_line(number, **changes):
    event = {
        "event_id": f"live-{number}",
        "event_time": (AS_OF - timedelta(hours=2)).isoformat(),
        "known_at": (AS_OF - timedelta(hours=1)).isoformat(),
        "event_type": "click",
        "user_id": "u000001",
        "item_id": "i000001",
        "release_id": "r-1",
        "bucket": 7,
    }
    return json.dumps(event | changes)


def test_a_night_prepares_the_whole_folder_and_a_second_one_the_same_bytes(world_in_lake, dynamodb, lake, tmp_path):  # noqa: F811
    assert prepare_data(tmp_path / "one")[0] == 0
    manifest = read_manifest(tmp_path / "one", "prepare_data")
    folders = {entry["path"].rsplit("/", 1)[0] for entry in manifest["files"]}
    splits = {f"{kind}/{split}" for kind in ("ranking", "recall") for split in ("train", "validation", "holdout")}
    assert folders == {*splits, "users", "items", "history", "popular.json", "features.yaml"}
    ranking = pq.read_schema(next((tmp_path / "one" / "ranking" / "train").glob("*.parquet"))).names
    assert ranking == ["event_id", "user_id", "item_id", "event_time", "label", *(c.name for c in load().ranker)]
    assert (manifest["counts"]["users"], manifest["counts"]["items"]) == (SPEC.users, SPEC.items)
    assert 0 < manifest["base_rate"] < 1

    item = online(dynamodb, "u000001")
    assert item["feature_time"]["S"] == AS_OF.isoformat()
    rows = pq.read_table(tmp_path / "one" / "users").to_pylist()
    row = next(row for row in rows if row["user_id"] == "u000001")
    assert float(item["features"]["M"]["clicks_30d"]["N"]) == row["user_clicks_30d"]
    assert [one["S"] for one in item["features"]["M"]["last_5_clicks"]["L"]] == row["user_last_5_clicks"]
    snapshots = {name: lake.pin(name) for name in ("user_features", "item_features")}
    assert None not in snapshots.values()

    assert prepare_data(tmp_path / "two")[0] == 0
    again = read_manifest(tmp_path / "two", "prepare_data")
    assert again["files"] == manifest["files"]
    assert again["online"] == {"written": 0, "kept": SPEC.users}
    assert {name: lake.pin(name) for name in snapshots} == snapshots  # offline rows of a feature_time stand once


def test_an_earlier_day_prepared_later_does_not_move_online_features_back(world_in_lake, dynamodb, tmp_path):  # noqa: F811
    assert prepare_data(tmp_path / "new")[0] == 0
    assert prepare_data(tmp_path / "old", AS_OF - timedelta(days=1))[0] == 0
    assert online(dynamodb, "u000001")["feature_time"]["S"] == AS_OF.isoformat()
    state = dynamodb.get_item(TableName=STATE_TABLE, Key={"id": {"S": "online_features"}})["Item"]
    assert state["feature_time"]["S"] == AS_OF.isoformat()


def test_feedback_lands_once_and_its_bad_lines_are_kept(world_in_lake, dynamodb, lake, tmp_path):  # noqa: F811
    s3 = boto3.client("s3")
    bad = [
        feedback_line(3, event_type="bought"),
        feedback_line(4, position=0),
        feedback_line(5, event_time="soon"),
        "{",
    ]
    lines = [feedback_line(1), feedback_line(2, user_id="newcomer"), feedback_line(1), *bad]
    s3.put_object(Bucket=BUCKET, Key="feedback/2026/02/28/22/one", Body="\n".join(lines).encode())
    assert prepare_data(tmp_path / "one")[0] == 0
    counted = read_manifest(tmp_path / "one")["feedback"]
    assert counted == {"objects": 1, "events": 2, "duplicates": 1, "rejected": 4}
    (entry,) = s3.list_objects_v2(Bucket=BUCKET, Prefix="feedback-rejects/")["Contents"]
    rejects = s3.get_object(Bucket=BUCKET, Key=entry["Key"])["Body"].read().decode().splitlines()
    assert [json.loads(line)["line"] for line in rejects] == [4, 5, 6, 7]
    assert "newcomer" in {row["user_id"] for row in pq.read_table(tmp_path / "one" / "users").to_pylist()}

    s3.put_object(Bucket=BUCKET, Key="feedback/2026/02/28/23/two", Body=feedback_line(6).encode())
    assert prepare_data(tmp_path / "two")[0] == 0
    counted = read_manifest(tmp_path / "two")["feedback"]
    assert (counted["events"], counted["duplicates"]) == (1, 3)


@pytest.mark.parametrize(
    ("as_of", "more", "says"),
    [
        pytest.param(datetime(2020, 1, 1, tzinfo=UTC), (), "the lake holds no impressions between", id="no data"),
        pytest.param(AS_OF + timedelta(days=1), (), "the holdout days hold no impressions", id="no holdout"),
        pytest.param(AS_OF, ("--window-days", "2"), "leaves none for training", id="no training days"),
    ],
)
def test_what_cannot_be_prepared_fails_with_one_sentence(world_in_lake, tmp_path, as_of, more, says):
    code, last_line, message = prepare_data(tmp_path / "out", as_of, *more)
    assert code == 1
    assert says in last_line
    assert message == last_line
    assert not (tmp_path / "out" / "manifest.json").exists()


def test_an_empty_lake_fails_with_one_sentence(lake, dynamodb, tmp_path):  # noqa: F811
    code, last_line, _ = prepare_data(tmp_path / "out")
    assert (code, "the lake holds no impressions" in last_line) == (1, True)


def test_one_class_only_fails_with_one_sentence(target, tmp_path):  # noqa: F811
    write_world(World(SPEC), tmp_path / "world")
    import duckdb

    for file in sorted((tmp_path / "world" / "events").glob("*.parquet")):
        duckdb.sql(f"COPY (FROM '{file}' WHERE event_type <> 'click') TO '{file}.new' (FORMAT parquet)")
        Path(f"{file}.new").replace(file)
    load_canonical(tmp_path / "world", target.lake, target.dynamodb, STATE_TABLE)
    code, last_line, _ = prepare_data(tmp_path / "out")
    assert (code, "one class only" in last_line) == (1, True)


def test_concurrent_appends_to_one_table_all_arrive(lake, tmp_path):  # noqa: F811
    """A refused commit is tried again: no writer's rows are lost."""
    write_world(World(SPEC), tmp_path / "world")
    files = sorted((tmp_path / "world" / "events").glob("*.parquet"))[:4]
    lake.table("events")
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda file: lake.add("events", [file]), files))
    assert len(lake.files("events", lake.pin("events"))) == 4


def test_a_pinned_snapshot_does_not_see_what_came_later(lake, tmp_path):  # noqa: F811
    write_world(World(SPEC), tmp_path / "world")
    first, second = sorted((tmp_path / "world" / "events").glob("*.parquet"))[:2]
    pinned = lake.add("events", [first], {"who": "first"})
    lake.add("events", [second])
    assert len(lake.files("events", pinned)) == 1
    assert len(lake.files("events", lake.pin("events"))) == 2
    day = datetime.fromisoformat(second.stem).replace(tzinfo=UTC)
    fetched = lake.fetch("events", lake.pin("events"), tmp_path / "fetched", day, day + timedelta(days=1))
    assert [pq.read_metadata(file).num_rows for file in fetched] == [pq.read_metadata(second).num_rows]
    assert lake.property("events", "who") == "first"
