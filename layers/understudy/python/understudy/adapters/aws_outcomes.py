"""Outcomes in DynamoDB (keys `pk`, `sk`, time-to-live `expires_at`), their log objects in S3, bad lines to a queue."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from itertools import product
from typing import Any

from botocore.exceptions import ClientError

from understudy.adapters.aws_items import from_item, to_item
from understudy.domain.outcomes import MARKERS_KEPT, Fact, Row, hours_between, partition, sums
from understudy.errors import NotReady

ATTEMPTS = 8  # of a transaction that others' writes or throttling cancelled: about 5 s in all
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.02, 1.0
PASSING = frozenset({"TransactionConflict", "ThrottlingError", "ProvisionedThroughputExceeded", "RequestLimitExceeded"})
MAX_DEAD_LINE = 2048  # characters of a bad line that go with its reason


class DynamoOutcomes:
    """`OutcomeStore` and `OutcomeReader`: markers and rows in one transaction."""

    def __init__(self, client: Any, table: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self.client, self.table, self._sleep = client, table, sleep
        self._rng = random.SystemRandom()

    def add(self, facts: list[Fact], now: datetime) -> list[Fact]:
        fresh = list(facts)
        duplicates: list[Fact] = []
        for attempt in range(ATTEMPTS):
            if not fresh:
                return duplicates
            try:
                self.client.transact_write_items(TransactItems=self._actions(fresh, now))
                return duplicates
            except ClientError as error:
                reasons = _reasons(error)
                known = [code == "ConditionalCheckFailed" for code in reasons[: len(fresh)]]
                if any(known):
                    duplicates += [fact for fact, is_known in zip(fresh, known, strict=False) if is_known]
                    fresh = [fact for fact, is_known in zip(fresh, known, strict=False) if not is_known]
                    continue
                self._sleep(min(FIRST_PAUSE_S * 2**attempt, LONGEST_PAUSE_S) * self._rng.random())
        if fresh:
            raise NotReady(f"table {self.table}, after {ATTEMPTS} attempts at one transaction,")
        return duplicates

    def is_done(self, log_object: str) -> bool:
        return "Item" in self.client.get_item(TableName=self.table, Key=to_item({"pk": "objects", "sk": log_object}))

    def mark_done(self, log_object: str, now: datetime) -> None:
        item = to_item({"pk": "objects", "sk": log_object, "done_at": now.isoformat()})
        self.client.put_item(TableName=self.table, Item=item)

    def rows(self, release_id: str, version: int, hour: str) -> dict[Row, dict[str, float]]:
        found: dict[Row, dict[str, float]] = {}
        pages = self.client.get_paginator("query").paginate(
            TableName=self.table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues=to_item({":pk": partition(release_id, version, hour)}),
            ConsistentRead=True,
        )
        for page in pages:
            for item in map(from_item, page["Items"]):
                counts = {name: value for name, value in item.items() if name not in ("pk", "sk")}
                found[Row(release_id, version, hour, int(item["sk"]))] = counts
        return found

    def outcomes_since(
        self, release_ids: Sequence[str], versions: Sequence[int], since: datetime, until: datetime
    ) -> dict[str, dict[int, dict[str, float]]]:
        found: dict[str, dict[int, dict[str, float]]] = {release_id: {} for release_id in release_ids}
        for release_id, version, hour in product(found, versions, hours_between(since, until)):
            for row, counts in self.rows(release_id, version, hour).items():
                known = found[release_id].setdefault(row.bucket, {})
                for name, value in counts.items():
                    known[name] = known.get(name, 0) + value
        return found

    def _actions(self, facts: list[Fact], now: datetime) -> list[dict[str, Any]]:
        """Markers first and in the order of `facts`: a cancelled transaction names its reasons by place."""
        expires = int((now + MARKERS_KEPT).timestamp())
        markers = [
            {
                "Put": {
                    "TableName": self.table,
                    "Item": to_item({"pk": fact.marker[0], "sk": fact.marker[1], "expires_at": expires}),
                    "ConditionExpression": "attribute_not_exists(pk)",
                }
            }
            for fact in facts
        ]
        return markers + [self._update(row, adds) for row, adds in sums(facts).items()]

    def _update(self, row: Row, adds: Mapping[str, float]) -> dict[str, Any]:
        pk, sk = row.key
        names = {f"#n{place}": name for place, name in enumerate(adds)}
        values = {f":v{place}": value for place, value in enumerate(adds.values())}
        return {
            "Update": {
                "TableName": self.table,
                "Key": to_item({"pk": pk, "sk": sk}),
                "UpdateExpression": "ADD " + ", ".join(f"#n{place} :v{place}" for place in range(len(adds))),
                "ExpressionAttributeNames": names,
                "ExpressionAttributeValues": to_item(values),
            }
        }


def _reasons(error: ClientError) -> list[str]:
    """Codes by place; an error that is neither a cancelled transaction nor a passing one is raised again."""
    code = error.response["Error"]["Code"]
    if code in ("TransactionInProgressException", "ThrottlingException", "ProvisionedThroughputExceededException"):
        return []
    if code == "TransactionConflictException":
        return []
    reasons = [str(reason.get("Code")) for reason in error.response.get("CancellationReasons", [])]
    if code != "TransactionCanceledException" or not set(reasons) <= PASSING | {"None", "ConditionalCheckFailed"}:
        raise error
    return reasons


class DeadLetters:
    """Lines and events that nobody can count, with the reason, on the dead-letter queue."""

    def __init__(self, client: Any, queue_url: str) -> None:
        self._client, self._queue_url = client, queue_url

    def send(self, where: str, reason: str, line: str) -> None:
        body = {"where": where, "reason": reason[:500], "line": line[:MAX_DEAD_LINE]}
        self._client.send_message(QueueUrl=self._queue_url, MessageBody=json.dumps(body))
