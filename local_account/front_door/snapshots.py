"""What moto holds now, as the requests that would make it: DynamoDB's items, log lines, metrics."""

from __future__ import annotations

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import UTC
from typing import Any

from moto.cloudwatch.models import MetricDatum

from local_account.front_door.dynamodb_reads import plain_item
from local_account.front_door.moto_services import backend
from local_account.front_door.record import Record

_ITEMS_PER_WRITE = 25  # BatchWriteItem takes no more
_LINES_PER_STREAM = 5_000  # the newest; a laptop's log is for reading, not for keeping
_LINES_PER_CALL = 5_000
_METRICS_KEPT_S = 15 * 24 * 3600  # CloudWatch keeps minutes for 15 days
_DATA_PER_CALL = 500
_VALUES_PER_DATUM = 150


def json_record(service: str, target: str, body: dict[str, Any], *, at: float, ahead_s: float = 0.0) -> Record:
    """A request of a JSON protocol as a client would have sent it."""
    data = json.dumps(body).encode()
    headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": target}
    operation = target.rpartition(".")[2]
    return Record(
        service=service,
        operation=operation,
        method="POST",
        path="/",
        query="",
        headers=headers,
        at=at,
        ahead_s=ahead_s,
        load=lambda: data,
    )


def dynamodb_items() -> Iterator[Record]:
    for name, table in backend("dynamodb").tables.items():
        puts = [{"PutRequest": {"Item": plain_item(item)}} for item in table.all_items()]
        for start in range(0, len(puts), _ITEMS_PER_WRITE):
            body = {"RequestItems": {name: puts[start : start + _ITEMS_PER_WRITE]}}
            yield json_record("dynamodb", "DynamoDB_20120810.BatchWriteItem", body, at=time.time())


def log_lines() -> Iterator[Record]:
    for name, group in backend("logs").groups.items():
        for stream_name, stream in group.streams.items():
            events = sorted(stream.events, key=lambda event: event.timestamp)[-_LINES_PER_STREAM:]
            for start in range(0, len(events), _LINES_PER_CALL):
                part = events[start : start + _LINES_PER_CALL]
                lines = [{"timestamp": event.timestamp, "message": event.message} for event in part]
                body = {"logGroupName": name, "logStreamName": stream_name, "logEvents": lines}
                last_s = part[-1].timestamp / 1000
                # Lines may lie ahead of the wall clock, where the account's clock was when they were written.
                at = min(last_s, time.time())
                yield json_record("logs", "Logs_20140328.PutLogEvents", body, at=at, ahead_s=last_s - at)


def metric_data() -> Iterator[Record]:
    """Single values only, equal ones of one second together; what came as statistics is merged into none."""
    oldest = time.time() - _METRICS_KEPT_S
    values: dict[tuple[Any, ...], Counter[float]] = defaultdict(Counter)
    for datum in backend("monitoring").metric_data:
        at = datum.timestamp.replace(tzinfo=datum.timestamp.tzinfo or UTC).timestamp()
        if isinstance(datum, MetricDatum) and at >= oldest:
            dimensions = tuple((dimension.name, dimension.value) for dimension in datum.dimensions)
            values[datum.namespace, datum.name, dimensions, datum.unit, at][float(datum.value)] += 1
    by_namespace: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for (namespace, name, dimensions, unit, at), counts in values.items():
        pairs = list(counts.items())
        for start in range(0, len(pairs), _VALUES_PER_DATUM):
            part = pairs[start : start + _VALUES_PER_DATUM]
            by_namespace[namespace].append(
                {
                    "MetricName": name,
                    "Dimensions": [{"Name": key, "Value": value} for key, value in dimensions],
                    "Timestamp": at,
                    "Values": [value for value, _ in part],
                    "Counts": [count for _, count in part],
                    **({"Unit": unit} if unit else {}),
                }
            )
    for namespace, data in by_namespace.items():
        for start in range(0, len(data), _DATA_PER_CALL):
            body = {"Namespace": namespace, "MetricData": data[start : start + _DATA_PER_CALL]}
            yield json_record("monitoring", "GraniteServiceVersion20100801.PutMetricData", body, at=time.time())
