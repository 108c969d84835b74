"""Importers against a real Glue and S3 on the wire: what is in the lake afterwards, and what is in the rejects file."""

import gzip
import json
from datetime import UTC, datetime
from pathlib import Path

import duckdb
import pytest

from features.importers.movielens import import_movielens
from features.importers.open_bandit import import_open_bandit
from features.importers.reading import ImportFailed
from features.importers.table import import_table
from support.lake_account import STATE_TABLE, aws, aws_server, dynamodb, lake, target  # noqa: F401  fixtures

SHARED = Path(__file__).resolve().parents[4] / "shared" / "data"


def rows_of(lake, table, folder):  # noqa: F811
    files = lake.fetch(table, lake.pin(table), folder / table)
    return (
        duckdb.sql(f"FROM read_parquet({[str(file) for file in files]})").to_arrow_table().to_pylist() if files else []
    )


def rejects_of(target):  # noqa: F811
    return [json.loads(line) for line in target.rejects.read_text().splitlines()]


EVENTS_CSV = """when,who,what,kind,place
2026-01-01T10:00:00Z,ann,i1,impression,1
2026-01-01T10:00:05,ann,i1,click,1
1767261600,bob,i2,impression,2
yesterday,bob,i2,click,2
2026-01-01T11:00:00Z,,i3,impression,0
2026-01-01T12:00:00Z,ann,i3,bought,1
2026-01-01T13:00:00Z,ann
2026-01-01T10:00:05,ann,i1,click,1
"""
MAPPING = {"event_time": "when", "user_id": "who", "item_id": "what", "event_type": "kind", "position": "place"}


@pytest.fixture
def events_csv(tmp_path):
    (tmp_path / "events.csv").write_text(EVENTS_CSV)
    return tmp_path / "events.csv"


def test_every_row_of_ones_own_csv_is_added_a_duplicate_or_in_the_rejects_file(events_csv, target, tmp_path):  # noqa: F811
    report = import_table(events_csv, "events", target, MAPPING)
    assert (report.read["events"], report.rejected["events"]) == (8, 4)
    assert (report.landed.rows, report.landed.duplicates) == (3, 1)
    stored = {
        (row["user_id"], row["event_type"], row["event_time"]) for row in rows_of(target.lake, "events", tmp_path)
    }
    assert stored == {
        ("ann", "impression", datetime(2026, 1, 1, 10, tzinfo=UTC)),
        ("ann", "click", datetime(2026, 1, 1, 10, 0, 5, tzinfo=UTC)),
        ("bob", "impression", datetime(2026, 1, 1, 10, tzinfo=UTC)),
    }


def test_a_rejected_row_says_where_it_stood_what_was_wrong_and_what_was_expected(events_csv, target):  # noqa: F811
    import_table(events_csv, "events", target, MAPPING)
    rejects = {line["row"]: line["problems"] for line in rejects_of(target)}
    assert rejects.keys() == {4, 5, 6, 7}
    assert rejects[4][0] | {"expected": ""} == {"column": "event_time", "what": "is yesterday", "expected": ""}
    assert [problem["column"] for problem in rejects[5]] == ["user_id", "position"]
    assert rejects[6][0]["expected"] == "one of impression, click, like, follow, skip"
    assert rejects[7][0]["what"] == "2 fields; expected 5"


def test_the_same_file_again_adds_nothing_and_is_counted(events_csv, target):  # noqa: F811
    import_table(events_csv, "events", target, MAPPING)
    report = import_table(events_csv, "events", target, MAPPING)
    assert (report.landed.rows, report.landed.duplicates) == (0, 4)
    state = target.dynamodb.get_item(TableName=STATE_TABLE, Key={"id": {"S": "lake"}})["Item"]
    assert (state["data_through"]["S"], state["data_version"]["N"]) == ("2026-01-02T00:00:00+00:00", "2")


