"""Windowed features as SQL, made from the declaration: exact at every day boundary, point in time by event time and known-at.

Days are integers (days since 1970, UTC), so no zone, DST or leap day can bend a window. An event of day d that became
known by day boundary `avail` counts at a feature_time T exactly while

    avail <= T  and  T <= d + window        (avail > d, so event_time < T; d >= T - window, so event_time >= T - window)

Each daily count therefore enters a feature at `avail` and leaves it at d + window + 1: running sums over these changes give
one *change row* (key, day, values) wherever a value moves, and the row of any T is the latest one with day <= T: an ASOF join.
A late event changes only rows from its `avail` on: what was computed before stands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import duckdb

from features.declaration import Column, FeatureSet

DAY_US = 86_400_000_000


@dataclass(frozen=True, slots=True)
class Windowed:
    """Counts to keep as running sums: feature name, event types, days."""

    name: str
    events: tuple[str, ...]
    window_days: int


def events_columns() -> str:
    """Select list that adds the day arithmetic to canonical events."""
    return f"""event_id, event_time, epoch_us(event_time) AS event_us, event_type, user_id, item_id, position, request_id,
        CAST(epoch_us(event_time) // {DAY_US} AS INTEGER) AS event_day,
        CAST(greatest(epoch_us(event_time) // {DAY_US} + 1, (epoch_us(known_at) + {DAY_US - 1}) // {DAY_US}) AS INTEGER) AS avail"""


def counts_of(features: Sequence[Column]) -> list[Windowed]:
    """What must be counted for these features; the total under a `shares` feature is called `<feature>_total`."""
    counts = []
    for feature in features:
        source = feature.source
        if source.get("from") == "count":
            counts.append(Windowed(feature.feature, tuple(source["events"]), int(source["window_days"])))
        elif source.get("from") == "shares":
            counts.append(Windowed(f"{feature.feature}_total", tuple(source["events"]), int(source["window_days"])))
    return counts


def make_change_rows(
    database: duckdb.DuckDBPyConnection, events: str, key: str, target: str, features: Sequence[Column], last_day: int
) -> None:
    """Table `target`: key, day, one column a count, and `last_<feature>` (epoch us) under each `days_since` feature."""
    counts = counts_of(features)
    since = [feature for feature in features if feature.source.get("from") == "days_since"]
    kinds = sorted({count.events for count in counts} | {tuple(feature.source["events"]) for feature in since})
    tallies = ", ".join(f"count(*) FILTER (event_type IN ({_texts(kind)})) AS n{i}" for i, kind in enumerate(kinds))
    latest = "".join(
        f", max(event_us) FILTER (event_type IN ({_texts(f.source['events'])})) AS last_{f.feature}" for f in since
    )
    used = _texts(sorted({one for kind in kinds for one in kind}))
    database.execute(
        f"""CREATE OR REPLACE TEMP TABLE {target}_daily AS
        SELECT {key}, event_day, avail, {tallies}{latest} FROM {events}
        WHERE event_type IN ({used}) AND avail <= {last_day} GROUP BY {key}, event_day, avail"""
    )
    column = {kind: f"n{i}" for i, kind in enumerate(kinds)}
    nothing = "".join(f", CAST(NULL AS BIGINT) AS last_{f.feature}" for f in since)
    carried = "".join(f", last_{f.feature}" for f in since)
    window_of = {count.name: count.window_days for count in counts}
    enter = ", ".join(
        f"CASE WHEN avail <= event_day + {c.window_days} THEN {column[c.events]} ELSE 0 END AS {c.name}" for c in counts
    )
    changes = [f"SELECT {key}, avail AS day, {enter}{carried} FROM {target}_daily"]
    for days in sorted(set(window_of.values())):
        leave = ", ".join(f"{'-' + column[c.events] if c.window_days == days else '0'} AS {c.name}" for c in counts)
        changes.append(
            f"""SELECT {key}, event_day + {days + 1} AS day, {leave}{nothing} FROM {target}_daily
            WHERE avail <= event_day + {days} AND event_day + {days + 1} <= {last_day}"""
        )
    summed = ", ".join(f"CAST(sum({c.name}) AS BIGINT) AS {c.name}" for c in counts)
    topmost = "".join(f", max(last_{f.feature}) AS last_{f.feature}" for f in since)
    running = ", ".join(f"CAST(sum({c.name}) OVER so_far AS BIGINT) AS {c.name}" for c in counts)
    running_top = "".join(f", max(last_{f.feature}) OVER so_far AS last_{f.feature}" for f in since)
    database.execute(
        f"""CREATE OR REPLACE TEMP TABLE {target} AS SELECT {key}, day, {running}{running_top}
        FROM (SELECT {key}, day, {summed}{topmost} FROM ({" UNION ALL ".join(changes)}) GROUP BY {key}, day)
        WINDOW so_far AS (PARTITION BY {key} ORDER BY day ROWS UNBOUNDED PRECEDING);
        DROP TABLE {target}_daily"""
    )


def make_share_rows(
    database: duckdb.DuckDBPyConnection, events: str, feature: Column, target: str, last_day: int
) -> None:
    """Table `target`: user_id, value, day, n: the running count under a `shares` feature, per value of the item attribute.

    An event counts under the attribute its item was known by when the event became available; if none was known, under none.
    """
    window, by = int(feature.source["window_days"]), feature.source["by"]
    database.execute(
        f"""CREATE OR REPLACE TEMP TABLE {target} AS
        WITH acted AS (
            SELECT user_id, item_id, event_day, avail, count(*) AS n FROM {events}
            WHERE event_type IN ({_texts(feature.source["events"])}) AND avail <= {last_day} AND avail <= event_day + {window}
            GROUP BY ALL),
        valued AS (
            SELECT acted.user_id, version.{by} AS value, acted.event_day, acted.avail, acted.n
            FROM acted ASOF JOIN item_versions AS version ON acted.item_id = version.item_id AND acted.avail >= version.day
            WHERE version.{by} IS NOT NULL),
        changes AS (
            SELECT user_id, value, avail AS day, n FROM valued
            UNION ALL
            SELECT user_id, value, event_day + {window + 1}, -n FROM valued WHERE event_day + {window + 1} <= {last_day}),
        summed AS (SELECT user_id, value, day, sum(n) AS n FROM changes GROUP BY ALL)
        SELECT user_id, value, day, CAST(sum(n) OVER so_far AS BIGINT) AS n FROM summed
        WINDOW so_far AS (PARTITION BY user_id, value ORDER BY day ROWS UNBOUNDED PRECEDING)"""
    )


def make_last_lists(
    database: duckdb.DuckDBPyConnection, events: str, feature: Column, wanted: str, target: str, last_day: int
) -> None:
    """Table `target`: user_id, day, list of the last n distinct items for every (user_id, day) of `wanted`.

    Per user and availability day only the n newest distinct items are kept: no later list can hold more of them.
    """
    n, window, types = int(feature.source["n"]), int(feature.source["window_days"]), _texts(feature.source["events"])
    database.execute(
        f"""CREATE OR REPLACE TEMP TABLE {target} AS
        WITH acted AS (
            SELECT user_id, avail, item_id, max(row(event_us, event_id)) AS newest_at, max(event_day) AS event_day FROM {events}
            WHERE event_type IN ({types}) AND avail <= {last_day} GROUP BY user_id, avail, item_id),
        newest AS (
            SELECT * FROM acted
            QUALIFY row_number() OVER (PARTITION BY user_id, avail ORDER BY newest_at DESC) <= {n}),
        once AS (
            SELECT wanted.user_id, wanted.day, newest.item_id, max(newest.newest_at) AS newest_at FROM {wanted} AS wanted
            JOIN newest ON newest.user_id = wanted.user_id AND newest.avail <= wanted.day
                AND newest.event_day >= wanted.day - {window}
            GROUP BY ALL)
        SELECT user_id, day, list(item_id ORDER BY newest_at DESC)[1:{n}] AS items FROM once GROUP BY user_id, day"""
    )


def values_of(declared: FeatureSet, entity: str, row: str, version: str, day: str) -> dict[str, str]:
    """SQL of each scalar feature, from a change row `row`, a version `version` and the feature_time `day`; flat name -> SQL."""
    values = {}
    for column in declared.group(entity):
        source = column.source
        match source["from"]:
            case "attribute":
                sql = f"{version}.{source['column']}"
            case "age_days":
                born = f"epoch_us({version}.{source['column']}) / {DAY_US}.0"
                sql = f"CASE WHEN {born} <= {day} THEN {day} - {born} WHEN {born} > {day} THEN 0 END"
            case "count":
                sql = f"{row}.{column.feature}"
            case "ratio":
                sql = f"{row}.{source['of']} / nullif({row}.{source['by']}, 0)"
            case "days_since":
                oldest = f"({day} - {int(source['window_days'])}) * {DAY_US}"
                last = f"{row}.last_{column.feature}"
                sql = f"CASE WHEN {last} >= {oldest} THEN {day} - {last} / {DAY_US}.0 END"
            case _:
                continue
        values[column.name] = _typed(sql, column)
    return values


def _typed(sql: str, column: Column) -> str:
    if column.kind == "category":
        return f"coalesce({sql}, '{column.default}')"
    value = f"CAST({sql} AS FLOAT)"
    return value if column.default is None else f"coalesce({value}, {float(column.default)})"


def _texts(values: Sequence[str]) -> str:
    return ", ".join("'" + value.replace("'", "''") + "'" for value in values)
