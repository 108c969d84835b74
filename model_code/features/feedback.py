"""Live feedback into `events`: the JSON lines that Firehose wrote, each event once, bad lines into a rejects object.

Which objects were taken is known from the snapshot that took them (`feedback-through`, a key), so rows and progress land in
one commit. Firehose may write an object a little behind a later one: the day before the mark is always looked at again,
and ids that are there already are left out.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pyarrow.parquet as pq

from features.job import progress
from features.lake import PARALLEL_TRANSFERS, Lake
from features.lake_files import s3_client
from features.landing import Landed, land_events
from features.schema import EVENT_TYPES, EVENTS, REQUIRED

PREFIX, REJECTS = "feedback/", "feedback-rejects/"
MARK = "understudy.feedback-through"
BATCH = 50_000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Taken:
    """What one night took in."""

    objects: int
    landed: Landed
    rejected: int


def take_feedback(lake: Lake, database: duckdb.DuckDBPyConnection, scratch: Path) -> Taken:
    """Append every new feedback event to the lake."""
    keys = list(_new_keys(lake))
    if not keys:
        return Taken(0, Landed(0, 0, None, None), 0)
    scratch.mkdir(parents=True, exist_ok=True)
    staged, rejects = scratch / "staged.parquet", scratch / "rejects.jsonl"
    rejected = _stage(lake.bucket, keys, staged, rejects)
    landed = land_events(lake, database, [staged], scratch / "landing", {MARK: keys[-1]})
    if rejected:
        # named by the newest object that was read: the same objects read again give the same name
        s3_client().upload_file(
            str(rejects), lake.bucket, REJECTS + keys[-1].removeprefix(PREFIX).replace("/", "-") + ".jsonl"
        )
    progress(
        f"feedback: {landed.rows:,} new events of {len(keys):,} objects, {landed.duplicates:,} duplicates, {rejected:,} bad lines"
    )
    return Taken(len(keys), landed, rejected)


def _new_keys(lake: Lake) -> Iterator[str]:
    mark = lake.property("events", MARK)
    start = {} if mark is None else {"StartAfter": _a_day_before(mark)}
    for page in s3_client().get_paginator("list_objects_v2").paginate(Bucket=lake.bucket, Prefix=PREFIX, **start):
        for entry in page.get("Contents", []):
            yield entry["Key"]


def _a_day_before(key: str) -> str:
    """`feedback/2026/03/02/11/x` -> `feedback/2026/03/01/11`."""
    year, month, day, hour = (int(part) for part in key.removeprefix(PREFIX).split("/")[:4])
    return PREFIX + (datetime(year, month, day, hour, tzinfo=UTC) - timedelta(days=1)).strftime("%Y/%m/%d/%H")


def _stage(bucket: str, keys: list[str], staged: Path, rejects: Path) -> int:
    """Lines that are events to Parquet, the others to `rejects`; returns how many the others are."""
    rejected = 0
    client = s3_client()

    def body(key: str) -> bytes:
        return client.get_object(Bucket=bucket, Key=key)["Body"].read()

    with (
        ThreadPoolExecutor(PARALLEL_TRANSFERS) as pool,
        pq.ParquetWriter(staged, EVENTS) as writer,
        rejects.open("w") as bad,
    ):
        rows: list[dict[str, Any]] = []
        for first in range(0, len(keys), PARALLEL_TRANSFERS):
            some = keys[first : first + PARALLEL_TRANSFERS]
            for key, content in zip(some, pool.map(body, some), strict=True):
                for number, line in enumerate(content.split(b"\n"), start=1):
                    if not line.strip():
                        continue
                    try:
                        rows.append(event_of(line))
                    except ValueError as error:
                        rejected += 1
                        text = line[:2000].decode(errors="replace")
                        bad.write(json.dumps({"object": key, "line": number, "what": str(error), "text": text}) + "\n")
            if len(rows) >= BATCH:
                writer.write_table(pa.Table.from_pylist(rows, EVENTS))
                rows = []
        writer.write_table(pa.Table.from_pylist(rows, EVENTS))
    return rejected


def event_of(line: bytes) -> dict[str, Any]:
    """A feedback line as a canonical event; fields of other rooms (`release_id`, `bucket`) are left out.

    Raises
    ------
    ValueError
        What was wrong and what was expected, in one sentence.
    """
    try:
        record = json.loads(line)
    except (ValueError, RecursionError):
        raise ValueError("no JSON; expected one event as a JSON object") from None
    if not isinstance(record, dict):
        raise ValueError(f"a JSON {type(record).__name__}; expected an object")
    event = {name: record.get(name) for name in EVENTS.names}
    event["known_at"] = event["known_at"] or event["event_time"]
    for name in REQUIRED["events"]:
        if not isinstance(event[name], str) or not event[name]:
            raise ValueError(f"{name} is {event[name]!r}; expected a text that is not empty")
    if event["event_type"] not in EVENT_TYPES:
        raise ValueError(f"event_type is {event['event_type']!r}; expected one of {', '.join(EVENT_TYPES)}")
    happened, known = _time(str(event["event_time"]), "event_time"), _time(str(event["known_at"]), "known_at")
    # a client's clock may run ahead of ours: nothing is known before it happened
    event["event_time"], event["known_at"] = happened, max(known, happened)
    if event["request_id"] is not None and not isinstance(event["request_id"], str):
        raise ValueError(f"request_id is {event['request_id']!r}; expected a text or null")
    event["position"] = _position(event["position"])
    for name in ("propensity", "value"):
        event[name] = _number(name, event[name])
    return event


def _time(text: str, name: str) -> datetime:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(f"{name} is {text!r}; expected an ISO 8601 time") from None
    at = at.replace(tzinfo=UTC) if at.tzinfo is None else at.astimezone(UTC)
    if at < EPOCH:
        raise ValueError(f"{name} is {text!r}; expected 1970 or later")
    return at


def _position(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value < 2**31:
        raise ValueError(f"position is {value!r}; expected a whole number from 1, or null")
    return value


def _number(name: str, value: Any) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise ValueError(f"{name} is {value!r}; expected a finite number or null")
    return float(value)
