"""The spine and its labels, joined to what was known at each row's day: samples for ranking and recall.

Works on one shard of users at a time (`events`: every event of those users), so that memory does not grow with the log.
"""

from __future__ import annotations

import duckdb

from features.declaration import Column, FeatureSet
from features.schema import POSITIVE_TYPES
from features.sources import Window
from features.windows import DAY_US, make_change_rows, make_last_lists, make_share_rows, values_of

ATTRIBUTION_US = 3600 * 1_000_000  # a click without a request id belongs to the last impression up to an hour before it


def make_item_rows(database: duckdb.DuckDBPyConnection, declared: FeatureSet, window: Window) -> None:
    """Table `item_rows`: item features at every (item_id, day) that an impression asks for, and of all items at the end."""
    make_change_rows(database, "every_event", "item_id", "item_changes", declared.group("item"), window.end)
    values = values_of(declared, "item", "change", "version", "wanted.day")
    database.execute(
        f"""CREATE OR REPLACE TEMP TABLE item_rows AS
        WITH wanted AS (
            SELECT item_id, event_day AS day FROM every_event
            WHERE event_type = 'impression' AND event_day >= {window.start}
            UNION SELECT item_id, {window.end} FROM item_versions)
        SELECT wanted.item_id, wanted.day, {_select(values)} FROM wanted
        ASOF LEFT JOIN item_changes AS change ON wanted.item_id = change.item_id AND wanted.day >= change.day
        ASOF LEFT JOIN item_versions AS version ON wanted.item_id = version.item_id AND wanted.day >= version.day;
        DROP TABLE item_changes"""
    )


def make_user_rows(database: duckdb.DuckDBPyConnection, declared: FeatureSet, window: Window, shard: str) -> None:
    """Tables `user_rows` (scalars), `list_<feature>`, `share_<feature>` of one shard's users; `shard` filters user_versions."""
    users = declared.group("user")
    make_change_rows(database, "events", "user_id", "user_changes", users, window.end)
    values = values_of(declared, "user", "change", "version", "wanted.day")
    totals = "".join(f", change.{c.feature}_total" for c in users if c.kind == "shares")
    types = ", ".join(f"'{kind}'" for kind in ("impression", *POSITIVE_TYPES))
    database.execute(
        f"""CREATE OR REPLACE TEMP TABLE wanted_users AS
            SELECT DISTINCT user_id, event_day AS day FROM events
            WHERE event_type IN ({types}) AND event_day >= {window.start}
            UNION SELECT user_id, {window.end} FROM user_versions WHERE {shard};
        CREATE OR REPLACE TEMP TABLE user_rows AS
        SELECT wanted.user_id, wanted.day, {_select(values)}{totals} FROM wanted_users AS wanted
        ASOF LEFT JOIN user_changes AS change ON wanted.user_id = change.user_id AND wanted.day >= change.day
        ASOF LEFT JOIN (FROM user_versions WHERE {shard}) AS version
            ON wanted.user_id = version.user_id AND wanted.day >= version.day;
        DROP TABLE user_changes"""
    )
    for feature in users:
        if feature.kind == "ids":
            make_last_lists(database, "events", feature, "wanted_users", f"list_{feature.feature}", window.end)
        if feature.kind == "shares":
            make_share_rows(database, "events", feature, f"share_{feature.feature}", window.end)


def make_impressions(database: duckdb.DuckDBPyConnection, window: Window) -> None:
    """Table `impressions` of the shard: the spine, labelled.

    A click that names a request belongs to that request's impression of its item; one that names none to the last
    impression of the same user and item at most an hour (`ATTRIBUTION_US`) earlier, or at the same moment.
    """
    database.execute(
        f"""CREATE OR REPLACE TEMP TABLE by_request AS
            SELECT DISTINCT user_id, item_id, request_id FROM events WHERE event_type = 'click' AND request_id IS NOT NULL;
        CREATE OR REPLACE TEMP TABLE by_time AS
            SELECT DISTINCT shown.user_id, shown.item_id, shown.event_us
            FROM (FROM events WHERE event_type = 'click' AND request_id IS NULL) AS click
            ASOF JOIN (FROM events WHERE event_type = 'impression') AS shown
                ON click.user_id = shown.user_id AND click.item_id = shown.item_id AND click.event_us >= shown.event_us
            WHERE click.event_us - shown.event_us <= {ATTRIBUTION_US};
        CREATE OR REPLACE TEMP TABLE impressions AS
        SELECT shown.event_id, shown.user_id, shown.item_id, shown.event_time, shown.event_us, shown.event_day AS day, shown.position,
            CAST(EXISTS (FROM by_request AS c WHERE c.user_id = shown.user_id AND c.item_id = shown.item_id
                         AND c.request_id = shown.request_id)
              OR EXISTS (FROM by_time AS c WHERE c.user_id = shown.user_id AND c.item_id = shown.item_id
                         AND c.event_us = shown.event_us) AS TINYINT) AS label
        FROM events AS shown WHERE event_type = 'impression' AND event_day >= {window.start}"""
    )


