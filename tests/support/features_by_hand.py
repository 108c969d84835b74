"""Every feature of features.yaml by the definition, one event at a time: what the SQL is held against.

Nothing here is fast or clever. An event counts at a feature_time T if event_time < T and known_at <= T and it lies in the
window; an attribute is that of the newest row with known_at <= T.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from features.declaration import FeatureSet

Row = dict[str, Any]
DAY = timedelta(days=1)


def day_of(at: datetime) -> datetime:
    return at.replace(hour=0, minute=0, second=0, microsecond=0)


def known_events(log: list[Row], at: datetime) -> list[Row]:
    return [event for event in log if event["event_time"] < at and event["known_at"] <= at]


def newest_version(rows: list[Row], key: str, value: str, at: datetime) -> Row:
    known = [row for row in rows if row[key] == value and row["known_at"] <= at]
    return max(known, key=lambda row: row["known_at"]) if known else {}


def first_known_day(event: Row) -> datetime:
    """The first day boundary at which the event counts."""
    at = day_of(event["event_time"]) + DAY
    while at < event["known_at"]:
        at += DAY
    return at


def features_at(
    declared: FeatureSet, entity: str, entity_id: str, log: list[Row], versions: dict[str, list[Row]], at: datetime
) -> Row:
    """Flat name -> value of one entity's features at a feature_time."""
    key = f"{entity}_id"
    mine = [event for event in known_events(log, at) if event[key] == entity_id]
    version = newest_version(versions[entity], key, entity_id, at)
    values: Row = {}
    for column in declared.group(entity):
        source = column.source
        acted = [event for event in mine if event["event_type"] in source.get("events", ())]
        if "window_days" in source:
            acted = [event for event in acted if event["event_time"] >= at - source["window_days"] * DAY]
        match source["from"]:
            case "attribute":
                value = version.get(source["column"])
            case "age_days":
                born = version.get(source["column"])
                value = None if born is None else max((at - born) / DAY, 0.0)
            case "count":
                value = float(len(acted))
            case "ratio":
                of, by = values[f"{entity}_{source['of']}"], values[f"{entity}_{source['by']}"]
                value = of / by if by else None
            case "days_since":
                value = (at - max(event["event_time"] for event in acted)) / DAY if acted else None
            case "last":
                newest = sorted(acted, key=lambda event: (event["event_time"], event["event_id"]), reverse=True)
                value = list(dict.fromkeys(event["item_id"] for event in newest))[: source["n"]]
            case "shares":
                value = _shares(acted, source["by"], versions["item"])
        values[column.name] = column.default if value is None else value
    return values


def _shares(acted: list[Row], attribute: str, items: list[Row]) -> dict[str, float]:
    shares: dict[str, float] = {}
    for event in acted:
        value = newest_version(items, "item_id", event["item_id"], first_known_day(event)).get(attribute)
        if value is not None:
            shares[value] = shares.get(value, 0.0) + 1 / len(acted)
    return shares


def label_of(impression: Row, log: list[Row], as_of: datetime) -> int:
    """1 if a click known by the end belongs to this impression."""
    same = [e for e in known_events(log, as_of) if all(e[k] == impression[k] for k in ("user_id", "item_id"))]
    for click in (event for event in same if event["event_type"] == "click"):
        if click["request_id"] is not None:
            if click["request_id"] == impression["request_id"]:
                return 1
            continue
        before = [
            e["event_time"] for e in same if e["event_type"] == "impression" and e["event_time"] <= click["event_time"]
        ]
        last = max(before, default=None)
        if last == impression["event_time"] and click["event_time"] - last <= timedelta(hours=1):
            return 1
    return 0
