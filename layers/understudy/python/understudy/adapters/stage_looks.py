"""What looks leave behind: the state item that people and the next look read, and the final verdict of a stage."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from botocore.exceptions import ClientError

from understudy.adapters.aws_items import from_item, to_item
from understudy.domain.stage_evidence import Window
from understudy.domain.stage_watch import Wish

LARGEST, SMALLEST = 1e125, 1e-129  # of a DynamoDB number


class RolloutState:
    """StateTable `rollout#<rollout_id>` (written at every look) and `wish#<rollout_id>` (written by operators)."""

    def __init__(self, dynamodb: Any, table: str) -> None:
        self._dynamodb, self._table = dynamodb, table

    def wish(self, rollout_id: str) -> Wish | None:
        item = self._read(f"wish#{rollout_id}")
        if not item or item.get("ask") not in ("pause", "resume", "promote"):
            return None
        at, version = datetime.fromisoformat(item["at"]), item.get("version")
        return Wish(item["ask"], str(item.get("by", "somebody")), at, version)

    def windows_before(self, rollout_id: str, index: int) -> list[Window]:
        """Windows of the rollout's earlier stages, oldest first."""
        rows = self._read(f"rollout#{rollout_id}").get("windows", [])
        found = [Window.of(row) for row in rows if row["index"] < index]
        return sorted(found, key=lambda window: window.index)

    def write(self, rollout_id: str, facts: Mapping[str, Any]) -> None:
        item = {"id": f"rollout#{rollout_id}", **facts}
        self._dynamodb.put_item(TableName=self._table, Item=to_item(finite(item)))

    def _read(self, key: str) -> dict[str, Any]:
        answer = self._dynamodb.get_item(TableName=self._table, Key=to_item({"id": key}), ConsistentRead=True)
        return from_item(answer["Item"]) if "Item" in answer else {}


def finite(value: Any) -> Any:
    """JSON and DynamoDB hold no infinities, and DynamoDB no number of 1e126 or below 1e-130, as e-values may be.

    Examples
    --------
    >>> finite({"e": [1e300, -1e-300, float("inf"), 2]})
    {'e': [1e+125, 0.0, None, 2]}
    """
    if isinstance(value, Mapping):
        return {key: finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [finite(each) for each in value]
    if not isinstance(value, float):
        return value
    if not math.isfinite(value):
        return None
    return 0.0 if abs(value) < SMALLEST else max(-LARGEST, min(value, LARGEST))


def write_verdict(s3: Any, bucket: str, rollout_id: str, window: Window, document: Mapping[str, Any]) -> str:
    """The final verdict of a stage, once: what is there already stands. Its URI."""
    key = f"verdicts/{rollout_id}/{window.index}-{window.kind}.json"
    body = json.dumps(finite(document), sort_keys=True, default=str).encode()
    try:
        s3.put_object(Bucket=bucket, Key=key, Body=body, ContentType="application/json", IfNoneMatch="*")
    except ClientError as error:
        if error.response["Error"]["Code"] not in ("PreconditionFailed", "ConditionalRequestConflict"):
            raise
    return f"s3://{bucket}/{key}"
