"""The prepared folder: every table written from DuckDB straight to Parquet, in a fixed order, so that equal inputs give equal bytes."""

from __future__ import annotations

import json
from pathlib import Path

import duckdb

from features import duck
from features.declaration import Column, FeatureSet
from features.samples import ranking_sql, recall_sql
from features.schema import POSITIVE_TYPES
from features.sources import Window

POPULAR = 200
SECONDS_PER_DAY = 86_400


def copy(database: duckdb.DuckDBPyConnection, sql: str, file: Path) -> int:
    """Write a query's rows to one Parquet file; returns how many."""
    file.parent.mkdir(parents=True, exist_ok=True)
    row = database.execute(f"COPY ({sql}) TO {duck.quoted(file)} (FORMAT parquet, COMPRESSION zstd)").fetchone()
    return int(row[0]) if row else 0


def write_shard(
    database: duckdb.DuckDBPyConnection, declared: FeatureSet, window: Window, folder: Path, shard: int
) -> dict[str, int]:
    """Samples, users and history of one shard's users; returns rows by output."""
    part = f"part-{shard:04d}.parquet"
    counts = {}
    for split, days in window.splits().items():
        counts[f"ranking_{split}"] = copy(database, ranking_sql(declared, days), folder / "ranking" / split / part)
        counts[f"recall_{split}"] = copy(database, recall_sql(declared, days), folder / "recall" / split / part)
    counts["users"] = copy(database, users_sql(declared, window), folder / "users" / part)
    counts["history"] = copy(database, history_sql(window), folder / "history" / part)
    return counts


def users_sql(declared: FeatureSet, window: Window) -> str:
    """Users and their features at the window's end, flat names."""
    users = declared.group("user")
    joins, values = [], []
    for column in users:
        if column.kind == "ids":
            joins.append(f"LEFT JOIN list_{column.feature} USING (user_id, day)")
            values.append(f"coalesce(list_{column.feature}.items, []) AS {column.name}")
        elif column.kind == "shares":
            joins.append(f"LEFT JOIN {_shares(column, window.end)} AS {column.feature} USING (user_id)")
            values.append(f"coalesce({column.feature}.shares, MAP {{}}) AS {column.name}")
        else:
            values.append(f"person.{column.name}")
    return f"""SELECT person.user_id, {", ".join(values)} FROM user_rows AS person {" ".join(joins)}
        WHERE person.day = {window.end} ORDER BY person.user_id"""


def _shares(column: Column, end: int) -> str:
    """Per user the newest running counts over the total, as a map in order of its keys."""
    return f"""(SELECT share.user_id,
            map_from_entries(list(row(share.value, CAST(share.n / person.{column.feature}_total AS FLOAT)) ORDER BY share.value)) AS shares
        FROM (SELECT user_id, value, arg_max(n, day) AS n FROM share_{column.feature} GROUP BY ALL) AS share
        JOIN user_rows AS person ON person.user_id = share.user_id AND person.day = {end}
        WHERE share.n > 0 GROUP BY share.user_id)"""


def history_sql(window: Window) -> str:
    """Distinct positives of the window before the holdout."""
    types = ", ".join(f"'{kind}'" for kind in POSITIVE_TYPES)
    return f"""SELECT DISTINCT user_id, item_id FROM events WHERE event_type IN ({types})
        AND event_day >= {window.start} AND event_day < {window.holdout} ORDER BY user_id, item_id"""


def seen_sql(declared: FeatureSet, window: Window) -> str:
    """Per user the ids shown or acted on in the seen window, newest first."""
    return f"""SELECT user_id, list(item_id ORDER BY newest_at DESC, item_id)[1:{declared.seen_count}] AS seen
        FROM (SELECT user_id, item_id, max(event_us) AS newest_at FROM events
              WHERE event_day >= {window.end - declared.seen_window_days} GROUP BY user_id, item_id
              QUALIFY row_number() OVER (PARTITION BY user_id ORDER BY newest_at DESC, item_id) <= {declared.seen_count})
        GROUP BY user_id"""


def online_sql(declared: FeatureSet, window: Window) -> str:
    """What is materialised of each user: the short names and `seen`."""
    renamed = ", ".join(f"{column.name} AS {column.feature}" for column in declared.group("user"))
    return f"""SELECT user_id, {renamed}, coalesce(seen, []) AS seen FROM ({users_sql(declared, window)})
        LEFT JOIN ({seen_sql(declared, window)}) USING (user_id) ORDER BY user_id"""


def offline_sql(declared: FeatureSet, entity: str, rows: str, window: Window) -> str:
    """One feature_time of the offline table, in its own types."""
    casts = {"number": "DOUBLE", "category": "VARCHAR", "ids": "VARCHAR[]", "shares": "MAP(VARCHAR, DOUBLE)"}
    values = ", ".join(f"CAST({c.name} AS {casts[c.kind]}) AS {c.feature}" for c in declared.group(entity))
    time = f"to_timestamp({window.end * SECONDS_PER_DAY})"
    return f"SELECT {entity}_id, {time} AS feature_time, {values} FROM ({rows}) ORDER BY {entity}_id"


def items_sql(declared: FeatureSet, window: Window) -> str:
    """Every item known at the window's end, with the fields an index document carries."""
    fields = ", ".join(
        "coalesce(version.title, '') AS title" if f == "title" else f"item.{f}" for f in declared.item_fields
    )
    return f"""SELECT {fields} FROM item_rows AS item
        ASOF LEFT JOIN item_versions AS version ON version.item_id = item.item_id AND item.day >= version.day
        WHERE item.day = {window.end} ORDER BY item.item_id"""


def write_popular(database: duckdb.DuckDBPyConnection, window: Window, file: Path) -> int:
    """popular.json: most clicked of the last 7 days, then of the last 30; ties by id."""
    rows = database.execute(
        f"""SELECT item_id, CAST(item_clicks_7d AS INTEGER) FROM item_rows
        WHERE day = {window.end} AND item_clicks_30d > 0
        ORDER BY item_clicks_7d DESC, item_clicks_30d DESC, item_id LIMIT {POPULAR}"""
    ).fetchall()
    file.write_text(
        json.dumps([{"item_id": item_id, "clicks": clicks} for item_id, clicks in rows]) + "\n", encoding="utf-8"
    )
    return len(rows)
