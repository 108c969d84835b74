"""Canonical Parquet files into the lake, and word of it into the state table: the end of every import."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from features import duck
from features.lake import Lake
from features.landing import Landed, land_events


def load_canonical(folder: Path, lake: Lake, dynamodb: Any, state_table: str) -> Landed:
    """Land `users.parquet`, `items.parquet` and `events/*.parquet` as `simulator.files` and the importers write them.

    Users and items come first, so that no snapshot of events names what the lake has never heard of.

    Returns
    -------
    Landed
        Of the events: appended, duplicates left out, snapshot.
    """
    for name in ("users", "items"):
        if (folder / f"{name}.parquet").exists():
            lake.add(name, [folder / f"{name}.parquet"])
    return land(sorted((folder / "events").glob("*.parquet")), lake, dynamodb, state_table)


def land(events: Sequence[Path], lake: Lake, dynamodb: Any, state_table: str) -> Landed:
    """Land canonical events and record how far the data goes now."""
    with tempfile.TemporaryDirectory(prefix="understudy-landing-") as scratch:
        database = duck.connect(Path(scratch))
        landed = land_events(lake, database, events, Path(scratch))
        database.close()
    record_import(dynamodb, state_table, landed.last_event)
    return landed


def record_import(dynamodb: Any, state_table: str, last_event: datetime | None) -> None:
    """Count the import, and move `data_through` on to the first midnight (UTC) after its last event; never back."""
    key = {"id": {"S": "lake"}}
    counted = {
        "TableName": state_table,
        "Key": key,
        "UpdateExpression": "ADD data_version :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    if last_event is None:
        dynamodb.update_item(**counted)
        return
    midnight = last_event.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
    values = {":one": {"N": "1"}, ":through": {"S": midnight.isoformat()}}
    try:
        dynamodb.update_item(
            TableName=state_table,
            Key=key,
            UpdateExpression="SET data_through = :through ADD data_version :one",
            ConditionExpression="attribute_not_exists(data_through) OR data_through < :through",
            ExpressionAttributeValues=values,
        )
    except dynamodb.exceptions.ConditionalCheckFailedException:
        dynamodb.update_item(**counted)
