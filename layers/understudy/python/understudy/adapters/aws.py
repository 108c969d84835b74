"""Traffic, leases and releases in DynamoDB: every change is one conditional write (DESIGN §2).

The stores take anything with `get_item`, `put_item`, `update_item`, `scan` of a low-level client: boto3's off the
request path, `adapters.aws_wire` on it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from understudy.adapters.aws_items import from_item, to_attribute, to_item
from understudy.contracts.release import MOVES, ReleaseRecord, Status
from understudy.contracts.traffic import Traffic
from understudy.domain.lease import NOBODY, Lease, expiry, may_acquire
from understudy.errors import LeaseHeld, LeaseLost, ReleaseExists, ReleaseMoved, StatusNotAllowed, TrafficMoved

_ALL_OLD = {"ReturnValuesOnConditionCheckFailure": "ALL_OLD"}


def client(service: str, *, timeout_s: float = 10.0, attempts: int = 3) -> Any:
    """A boto3 client with bounded patience. boto3 is loaded here, so that importing a door stays cheap."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=min(timeout_s, 3.0),
        read_timeout=timeout_s,
        retries={"mode": "standard", "total_max_attempts": attempts},
    )
    return boto3.client(service, config=config)


def refused_item(error: ClientError) -> dict[str, Any] | None:
    """What stood in the way of a conditional write, as it was at that moment; None when nothing was there.

    Raises `error` itself when it is not about the condition.
    """
    if error.response["Error"]["Code"] != "ConditionalCheckFailedException":
        raise error
    item: Mapping[str, Any] = error.response.get("Item") or {}
    return from_item(item) if item else None


class DynamoTraffic:
    """`TrafficStore` in one item of the traffic table."""

    KEY = to_item({"id": "traffic"})

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def current(self) -> Traffic | None:
        item = self._client.get_item(TableName=self._table, Key=self.KEY, ConsistentRead=True).get("Item")
        return _traffic(from_item(item)) if item else None

    def replace(self, expected: Traffic | None, new: Traffic, fence: int) -> Traffic:
        version = expected.version if expected else 0
        new = new.model_copy(update={"version": version + 1, "fence": fence})
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(id)"}
        if expected is not None:
            condition = {
                "ConditionExpression": "version = :version AND fence <= :fence",
                "ExpressionAttributeValues": to_item({":version": version, ":fence": fence}),
            }
        item = to_item({"id": "traffic", **new.model_dump(mode="json")})
        try:
            self._client.put_item(TableName=self._table, Item=item, **condition, **_ALL_OLD)
        except ClientError as error:
            there = refused_item(error)
            if there is not None and there["change_id"] == new.change_id:
                return _traffic(there)  # ours: the reply was lost, the change was made
            raise TrafficMoved(version, there["change_id"] if there else "none (the item is gone)") from None
        return new


def _traffic(item: dict[str, Any]) -> Traffic:
    return Traffic.model_validate({key: value for key, value in item.items() if key != "id"})


