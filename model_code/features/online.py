"""Materialisation: every user's features as of a day into DynamoDB, each written only if it is newer than what stands there."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import boto3
import pyarrow.parquet as pq
from botocore.config import Config
from botocore.exceptions import ClientError

from features.declaration import FeatureSet
from features.job import progress

WRITERS = 16
BATCH = 500
QUEUED = 4 * WRITERS  # writes handed to the threads ahead of time: bounds memory however many users there are


def materialise(files: Sequence[Path], declared: FeatureSet, table: str, feature_time: datetime) -> tuple[int, int]:
    """Write the rows of `outputs.online_sql`; returns (written, left alone because what stands there is as new).

    Notes
    -----
    One conditional PutItem a user: two nights at once, or one night twice, end with the newest features whatever their order.
    """
    # items are made here, field by field: checking each against the API's model again costs 0.4 of 0.9 ms a call
    config = Config(
        max_pool_connections=WRITERS, parameter_validation=False, retries={"mode": "adaptive", "max_attempts": 10}
    )
    client = boto3.client("dynamodb", config=config)
    at = feature_time.isoformat()
    written = kept = 0
    pending: set[Future[bool]] = set()
    with ThreadPoolExecutor(WRITERS) as pool:
        for row in _rows(files):
            item = user_item(row, declared, at)
            pending.add(pool.submit(_put_if_newer, client, table, item, at))
            if len(pending) >= QUEUED:
                done, pending = wait(pending, return_when=FIRST_COMPLETED)
                written, kept = _tally(done, written, kept)
        done, _ = wait(pending)
        written, kept = _tally(done, written, kept)
    return written, kept


def user_item(row: Mapping[str, Any], declared: FeatureSet, feature_time: str) -> dict[str, Any]:
    """The online item of docs/seams.md in DynamoDB's own types; a missing value is left out."""
    features: dict[str, Any] = {}
    for column in declared.group("user"):
        value = row[column.feature]
        if value is None or (column.kind == "category" and value == ""):
            continue
        if column.kind == "number":
            features[column.feature] = {"N": number(value)}
        elif column.kind == "category":
            features[column.feature] = {"S": value}
        elif column.kind == "ids":
            features[column.feature] = {"L": [{"S": item_id} for item_id in value]}
        else:
            features[column.feature] = {"M": {key: {"N": number(share)} for key, share in value}}
    features["seen"] = {"L": [{"S": item_id} for item_id in row["seen"]]}
    return {
        "user_id": {"S": row["user_id"]},
        "feature_time": {"S": feature_time},
        "feature_set": {"S": declared.version},
        "features": {"M": features},
    }


def number(value: float) -> str:
    """A float32 as the shortest decimal that reads back as the same float32: what training saw, without its noise digits."""
    return format(Decimal(f"{value:.9g}").normalize(), "f")


def _rows(files: Sequence[Path]) -> Iterator[dict[str, Any]]:
    for file in files:
        for batch in pq.ParquetFile(file).iter_batches(BATCH):
            yield from batch.to_pylist()


def _put_if_newer(client: Any, table: str, item: Mapping[str, Any], feature_time: str) -> bool:
    try:
        client.put_item(
            TableName=table,
            Item=item,
            ConditionExpression="attribute_not_exists(user_id) OR feature_time < :at",
            ExpressionAttributeValues={":at": {"S": feature_time}},
        )
    except ClientError as error:
        if error.response["Error"]["Code"] == "ConditionalCheckFailedException":
            return False
        raise
    return True


def _tally(done: set[Future[bool]], written: int, kept: int) -> tuple[int, int]:
    for one in done:
        if one.result():
            written += 1
        else:
            kept += 1
        if (written + kept) % 1000 == 0:
            progress(f"{written + kept:,} users online")
    return written, kept
