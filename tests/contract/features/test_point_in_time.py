"""The SQL of prepare_data against the definition, event by event, on small random logs."""

import math
import tempfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from features.declaration import load
from features.prepare import prepare
from features.schema import EVENTS, ITEMS, POSITIVE_TYPES, USERS
from features.sources import Window
from support.features_by_hand import day_of, features_at, known_events, label_of
from support.soak import examples

DECLARED = load()
END = datetime(2024, 3, 2, tzinfo=UTC)  # the window holds a leap day
WINDOW_DAYS = 4
USER_IDS, ITEM_IDS = ("ann", "bob"), ("i1", "i2", "i3", "i4")
DAY = timedelta(days=1)


def event(number, kind, user, item, at, late, request=None):
    return {
        "event_id": f"e{number}",
        "event_time": at,
        "known_at": at + late,
        "event_type": kind,
        "user_id": user,
        "item_id": item,
        "position": 1,
        "request_id": request,
        "propensity": None,
        "value": None,
    }


def frame():
    """What every log needs so that preparation goes through: both classes in every split."""
    rows = []
    for day in range(WINDOW_DAYS):
        at = END - (day + 1) * DAY + timedelta(hours=12)
        rows.append(event(f"f{day}", "impression", "zoe", "i1", at, timedelta(), f"rf{day}"))
        rows.append(event(f"g{day}", "impression", "zoe", "i2", at, timedelta(), f"rf{day}"))
        rows.append(event(f"h{day}", "click", "zoe", "i1", at + timedelta(seconds=5), timedelta(), f"rf{day}"))
    return rows


hours = st.integers(0, 24 * 36).map(lambda h: END - 36 * DAY + timedelta(hours=h))
instants = st.one_of(hours, hours.map(lambda at: at - timedelta(microseconds=1)), hours.map(day_of))
lates = st.sampled_from([timedelta(), timedelta(seconds=1), timedelta(hours=7), DAY, 3 * DAY, 9 * DAY])


@st.composite
def logs(draw):
    drawn = draw(
        st.lists(
            st.tuples(
                st.sampled_from(["impression", "impression", "click", "click", "like", "skip"]),
                st.sampled_from(USER_IDS),
                st.sampled_from(ITEM_IDS),
                instants,
                lates,
                st.sampled_from([None, None, "r1", "r2"]),
            ),
            min_size=5,
            max_size=40,
        )
    )
    log = [event(number, *rest) for number, rest in enumerate(drawn)]
    # ids must be as unsorted as times, or a wrong tie-break would go unseen
    for row, number in zip(log, draw(st.permutations(range(len(log)))), strict=True):
        row["event_id"] = f"e{number:03}"
    return log


@st.composite
def tables(draw):
    """Users and items in one or two versions, known at any time, or never heard of."""
    users, items = [], []
    for user in USER_IDS:
        for at in sorted(draw(st.lists(instants, max_size=2, unique=True))):
            age, city = draw(st.sampled_from([None, 20, 41])), draw(st.sampled_from([None, "Oslo", "Graz"]))
            users.append(
                {"user_id": user, "age": age, "city": city, "segment": None, "signup_time": at, "known_at": at}
            )
    for item in ITEM_IDS:
        for at in sorted(draw(st.lists(instants, max_size=2, unique=True))):
            topic, author = draw(st.sampled_from([None, "film", "books"])), draw(st.sampled_from(["a1", "a2"]))
            born = at - timedelta(hours=30)
            items.append(
                {
                    "item_id": item,
                    "title": item,
                    "topic": topic,
                    "author_id": author,
                    "created_at": born,
                    "known_at": at,
                }
            )
    return users, items


def prepared(log, users, items, shard_rows=1000):
    """Every table of the prepared folder as rows."""
    window = Window.ending(END, WINDOW_DAYS, 1, 1, DECLARED.longest_window_days())
    with tempfile.TemporaryDirectory() as folder:
        source, output, scratch = (Path(folder) / name for name in ("source", "output", "scratch"))
        for place in (source, output, scratch):
            place.mkdir()
        files = {}
        for name, rows, schema in (("events", log, EVENTS), ("users", users, USERS), ("items", items, ITEMS)):
            files[name] = [source / f"{name}.parquet"]
            pq.write_table(pa.Table.from_pylist(rows, schema), files[name][0])
        prepare(files, DECLARED, window, output, scratch, shard_rows)
        database = duckdb.connect()
        database.execute("SET TimeZone = 'UTC'")
        names = ("ranking/*", "recall/*", "users", "items", "history")
        return {
            name.split("/")[0]: database.sql(f"FROM '{output}/{name}/*.parquet'").to_arrow_table().to_pylist()
            for name in names
        }


def same(found, expected):
    if isinstance(expected, float) or isinstance(found, float):
        if found is None or expected is None:
            return found is expected
        return math.isclose(found, expected, rel_tol=1e-6, abs_tol=1e-6)
    if isinstance(expected, dict):
        found = dict(found)
        return found.keys() == expected.keys() and all(same(found[key], expected[key]) for key in expected)
    return found == expected


