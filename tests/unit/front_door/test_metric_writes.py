"""Data put straight into moto's list are those that moto would have put there."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.cloudwatch.models import CloudWatchBackend, cloudwatch_backends

from local_account.front_door import metric_writes
from local_account.front_door.call import Call

AT = datetime(2026, 3, 1, 4, 5, 6, tzinfo=UTC)
SLOT = [{"Name": "Slot", "Value": "blue"}]
DATA: list[dict[str, Any]] = [
    {
        "MetricName": "Latency",
        "Dimensions": SLOT,
        "Timestamp": AT,
        "Values": [1.5, 20],
        "Counts": [2, 1],
        "Unit": "None",
    },
    {"MetricName": "Errors", "Dimensions": [], "Timestamp": AT, "Value": 0},
    {
        "MetricName": "Cost",
        "Timestamp": AT,
        "StatisticValues": {"SampleCount": 2, "Sum": 3.0, "Minimum": 1.0, "Maximum": 2.0},
    },
]


def call(namespace: str, data: list[dict[str, Any]]) -> Call:
    body = {
        "Namespace": namespace,
        "MetricData": [{**datum, "Timestamp": datum["Timestamp"].timestamp()} for datum in data],
    }
    return Call(
        "POST", "/", "", {"x-amz-target": "GraniteServiceVersion20100801.PutMetricData"}, json.dumps(body).encode()
    )


def kept(backend: CloudWatchBackend) -> list[tuple[Any, ...]]:
    return [
        (
            datum.namespace, datum.name, datum.unit, datum.timestamp,
            [(each.name, each.value) for each in datum.dimensions],
            {name: getattr(datum, name, None) for name in ("value", "sample_count", "sum", "min", "max")},
        )
        for datum in backend.metric_data
    ]  # fmt: skip


@pytest.fixture
def backend(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        yield cloudwatch_backends["123456789012"]["us-east-1"]


def test_what_is_kept_is_what_moto_keeps(backend):
    boto3.client("cloudwatch", region_name="us-east-1").put_metric_data(Namespace="Shop", MetricData=DATA)
    by_moto = kept(backend)
    backend.metric_data.clear()
    answer = metric_writes.put(backend, "PutMetricData", call("Shop", DATA))
    assert answer is not None
    assert answer.status == 200
    assert kept(backend) == by_moto
    assert len(by_moto) == 5


@pytest.mark.parametrize(
    "given",
    [
        call("Shop", [{"MetricName": "Both", "Timestamp": AT, "Value": 1.0, "Values": [1.0]}]),
        Call("POST", "/", "", {}, b"Action=PutMetricData"),
        Call("POST", "/", "", {"x-amz-target": "GraniteServiceVersion20100801.PutMetricData"}, b"{"),
    ],
    ids=["refused by moto", "another protocol", "no JSON"],
)
def test_what_it_cannot_take_is_left_to_moto_and_nothing_is_kept(backend, given):
    assert metric_writes.put(backend, "PutMetricData", given) is None
    assert backend.metric_data == []