def make_affinities(database: duckdb.DuckDBPyConnection, declared: FeatureSet) -> None:
    """Table `affinity_<cross>`: the user's share of the item's value at every (user, day, value) the spine asks for."""
    for cross in declared.crosses:
        share = f"share_{cross.user}"
        database.execute(
            f"""CREATE OR REPLACE TEMP TABLE affinity_{cross.name} AS
            WITH wanted AS (
                SELECT DISTINCT shown.user_id, shown.day, item.item_{cross.item} AS value FROM impressions AS shown
                JOIN item_rows AS item ON item.item_id = shown.item_id AND item.day = shown.day
                WHERE item.item_{cross.item} <> '')
            SELECT wanted.user_id, wanted.day, wanted.value, share.n FROM wanted
            ASOF JOIN {share} AS share ON wanted.user_id = share.user_id AND wanted.value = share.value AND wanted.day >= share.day
            WHERE share.n > 0"""
        )


def ranking_sql(declared: FeatureSet, split: tuple[int, int]) -> str:
    """Rows of ranking/<split>, in order of time."""
    joins = "".join(
        f""" LEFT JOIN affinity_{c.name} AS {c.name} ON {c.name}.user_id = shown.user_id AND {c.name}.day = shown.day
            AND {c.name}.value = item.item_{c.item}"""
        for c in declared.crosses
    )
    return f"""SELECT shown.event_id, shown.user_id, shown.item_id, shown.event_time, shown.label,
        {", ".join(_ranker_value(declared, column) for column in declared.ranker)}
        FROM impressions AS shown
        JOIN user_rows AS person ON person.user_id = shown.user_id AND person.day = shown.day
        JOIN item_rows AS item ON item.item_id = shown.item_id AND item.day = shown.day{joins}
        WHERE shown.day >= {split[0]} AND shown.day < {split[1]} ORDER BY shown.event_us, shown.event_id"""


def recall_sql(declared: FeatureSet, split: tuple[int, int]) -> str:
    """Rows of recall/<split>, one a positive, in order of time."""
    types = ", ".join(f"'{kind}'" for kind in POSITIVE_TYPES)
    lists = [column for column in declared.user_tower if column.kind == "ids"]
    joins = "".join(f" LEFT JOIN list_{c.feature} USING (user_id, day)" for c in lists)
    values = ", ".join(
        f"coalesce(list_{c.feature}.items, []) AS {c.name}" if c.kind == "ids" else f"person.{c.name}"
        for c in declared.user_tower
    )
    return f"""SELECT acted.user_id, acted.item_id, acted.event_time, {values}, CAST(1 AS FLOAT) AS weight
        FROM (SELECT *, event_day AS day FROM events WHERE event_type IN ({types})) AS acted
        JOIN user_rows AS person USING (user_id, day){joins}
        WHERE acted.day >= {split[0]} AND acted.day < {split[1]} ORDER BY acted.event_us, acted.event_id"""


def _ranker_value(declared: FeatureSet, column: Column) -> str:
    if column.entity == "user":
        return f"person.{column.name}"
    if column.entity == "item":
        return f"item.{column.name}"
    if column.entity == "cross":
        cross = next(one for one in declared.crosses if one.name == column.name)
        share = f"{column.name}.n / nullif(person.{cross.user}_total, 0)"
        return f"CAST(coalesce({share}, {cross.default}) AS FLOAT) AS {column.name}"
    return f"CAST({_CONTEXT[column.name]} AS FLOAT) AS {column.name}"


_CONTEXT = {
    "hour": f"shown.event_us % {DAY_US} // 3600000000",
    "weekday": "(shown.day + 3) % 7",  # 1970-01-01 was a Thursday; Monday is 0
    "position": "shown.position",
}


def _select(values: dict[str, str]) -> str:
    return ", ".join(f"{sql} AS {name}" for name, sql in values.items())