class DynamoLeases:
    """`LeaseStore` in the lease table: item `name` -> `owner, fence, expires_at` (epoch seconds)."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def acquire(self, name: str, owner: str, ttl_s: int, now: datetime) -> Lease:
        ends = expiry(now, ttl_s)
        try:
            answer = self._update(
                name,
                "SET #o = :owner, expires_at = :ends, fence = if_not_exists(fence, :zero) + :one",
                "attribute_not_exists(#n) OR #o = :nobody OR expires_at <= :now",
                {
                    ":owner": owner,
                    ":ends": ends.timestamp(),
                    ":zero": 0,
                    ":one": 1,
                    ":nobody": NOBODY,
                    ":now": now.timestamp(),
                },
                names={"#n": "name", "#o": "owner"},
            )
        except ClientError as error:
            held = _lease(refused_item(error) or self._read(name))
            if held is not None and held.owner == owner and not may_acquire(held, now):
                return held  # ours already: the reply was lost, or this is the same step once more
            raise LeaseHeld(
                name, *((held.owner, held.expires_at.isoformat()) if held else ("nobody", "just now"))
            ) from None
        return Lease(name, owner, from_item(answer["Attributes"])["fence"], ends)

    def renew(self, lease: Lease, ttl_s: int, now: datetime) -> Lease:
        ends = expiry(now, ttl_s)
        try:
            self._update(lease.name, "SET expires_at = :ends", *_ours(lease, {":ends": ends.timestamp()}))
        except ClientError as error:
            refused_item(error)
            raise LeaseLost(lease.name, lease.owner, lease.fence) from None
        return lease.until(ends)

    def lift(self, lease: Lease, above: int) -> Lease:
        if lease.fence > above:
            return lease
        try:
            self._update(lease.name, "SET fence = :above", *_ours(lease, {":above": above + 1}))
        except ClientError as error:
            held = _lease(refused_item(error) or None)
            if held is None or (held.owner, held.fence) != (lease.owner, above + 1):  # else the reply was lost
                raise LeaseLost(lease.name, lease.owner, lease.fence) from None
        return replace(lease, fence=above + 1)

    def release(self, lease: Lease) -> None:
        try:
            self._update(
                lease.name, "SET expires_at = :zero, #o = :nobody", *_ours(lease, {":zero": 0, ":nobody": NOBODY})
            )
        except ClientError as error:
            refused_item(error)  # somebody else's by now, or given back before: nothing of ours is left to give back

    def holder(self, name: str) -> Lease | None:
        held = _lease(self._read(name))
        return None if held is None or held.owner == NOBODY else held

    def _read(self, name: str) -> dict[str, Any] | None:
        item = self._client.get_item(TableName=self._table, Key=to_item({"name": name}), ConsistentRead=True).get(
            "Item"
        )
        return from_item(item) if item else None

    def _update(
        self, name: str, update: str, condition: str, values: Mapping[str, Any], names: Mapping[str, str] | None = None
    ) -> Any:
        return self._client.update_item(
            TableName=self._table,
            Key=to_item({"name": name}),
            UpdateExpression=update,
            ConditionExpression=condition,
            ExpressionAttributeNames=dict(names or {"#o": "owner"}),
            ExpressionAttributeValues=to_item(values),
            ReturnValues="ALL_NEW",
            **_ALL_OLD,
        )


def _ours(lease: Lease, values: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    return "#o = :owner AND fence = :fence", {**values, ":owner": lease.owner, ":fence": lease.fence}


def _lease(item: Mapping[str, Any] | None) -> Lease | None:
    if item is None:
        return None
    return Lease(item["name"], item["owner"], item["fence"], datetime.fromtimestamp(item["expires_at"], UTC))


class DynamoReleases:
    """`ReleaseStore` in the releases table: one item a release."""

    def __init__(self, client: Any, table: str) -> None:
        self._client, self._table = client, table

    def register(self, record: ReleaseRecord) -> ReleaseRecord:
        item = to_item(record.model_dump(mode="json"))
        try:
            self._client.put_item(
                TableName=self._table, Item=item, ConditionExpression="attribute_not_exists(release_id)", **_ALL_OLD
            )
        except ClientError as error:
            there = ReleaseRecord.model_validate(refused_item(error) or self._read(record.release_id))
            wanted, stored = record.immutable(), there.immutable()
            if differing := [key for key in wanted if wanted[key] != stored[key]]:
                raise ReleaseExists(record.release_id, differing) from None
            return there
        return record

    def get(self, release_id: str) -> ReleaseRecord | None:
        item = self._read(release_id)
        return ReleaseRecord.model_validate(item) if item else None

    def list(self) -> Sequence[ReleaseRecord]:
        found: list[ReleaseRecord] = []
        start: dict[str, Any] = {}
        while True:
            page = self._client.scan(TableName=self._table, ConsistentRead=True, **start)
            found += [ReleaseRecord.model_validate(from_item(item)) for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return sorted(found, key=lambda each: (each.created_at, each.release_id), reverse=True)
            start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}

    def move_status(self, record: ReleaseRecord, status: Status, fence: int, *, reason: str = "") -> ReleaseRecord:
        if status not in MOVES[record.status]:
            raise StatusNotAllowed(record.release_id, record.status, status, MOVES[record.status])
        changed = {"status": status, "status_reason": reason, "version": record.version + 1, "fence": fence}
        moved = record.model_copy(update=changed)
        values = {
            ":status": status,
            ":reason": reason,
            ":next": moved.version,
            ":fence": fence,
            ":version": record.version,
        }
        try:
            self._client.update_item(
                TableName=self._table,
                Key=to_item({"release_id": record.release_id}),
                UpdateExpression="SET #s = :status, status_reason = :reason, version = :next, fence = :fence",
                ConditionExpression="version = :version AND fence <= :fence",
                ExpressionAttributeNames={"#s": "status"},
                ExpressionAttributeValues={key: to_attribute(value) for key, value in values.items()},
                **_ALL_OLD,
            )
        except ClientError as error:
            there = refused_item(error) or {"status": "gone", "version": 0, "fence": 0}
            if (there["status"], there["version"], there["fence"]) == (status, moved.version, fence):
                return moved
            raise ReleaseMoved(record.release_id, record.version, str(there["status"])) from None
        return moved

    def _read(self, release_id: str) -> dict[str, Any] | None:
        item = self._client.get_item(
            TableName=self._table, Key=to_item({"release_id": release_id}), ConsistentRead=True
        ).get("Item")
        return from_item(item) if item else None
