"""Reads straight from moto's tables answer as moto does, or leave it to moto."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.backends import get_backend

from local_account.front_door import dynamodb_reads

DAY = {"KeyConditionExpression": "pk = :pk", "ExpressionAttributeValues": {":pk": {"S": "day"}}}


@pytest.fixture
def table(monkeypatch):
    """A client, and a function that reads as the front door does: what was answered, None where moto has to."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        for name, keys in (("t", ["pk", "sk"]), ("h", ["pk"])):
            client.create_table(
                TableName=name,
                BillingMode="PAY_PER_REQUEST",
                AttributeDefinitions=[{"AttributeName": one, "AttributeType": "S"} for one in keys],
                KeySchema=[
                    {"AttributeName": one, "KeyType": kind} for one, kind in zip(keys, ("HASH", "RANGE"), strict=False)
                ],
            )
        for number in (3, 10, 1, 2):
            item = {"pk": {"S": "day"}, "sk": {"S": f"{number}"}, "n": {"N": str(number)}, "b": {"B": b"\x00\xff"}}
            client.put_item(TableName="t", Item=item)
        client.put_item(TableName="t", Item={"pk": {"S": "other"}, "sk": {"S": "1"}})
        client.put_item(TableName="h", Item={"pk": {"S": "day"}, "l": {"L": [{"SS": ["a", "b"]}, {"NULL": True}]}})
        backend = get_backend("dynamodb")["123456789012"]["us-east-1"]

        def read(**asked: Any) -> Any:
            call: Any = SimpleNamespace(body=json.dumps(asked).encode())
            answer = dynamodb_reads.read(backend, "Query", call)
            return None if answer is None else json.loads(answer.body)

        yield client, read


@pytest.mark.parametrize("asked", [{}, {"ScanIndexForward": False}, {"ConsistentRead": True}], ids=str)
@pytest.mark.parametrize("name", ["t", "h"])
def test_a_partition_is_read_as_moto_reads_it(table, name, asked):
    client, read = table
    answer, expected = read(TableName=name, **DAY, **asked), client.query(TableName=name, **DAY, **asked)
    assert answer["Count"] == answer["ScannedCount"] == expected["Count"] == (4 if name == "t" else 1)
    for item in answer["Items"]:
        if "b" in item:
            assert item.pop("b") == {"B": "AP8="}
    for item in expected["Items"]:
        item.pop("b", None)
    assert answer["Items"] == expected["Items"]


def test_a_partition_that_is_not_there_is_empty(table):
    _, read = table
    empty = {**DAY, "ExpressionAttributeValues": {":pk": {"S": "never"}}}
    assert [read(TableName=name, **empty)["Items"] for name in ("t", "h")] == [[], []]


@pytest.mark.parametrize(
    "asked",
    [
        pytest.param({"Limit": 2}, id="a limit"),
        pytest.param({"FilterExpression": "n = :n"}, id="a filter"),
        pytest.param({"KeyConditionExpression": "pk = :pk AND sk > :sk"}, id="a range"),
        pytest.param({"KeyConditionExpression": "sk = :pk"}, id="not the hash key"),
        pytest.param({"KeyConditionExpression": "#p = :pk"}, id="a name to be looked up"),
        pytest.param({"ExpressionAttributeValues": {":pk": {"S": "day"}, ":x": {"S": "y"}}}, id="a value too many"),
        pytest.param({"ExpressionAttributeValues": {":pk": {"S": ""}}}, id="an empty key"),
        pytest.param({"ExclusiveStartKey": {"pk": {"S": "day"}, "sk": {"S": "2"}}}, id="a second page"),
        pytest.param({"TableName": "nowhere"}, id="no table"),
    ],
)
def test_whatever_is_not_plain_is_left_to_moto(table, asked):
    _, read = table
    assert read(**{"TableName": "t", **DAY, **asked}) is None


def test_more_than_a_page_is_left_to_moto(table, monkeypatch):
    _, read = table
    monkeypatch.setattr(dynamodb_reads, "_PAGE_BYTES", 100)
    assert read(TableName="t", **DAY) is None
