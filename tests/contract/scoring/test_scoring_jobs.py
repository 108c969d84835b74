"""The jobs around the transform against a lake: every user listed once, and an export that is whole or not at all."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from features.job import JobFailed
from features.lake import Lake
from features.lake_files import s3_client
from features.manifest import read_manifest
from features.schema import USERS
from scoring import collect_scores, export, list_users
from scoring.expiry import KEPT, expire
from support.lake_account import BUCKET, DATABASE, USERS_TABLE
from support.scored_release import write_listed
from understudy.adapters.aws_items import to_item

pytest_plugins = ["support.lake_account"]
PEOPLE = {f"u{number}": {"age": number, "seen": []} for number in range(6)}
TODAY, TOMORROW = "2026-11-24T12:00:00+00:00", "2026-11-25T12:00:00+00:00"


@pytest.fixture
def releases(dynamodb) -> Any:
    key = {
        "KeySchema": [{"AttributeName": "release_id", "KeyType": "HASH"}],
        "AttributeDefinitions": [{"AttributeName": "release_id", "AttributeType": "S"}],
    }
    dynamodb.create_table(TableName="releases", BillingMode="PAY_PER_REQUEST", **key)
    for release_id, status in (("r-1", "champion"), ("r-2", "retired"), ("r-3", "rejected")):
        dynamodb.put_item(TableName="releases", Item=to_item({"release_id": release_id, "status": status}))
    return dynamodb


def collect(
    folder: Path, release_id: str = "r-1", at: str = TODAY, lines: list[str] | None = None, **options: str
) -> str:
    """A run of the job over the lists of everybody, or these lines."""
    folder.mkdir()
    users = write_listed(folder / "listed", PEOPLE)
    (folder / "lists").mkdir()
    told = [line(user, release_id) for user in PEOPLE] if lines is None else lines
    (folder / "lists" / "online-00000.jsonl.out").write_text("".join(f"{one}\n" for one in told))
    given = {"lists": folder / "lists", "users": users, "output": folder / "output", "release-id": release_id}
    given |= {
        "at": at,
        "k": 2,
        "releases-table": "releases",
        "lake-bucket": BUCKET,
        "glue-database": DATABASE,
        **options,
    }
    arguments = [str(part) for name, value in given.items() for part in (f"--{name}", value)]
    return collect_scores.main(collect_scores.parser().parse_args(arguments))


def line(user: str, release_id: str = "r-1", first: str = "i1", **changes: Any) -> str:
    one = {"user_id": user, "release_id": release_id, "items": [first, "i2"], "scores": [0.5, 0.25], "degraded": []}
    return json.dumps(one | changes)


def rows_of(lake: Lake, folder: Path) -> list[dict[str, Any]]:
    """What a reader of the table's current snapshot finds."""
    files = lake.fetch(export.TABLE, lake.pin(export.TABLE), folder)
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def test_the_table_holds_exactly_the_rows_of_the_file_and_tomorrows_take_their_place(lake, releases, tmp_path):
    message = collect(tmp_path / "1")
    assert message == "6 lists of r-1, 12 rows; recommendations holds them"
    manifest = read_manifest(tmp_path / "1" / "output", "collect_scores")
    assert manifest["counts"] == {
        "users_in": 6,
        "lists_out": 6,
        "users_in_parquet": 6,
        "rows_of_lists": 12,
        "rows_in_parquet": 12,
        "short_lists": 0,
        "users_without_features": 0,
    }
    assert manifest["table"]["rows"] == 12
    assert rows_of(lake, tmp_path / "read-1") == pq.read_table(tmp_path / "1" / "output" / "lists.parquet").to_pylist()
    collect(tmp_path / "2", at=TOMORROW)
    rows = rows_of(lake, tmp_path / "read-2")
    assert (len(rows), {row["scored_for"].isoformat() for row in rows}) == (12, {TOMORROW})
    summary = lake.table(export.TABLE).current_snapshot().summary
    assert summary["total-records"] == "12"


def test_the_same_lists_again_are_no_second_commit_and_those_of_an_earlier_day_come_too_late(lake, releases, tmp_path):
    collect(tmp_path / "1", at=TOMORROW)
    there = lake.pin(export.TABLE)
    collect(tmp_path / "2", at=TOMORROW)
    assert lake.pin(export.TABLE) == there
    with pytest.raises(JobFailed, match="holds lists for 2026-11-25"):
        collect(tmp_path / "3", at=TODAY)
    assert lake.pin(export.TABLE) == there


