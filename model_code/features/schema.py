"""The canonical tables of the lake (docs/data.md): what an event, a user and an item are, whatever the source."""

from __future__ import annotations

import pyarrow as pa

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
