"""Where moto differs from AWS in a way that costs data or seconds, mended in place.

Glue's UpdateTable takes any VersionId in moto, so that of two Iceberg commits at once one is lost without a word. A DynamoDB transaction deep-copies
the whole table, once for each of its items, in case it must be rolled back: 750 ms of every second at ten requests. ListMetrics compares
every datapoint with every metric found before: a minute after an hour of traffic. And moto keeps
every object it ever made, for its own dashboard: an account that lives for days would hold each log line for ever.
"""

from __future__ import annotations

import copy
import threading
from typing import Any

from moto.cloudwatch.models import CloudWatchBackend, Dimension, MetricDatumBase
from moto.core.common_models import BaseModel
from moto.core.utils import utcnow
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table
from moto.glue.exceptions import GlueClientError
from moto.glue.responses import GlueResponse

from local_account.front_door import dynamodb_transactions


class _Transaction(threading.local):
    keys: dict[str, list[dict[str, Any]]] | None = None  # table -> keys that the running transaction may change
    backups: dict[str, Table]


_transaction = _Transaction()
_update_table, _transact = GlueResponse.update_table, DynamoDBBackend.transact_write_items
_one_commit_at_a_time = threading.Lock()
_dimensions: tuple[list[Any], list[Dimension]] = ([], [])


def install() -> None:
    """Put the mended methods in place; doing it twice changes nothing."""
    for owner, name, mended in (
        (GlueResponse, "update_table", _update_table_at_its_version),
        (DynamoDBBackend, "transact_write_items", _transact_with_small_backups),
        (Table, "__deepcopy__", _backup),
        (MetricDatumBase, "__init__", _datum),
        (CloudWatchBackend, "get_filtered_metrics", _filtered_metrics),
        (BaseModel, "__new__", _untracked),
    ):
        setattr(owner, name, mended)


def _untracked(cls: type[BaseModel], *_: Any, **__: Any) -> BaseModel:
    return object.__new__(cls)


def _datum(
    self: MetricDatumBase, namespace: str, name: str, dimensions: list[Any], timestamp: Any, unit: Any = None
) -> None:
    """As moto's; the values of one PutMetricData share their dimensions, which moto would make anew for each value."""
    global _dimensions
    given, made = _dimensions
    if given is not dimensions:
        made = [Dimension(one["Name"], one["Value"]) for one in dimensions]
        _dimensions = dimensions, made
    self.namespace, self.name, self.unit = namespace, name, unit
    self.timestamp, self.dimensions = timestamp or utcnow(), made


def _filtered_metrics(
    self: CloudWatchBackend, metric_name: str, namespace: str, dimensions: list[dict[str, str]]
) -> list[MetricDatumBase]:
    """The first datapoint of each metric that was asked for."""
    found: dict[Any, MetricDatumBase] = {}
    # Datapoints of one PutMetricData share their list of dimensions: it is read once.
    looked_at: set[tuple[str, str, int]] = set()
    for datum in self.get_all_metrics():
        at = (datum.namespace, datum.name, id(datum.dimensions))
        if at in looked_at:
            continue
        looked_at.add(at)
        if datum.filter(namespace=namespace, name=metric_name, dimensions=dimensions):
            named = frozenset((one.name, one.value) for one in datum.dimensions)
            found.setdefault((datum.namespace, datum.name, named), datum)
    return list(found.values())


def _update_table_at_its_version(self: GlueResponse) -> Any:
    with _one_commit_at_a_time:
        asked, name = self.parameters.get("VersionId"), self.parameters["TableInput"]["Name"]
        table = self.glue_backend.get_table(self.parameters["DatabaseName"], name)
        if asked is not None and asked != table.as_dict()["VersionId"]:
            raise GlueClientError("ConcurrentModificationException", f"{name} is no longer at version {asked}")
        return _update_table(self)


def _transact_with_small_backups(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
    if dynamodb_transactions.written(self.tables, transact_items):
        return
    keys: dict[str, list[dict[str, Any]]] = {}
    for item in transact_items:
        operation = next(iter(item.values()))
        keys.setdefault(str(operation.get("TableName")), []).append(operation.get("Key") or operation.get("Item") or {})
    _transaction.keys, _transaction.backups = keys, {}
    try:
        _transact(self, transact_items)
    finally:
        _transaction.keys, _transaction.backups = None, {}


def _backup(self: Table, memo: dict[int, Any]) -> Table:
    """What a transaction rolls back to: the same items, but copies of those it may change. Anywhere else, a deep copy."""
    if _transaction.keys is None or self.name not in _transaction.keys:
        whole: Any = self.__class__.__new__(self.__class__)
        memo[id(self)] = whole
        whole.__dict__.update({name: copy.deepcopy(value, memo) for name, value in self.__dict__.items()})
        return whole
    if self.name not in _transaction.backups:
        _transaction.backups[self.name] = _shallow(self, _transaction.keys[self.name])
    return _transaction.backups[self.name]


def _shallow(table: Table, keys: list[dict[str, Any]]) -> Table:
    backup = copy.copy(table)
    items: Any = copy.copy(table.items)
    backup.items = items
    for key in keys:
        hash_key = DynamoType(key[table.hash_key_attr]) if table.hash_key_attr in key else None
        if hash_key not in items:
            continue
        if table.range_key_attr is None:
            items[hash_key] = copy.deepcopy(items[hash_key])
            continue
        ranges = items[hash_key] = copy.copy(items[hash_key])
        range_key = DynamoType(key[table.range_key_attr]) if table.range_key_attr in key else None
        if range_key in ranges:
            ranges[range_key] = copy.deepcopy(ranges[range_key])
    return backup