def test_a_week_later_only_what_the_current_lists_need_is_left(lake, releases, tmp_path):
    collect(tmp_path / "1", at=TODAY)
    collect(tmp_path / "2", at=TOMORROW, lines=[line(user, first="i9") for user in PEOPLE])
    place = {"Bucket": BUCKET, "Key": "iceberg/recommendations/data/left/lists.parquet"}
    s3_client().put_object(**place, Body=b"of an export that died")
    now, there = datetime.now(UTC), lake.pin(export.TABLE)
    assert expire(lake, export.TABLE, now) == (0, 0)
    snapshots, files = expire(lake, export.TABLE, now + KEPT + timedelta(hours=1))
    assert (snapshots, files > 2) == (2, True)
    assert (lake.pin(export.TABLE), {row["item_id"] for row in rows_of(lake, tmp_path / "read")}) == (
        there,
        {"i9", "i2"},
    )
    listed = s3_client().list_objects_v2(Bucket=BUCKET, Prefix="iceberg/recommendations/data/")["Contents"]
    assert len([row for row in listed if row["Key"].endswith("lists.parquet")]) == 1
    assert expire(lake, export.TABLE, now + KEPT + timedelta(hours=1)) == (0, 0)


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        pytest.param(
            [line(u) for u in list(PEOPLE)[:-1]], "users in 6, lists out 5.*without a list: u5", id="a list is missing"
        ),
        pytest.param([line(u) for u in [*PEOPLE, "u0"]], "lists out 7.*with two lists: u0", id="a list came twice"),
        pytest.param([line(u, items=[], scores=[]) for u in PEOPLE], "6 lists are empty", id="nothing to show"),
        pytest.param(
            [line(u, degraded=["ranker"]) for u in PEOPLE], "6 of 6 lists were made without ranker", id="all degraded"
        ),
        pytest.param([], "users in 6, lists out 0", id="no list at all"),
    ],
)
def test_lists_that_are_not_whole_fail_and_the_table_keeps_its_snapshot(lake, releases, tmp_path, lines, said):
    collect(tmp_path / "1")
    there = lake.pin(export.TABLE)
    with pytest.raises(JobFailed, match=said) as failed:
        collect(tmp_path / "2", at=TOMORROW, lines=lines)
    assert "recommendations keeps what it had" in str(failed.value)
    assert lake.pin(export.TABLE) == there
    assert not (tmp_path / "2" / "output" / "manifest.json").exists()


def test_a_table_that_would_hold_another_number_of_rows_is_not_committed(lake, releases, tmp_path):
    collect(tmp_path / "1")
    there = lake.pin(export.TABLE)
    at = collect_scores.datetime.fromisoformat(TOMORROW)
    with pytest.raises(JobFailed, match="would hold 12 rows, the lists have 13"):
        export.replace_lists(lake, tmp_path / "1" / "output" / "lists.parquet", 13, at, "another")
    assert lake.pin(export.TABLE) == there


def test_a_release_that_was_retired_meanwhile_is_exported_and_one_that_was_rejected_is_not(lake, releases, tmp_path):
    collect(tmp_path / "1", "r-2")
    there = lake.pin(export.TABLE)
    with pytest.raises(JobFailed, match="r-3 is rejected by now"):
        collect(tmp_path / "2", "r-3", TOMORROW)
    assert lake.pin(export.TABLE) == there


def test_lists_of_another_release_than_the_champion_stay_out_of_the_table(lake, releases, tmp_path):
    assert "left alone" in collect(tmp_path / "1", export="no")
    assert lake.pin(export.TABLE) is None
    assert read_manifest(tmp_path / "1" / "output", "collect_scores")["table"] is None


def test_users_that_were_cut_off_after_they_were_listed_are_noticed(lake, releases, tmp_path):
    users = write_listed(tmp_path / "listed", PEOPLE)
    file = users / "users" / "online-00000.jsonl"
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(JobFailed, match=r"not those that were listed: .*truncated"):
        collect_scores._read_users(users)


def test_every_user_is_listed_once_with_the_features_of_now_or_none(lake, dynamodb, tmp_path, monkeypatch):
    monkeypatch.setattr(list_users, "LINES", 4)
    for user, features in PEOPLE.items():
        item = {
            "user_id": user,
            "feature_time": f"2026-11-2{int(user[1:]) % 2 + 3}",
            "feature_set": "1",
            "features": features,
        }
        dynamodb.put_item(TableName=USERS_TABLE, Item=to_item(item))
    known = [{"user_id": user} for user in ("u1", "new-1", "new-1", "new-2")]
    pq.write_table(pa.Table.from_pylist(known, USERS), tmp_path / "users.parquet")
    lake.add("users", [tmp_path / "users.parquet"])
    given = ["--user-features-table", USERS_TABLE, "--lake-bucket", BUCKET, "--glue-database", DATABASE]
    arguments = list_users.parser().parse_args([*given, "--output", str(tmp_path / "listed")])
    assert list_users.main(arguments) == "8 users, 2 of them without features"
    manifest = read_manifest(tmp_path / "listed", "list_users")
    files = sorted((tmp_path / "listed" / "users").glob("*.jsonl"))
    lines = [json.loads(text) for file in files for text in file.read_text().splitlines()]
    assert {one["user_id"]: one["features"] for one in lines} == {**PEOPLE, "new-1": {}, "new-2": {}}
    assert (len(lines), manifest["count"], manifest["with_features"], len(files)) == (8, 8, 6, 3)
    assert manifest["feature_time"] == {"oldest": "2026-11-23", "newest": "2026-11-24"}