def test_users_and_items_of_ones_own_need_no_time_of_their_own(tmp_path, target):  # noqa: F811
    (tmp_path / "people.tsv").write_text("user_id\tage\tcity\nann\t31\tGraz\nbob\t31.5\tOslo\n")
    report = import_table(tmp_path / "people.tsv", "users", target, constants={"segment": "beta"})
    assert (report.read["users"], report.rejected["users"]) == (2, 1)
    assert rejects_of(target)[0]["problems"][0]["what"] == "is 31.5"
    (row,) = rows_of(target.lake, "users", tmp_path)
    assert (row["user_id"], row["age"], row["segment"], row["known_at"].year) == ("ann", 31, "beta", 1970)


def test_parquet_keeps_its_types(tmp_path, target):  # noqa: F811
    duckdb.sql(
        f"""COPY (SELECT 'i1' AS item_id, 'A title' AS title, 'film' AS topic, TIMESTAMPTZ '2025-12-31 23:00:00+00' AS created_at)
        TO '{tmp_path}/items.parquet'"""
    )
    import_table(tmp_path / "items.parquet", "items", target)
    (row,) = rows_of(target.lake, "items", tmp_path / "out")
    assert row["created_at"] == row["known_at"] == datetime(2025, 12, 31, 23, tzinfo=UTC)


@pytest.mark.parametrize(
    ("name", "content", "mapping", "says"),
    [
        pytest.param("a.csv", b"user,item\n1,2\n", {}, "has no column .*event_type, user_id, item_id", id="needed"),
        pytest.param(
            "a.csv", b"user,item\n1,2\n", {"user_id": "uid"}, "has no column uid; it has user, item", id="source"
        ),
        pytest.param("a.csv", b"user,item\n1,2\n", {"shoe": "user"}, "events has no column shoe", id="canonical"),
        pytest.param("a.csv", b"", {}, "has no column", id="empty"),
        pytest.param("a.zip", b"PK", {}, "is an archive; unpack it", id="archive"),
        pytest.param(
            "a.csv.gz", gzip.compress(EVENTS_CSV.encode() * 50)[:-40], MAPPING, "truncated", id="truncated gzip"
        ),
        pytest.param("a.parquet", b"PAR1xxxx", MAPPING, "truncated or no Parquet", id="truncated parquet"),
        pytest.param("a.csv", "when,who\nä,ö\n".encode("latin-1"), MAPPING, "is not utf-8.* text", id="encoding"),
        pytest.param("a.xlsx", b"x", {}, "neither .csv", id="kind"),
    ],
)
def test_a_source_that_cannot_be_imported_says_why_and_adds_nothing(tmp_path, target, name, content, mapping, says):  # noqa: F811
    (tmp_path / name).write_bytes(content)
    with pytest.raises(ImportFailed, match=says):
        import_table(tmp_path / name, "events", target, mapping)
    assert target.lake.pin("events") is None


def test_a_source_without_one_good_row_adds_nothing(tmp_path, target):  # noqa: F811
    (tmp_path / "a.csv").write_text("event_time,user_id,item_id,event_type\nnever,a,b,click\n")
    with pytest.raises(ImportFailed, match=r"no row could be imported: see .*rejects\.jsonl"):
        import_table(tmp_path / "a.csv", "events", target)
    assert target.lake.pin("events") is None


def classic_1m(folder):
    (folder / "ratings.dat").write_text("1::10::5::978300760\n1::11::2::978300800\n2::10::3::978386400\n2::x\n")
    (folder / "users.dat").write_text("1::F::25::12::48067\n2::M::56::16::70072\n")
    (folder / "movies.dat").write_bytes(
        "10::Amélie (2000)::Comedy|Romance\n11::Casablanca (1942)::Drama\n".encode("latin-1")
    )


