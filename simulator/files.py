"""A world as canonical Parquet files: `events/<day>.parquet`, `users.parquet`, `items.parquet`, written as they are made."""

from __future__ import annotations

from collections.abc import Callable
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from features.schema import EVENTS, ITEMS, TIME, USERS
from simulator.stream import DAY_US, daily_events
from simulator.titles import TOPICS
from simulator.world import CITIES, SEGMENTS, World


def write_world(
    world: World, folder: Path, progress: Callable[[date, int], None] | None = None, days: range | None = None
) -> int:
    """Write users, items and the events of some days; the same spec gives the same bytes.

    Users and items are all of the world's, whatever the days: who is yet to come has a `known_at` of the future.

    Parameters
    ----------
    progress : callable, optional
        Called after each day with the day and the events written so far.
    days : range, optional
        Which days since the world's start; default all.

    Returns
    -------
    int
        Events written.
    """
    (folder / "events").mkdir(parents=True, exist_ok=True)
    pq.write_table(users_table(world), folder / "users.parquet")
    pq.write_table(items_table(world), folder / "items.parquet")
    written = 0
    for day, batches in daily_events(world, days):
        with pq.ParquetWriter(folder / "events" / f"{day.isoformat()}.parquet", EVENTS, compression="zstd") as writer:
            for batch in batches:
                writer.write_batch(batch)
                written += batch.num_rows
        if progress:
            progress(day, written)
    return written


def users_table(world: World) -> pa.Table:
    """Who can be known: a user becomes known when signing up."""
    signup = _times(world, world.signup_U)
    columns = {
        "user_id": pa.array(world.user_ids),
        "age": pa.array(world.age_U),
        "city": pa.array(CITIES).take(pa.array(world.city_U)),
        "segment": pa.array(SEGMENTS).take(pa.array(world.segment_U)),
        "signup_time": signup,
        "known_at": signup,
    }
    return pa.table(columns, schema=USERS)


def items_table(world: World) -> pa.Table:
    """What can be shown: an item becomes known when it is born."""
    birth = _times(world, world.birth_I)
    columns = {
        "item_id": pa.array(world.item_ids),
        "title": pa.array(world.titles),
        "topic": pa.array(TOPICS).take(pa.array(world.topic_I)),
        "author_id": pa.array([f"a{author:04d}" for author in world.author_I.tolist()]),
        "created_at": birth,
        "known_at": birth,
    }
    return pa.table(columns, schema=ITEMS)


def _times(world: World, days: np.ndarray) -> pa.Array:
    start_us = int(world.spec.start.timestamp()) * 1_000_000
    return pa.array(start_us + np.rint(days * DAY_US).astype(np.int64)).cast(TIME)
