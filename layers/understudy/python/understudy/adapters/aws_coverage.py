"""Sketches of the items that releases showed, in OutcomesTable: `pk` = shown#<release>#<version>#<hour>, `sk` = log object.

One item for each log object, written whole: written again it is the same item, so nothing has to be remembered.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from hashlib import sha256
from itertools import product
from typing import Any

from understudy.adapters.aws_items import to_item
from understudy.domain.coverage import EMPTY, add, union
from understudy.domain.outcomes import MARKERS_KEPT, Fact, hours_between, partition


class DynamoShown:
    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def put(self, sketches: dict[str, bytearray], log_object: str, now: datetime) -> None:
        """Keep what one log object says of each partition."""
        expires = int((now + MARKERS_KEPT).timestamp())
        sort = sha256(log_object.encode()).hexdigest()[:32]
        for rows, sketch in sketches.items():
            item = to_item({"pk": f"shown#{rows}", "sk": sort, "expires_at": expires})
            self._client.put_item(TableName=self._table, Item=item | {"sketch": {"B": bytes(sketch)}})

    def since(
        self, release_ids: Sequence[str], versions: Sequence[int], since: datetime, until: datetime
    ) -> dict[str, bytes]:
        """By release, what was shown under these versions of traffic: as `OutcomeReader.outcomes_since`."""
        found = dict.fromkeys(release_ids, EMPTY)
        for release_id, version, hour in product(found, versions, hours_between(since, until)):
            pages = self._client.get_paginator("query").paginate(
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues=to_item({":pk": f"shown#{partition(release_id, version, hour)}"}),
                ConsistentRead=True,
            )
            for page in pages:
                for item in page["Items"]:
                    found[release_id] = union(found[release_id], item["sketch"]["B"])
        return found


def sketches_of(facts: Iterable[Fact], into: defaultdict[str, bytearray]) -> None:
    """Add what the facts say was shown to the sketch of their partition."""
    for fact in facts:
        if fact.shown:
            add(into[partition(fact.row.release_id, fact.row.version, fact.row.hour)], fact.row.bucket, fact.shown)