def classic_100k(folder):
    (folder / "u.data").write_text("1\t10\t5\t978300760\n1\t11\t2\t978300800\n2\t10\t3\t978386400\n2\tx\n")
    (folder / "u.user").write_text("1|25|F|programmer|48067\n2|56|M|self-employed|70072\n")
    flags = {"10": [5, 14], "11": [8]}
    titles = {"10": "Amélie (2000)", "11": "Casablanca (1942)"}
    lines = [
        "|".join(
            [item, titles[item], "01-Jan-1995", "", "http://x", *("1" if i in flags[item] else "0" for i in range(19))]
        )
        for item in flags
    ]
    (folder / "u.item").write_bytes("\n".join(lines).encode("latin-1"))


@pytest.mark.parametrize("write", [classic_1m, classic_100k])
def test_grouplens_formats_become_events_users_and_items(tmp_path, target, write):  # noqa: F811
    write(tmp_path)
    report = import_movielens(tmp_path, target)
    events = rows_of(target.lake, "events", tmp_path / "out")
    assert sorted((row["event_type"], row["user_id"], row["item_id"], row["value"]) for row in events) == [
        ("click", "1", "10", 5.0),
        ("impression", "1", "10", 5.0),
        ("impression", "1", "11", 2.0),
        ("impression", "2", "10", 3.0),
    ]
    assert report.rejected == {"events": 1, "users": 0, "items": 0}
    users = {row["user_id"]: row for row in rows_of(target.lake, "users", tmp_path / "out")}
    assert (users["1"]["age"], users["1"]["segment"], users["1"]["city"]) == (25, "programmer", "480")
    assert users["1"]["known_at"] == datetime(2000, 12, 31, tzinfo=UTC)
    items = {row["item_id"]: row for row in rows_of(target.lake, "items", tmp_path / "out")}
    assert [(row["title"], row["topic"], row["created_at"].year) for _, row in sorted(items.items())] == [
        ("Amélie", "Comedy", 2000),
        ("Casablanca", "Drama", 1942),
    ]
    assert items["11"]["known_at"] == datetime(1970, 1, 1, tzinfo=UTC)


def test_a_folder_without_ratings_is_refused(tmp_path, target):  # noqa: F811
    with pytest.raises(ImportFailed, match=r"no MovieLens ratings; expected one of: ml-100k\.inter"):
        import_movielens(tmp_path, target)


@pytest.mark.shared
@pytest.mark.skipif(not (SHARED / "ml-100k").exists(), reason="../shared/data is not here")
def test_movielens_100k_is_imported_whole(target, tmp_path):  # noqa: F811
    report = import_movielens(SHARED / "ml-100k", target)
    assert report.landed.rows == 100_000 + 55_375  # every rating, and those of 4 and 5
    assert (report.read["users"], report.read["items"], sum(report.rejected.values())) == (943, 1682, 0)
    item = next(row for row in rows_of(target.lake, "items", tmp_path) if row["item_id"] == "1")
    assert (item["title"], item["topic"], item["created_at"].year) == ("Toy Story", "Animation", 1995)


@pytest.mark.shared
@pytest.mark.skipif(not (SHARED / "obd").exists(), reason="../shared/data is not here")
def test_open_bandit_keeps_position_click_and_propensity(target, tmp_path):  # noqa: F811
    report = import_open_bandit(SHARED / "obd", target)
    events = rows_of(target.lake, "events", tmp_path)
    shown = [row for row in events if row["event_type"] == "impression"]
    clicks = {row["request_id"] for row in events if row["event_type"] == "click"}
    assert (len(shown), sum(report.rejected.values())) == (20_000, 0)
    assert 0.003 < len(clicks) / len(shown) < 0.008
    assert {row["position"] for row in shown} == {1, 2, 3}
    assert all(0 < row["propensity"] <= 1 for row in shown)
    assert {row["item_id"] for row in shown} <= {row["item_id"] for row in rows_of(target.lake, "items", tmp_path)}
    users = [row["user_id"] for row in rows_of(target.lake, "users", tmp_path)]
    assert len(users) == len(set(users))
    assert {row["user_id"] for row in shown} == set(users)
