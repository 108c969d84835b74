"""Which simulated world a lake was filled from, kept where the data is registered, so that its very tastes can be had again.

StateTable item `{"id": "world", "spec": <JSON of users, items, days, impressions_per_day, seed, end>, "days_written": int}`. A spec is all
that a world is made of: nothing of its truth is stored.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from simulator.world import WorldSpec

KEY = {"id": {"S": "world"}}


@dataclass(frozen=True, slots=True)
class WorldRecord:
    """A world of `spec.days` days, of which the first `days_written` are in the lake."""

    spec: WorldSpec
    days_written: int

    @property
    def now(self) -> datetime:
        """The midnight after the last day that is in the lake: the moment the world's people live in."""
        return self.spec.start + timedelta(days=self.days_written)


def keep_world(dynamodb: Any, state_table: str, record: WorldRecord) -> None:
    """Remember the world; another one that was there before is forgotten, since its data is no longer the newest."""
    spec = json.dumps({**asdict(record.spec), "end": record.spec.end.isoformat()})
    item = {**KEY, "spec": {"S": spec}, "days_written": {"N": str(record.days_written)}}
    dynamodb.put_item(TableName=state_table, Item=item)


def read_world(dynamodb: Any, state_table: str) -> WorldRecord | None:
    """The world that the lake was filled from; None where it was filled from real logs only."""
    item = dynamodb.get_item(TableName=state_table, Key=KEY, ConsistentRead=True).get("Item")
    if item is None:
        return None
    known = json.loads(item["spec"]["S"])
    spec = WorldSpec(**{**known, "end": datetime.fromisoformat(known["end"])})
    return WorldRecord(spec, int(item["days_written"]["N"]))
