"""The canonical tables of the lake (docs/data.md): what an event, a user and an item are, whatever the source."""

from __future__ import annotations

import pyarrow as pa

from features.declaration import load

EVENT_TYPES = ("impression", "click", "like", "follow", "skip")
POSITIVE_TYPES = ("click", "like", "follow")

TIME = pa.timestamp("us", tz="UTC")

EVENTS = pa.schema(
    [
        ("event_id", pa.string()),
        ("event_time", TIME),
        ("known_at", TIME),
        ("event_type", pa.string()),
        ("user_id", pa.string()),
        ("item_id", pa.string()),
        ("position", pa.int32()),
        ("request_id", pa.string()),
        ("propensity", pa.float64()),
        ("value", pa.float64()),
    ]
)
USERS = pa.schema(
    [
        ("user_id", pa.string()),
        ("age", pa.int32()),
        ("city", pa.string()),
        ("segment", pa.string()),
        ("signup_time", TIME),
        ("known_at", TIME),
    ]
)
ITEMS = pa.schema(
    [
        ("item_id", pa.string()),
        ("title", pa.string()),
        ("topic", pa.string()),
        ("author_id", pa.string()),
        ("created_at", TIME),
        ("known_at", TIME),
    ]
)
CANONICAL = {"events": EVENTS, "users": USERS, "items": ITEMS}

# a row without one of these cannot be used; every other column may be null
REQUIRED = {
    "events": ("event_id", "event_time", "known_at", "event_type", "user_id", "item_id"),
    "users": ("user_id", "known_at"),
    "items": ("item_id", "known_at"),
}

_KINDS = {
    "number": pa.float64(),
    "category": pa.string(),
    "ids": pa.list_(pa.string()),
    "shares": pa.map_(pa.string(), pa.float64()),
}


def offline_schema(entity: str) -> pa.Schema:
    """Columns of `user_features` or `item_features`: the id, feature_time, and the declared features under their short names."""
    columns = {f"{entity}_id": pa.string(), "feature_time": TIME}
    return pa.schema([*columns.items(), *((c.feature, _KINDS[c.kind]) for c in load().group(entity))])


# What leaves the house: today's list of every user, by one release (docs/seams.md, Scoring).
EXPORTS = {
    "recommendations": pa.schema(
        [
            ("user_id", pa.string()),
            ("position", pa.int32()),
            ("item_id", pa.string()),
            ("score", pa.float64()),
            ("release_id", pa.string()),
            ("scored_for", TIME),
        ]
    )
}

OFFLINE = {f"{entity}_features": offline_schema(entity) for entity in ("user", "item")}
PARTITIONED_BY = {"events": "event_time", "user_features": "feature_time", "item_features": "feature_time"}