def differences(found, expected):
    return {
        name: (found[name], value) for name, value in expected.items() if name in found and not same(found[name], value)
    }


@settings(
    max_examples=examples(3, 100),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(log=logs(), profiles=tables(), shard_rows=st.sampled_from([1000, 15]))
def test_every_row_holds_exactly_what_was_known_at_its_day(log, profiles, shard_rows):
    log = frame() + log
    users, items = profiles
    versions = {"user": users, "item": items}
    tables = prepared(log, users, items, shard_rows)
    start = END - WINDOW_DAYS * DAY
    known = {row["event_id"]: row for row in known_events(log, END) if row["event_time"] >= start}

    impressions = {name: row for name, row in known.items() if row["event_type"] == "impression"}
    assert {row["event_id"] for row in tables["ranking"]} == impressions.keys()
    for row in tables["ranking"]:
        at = day_of(row["event_time"])
        user = features_at(DECLARED, "user", row["user_id"], log, versions, at)
        item = features_at(DECLARED, "item", row["item_id"], log, versions, at)
        crosses = {
            cross.name: user[f"user_{cross.user}"].get(item[f"item_{cross.item}"], cross.default)
            for cross in DECLARED.crosses
        }
        context = {"hour": float(row["event_time"].hour), "weekday": float(row["event_time"].weekday())}
        label = {"label": label_of(impressions[row["event_id"]], log, END)}
        assert differences(row, user | item | crosses | context | label) == {}, row

    positives = [row for row in known.values() if row["event_type"] in POSITIVE_TYPES]
    key = ("user_id", "item_id", "event_time")
    assert sorted(tuple(row[k] for k in key) for row in tables["recall"]) == sorted(
        tuple(row[k] for k in key) for row in positives
    )
    for row in tables["recall"]:
        user = features_at(DECLARED, "user", row["user_id"], log, versions, day_of(row["event_time"]))
        assert differences(row, user) == {}, row
    assert {(row["user_id"], row["item_id"]) for row in tables["history"]} == {
        (row["user_id"], row["item_id"]) for row in positives if row["event_time"] < END - DAY
    }
    for entity in ("user", "item"):
        for row in tables[f"{entity}s"]:
            assert differences(row, features_at(DECLARED, entity, row[f"{entity}_id"], log, versions, END)) == {}, row


@settings(
    max_examples=examples(2, 40),
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
@given(log=logs(), profiles=tables(), future=logs())
def test_rows_of_the_future_change_nothing_before_it(log, profiles, future):
    """D3: what happens from the holdout on, or becomes known then, cannot move a training row's features."""
    users, items = profiles
    turn = END - DAY
    past = [row for row in frame() + log if row["known_at"] <= turn or row["event_id"].startswith(("ef", "eg", "eh"))]
    later = [
        row | {"event_id": f"z{row['event_id']}", "known_at": max(row["known_at"], turn + timedelta(hours=1))}
        for row in future
    ]
    more_items = [
        *items,
        {
            "item_id": "i1",
            "title": "x",
            "topic": "moved",
            "author_id": "a9",
            "created_at": turn,
            "known_at": turn + DAY,
        },
    ]

    def before_the_turn(tables):
        rows = [row for row in tables["ranking"] if row["event_time"] < turn and not row["event_id"].startswith("z")]
        return {row["event_id"]: {name: row[name] for name in row if name != "label"} for row in rows}

    without, with_future = prepared(past, users, items), prepared(past + later, users, more_items)
    assert before_the_turn(with_future) == before_the_turn(without)


def test_a_late_click_counts_only_once_it_is_known():
    shown = END - 3 * DAY + timedelta(hours=1)
    late = event(
        "late", "click", "ann", "i1", shown - 2 * DAY, 3 * DAY
    )  # known an hour into the day after `shown`'s day
    probes = [
        event(f"p{day}", "impression", "ann", "i2", shown + day * DAY, timedelta(), f"q{day}") for day in range(3)
    ]
    rows = {row["event_id"]: row for row in prepared([*frame(), late, *probes], [], [])["ranking"]}
    assert [rows[f"ep{day}"]["user_clicks_7d"] for day in range(3)] == [0.0, 0.0, 1.0]


@pytest.mark.parametrize(
    ("offset", "counts"),
    [
        pytest.param(timedelta(days=7), 1.0, id="the window's first microsecond belongs to it"),
        pytest.param(timedelta(days=7, microseconds=1), 0.0, id="the microsecond before does not"),
        pytest.param(timedelta(microseconds=1), 1.0, id="the last microsecond before feature_time belongs to it"),
        pytest.param(timedelta(), 0.0, id="feature_time itself does not"),
    ],
)
def test_windows_are_half_open(offset, counts):
    day = END - DAY
    probe = event("probe", "impression", "ann", "i2", day + timedelta(hours=3), timedelta(), "q")
    clicked = event("click", "click", "ann", "i1", day - offset, timedelta())
    rows = {row["event_id"]: row for row in prepared([*frame(), clicked, probe], [], [])["ranking"]}
    assert rows["eprobe"]["user_clicks_7d"] == counts
