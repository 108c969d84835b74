"""Transactions that are written without moto leave what moto's would have left."""

from __future__ import annotations

import copy
import json
from types import SimpleNamespace
from typing import Any

import boto3
import pytest
from moto import mock_aws
from moto.dynamodb import dynamodb_backends

from local_account.front_door import dynamodb_transactions, moto_repairs

KEYS = [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]


def key(number: int) -> dict[str, Any]:
    return {"pk": {"S": f"p{number % 2}"}, "sk": {"S": f"s{number}"}}


def put(number: int, **more: Any) -> dict[str, Any]:
    return {"Put": {"TableName": "t", "Item": {**key(number), "n": {"N": "3"}, "m": {"M": {"a": {"L": []}}}}, **more}}


def add(number: int, expression: str = "ADD #a :a, #b :b", **more: Any) -> dict[str, Any]:
    update = {
        "TableName": "t",
        "Key": key(number),
        "UpdateExpression": expression,
        "ExpressionAttributeNames": {"#a": "n", "#b": "le_10"},
        "ExpressionAttributeValues": {":a": {"N": "2"}, ":b": {"N": "0.5"}},
    }
    return {"Update": {**update, **more}}


NEW = {"ConditionExpression": "attribute_not_exists(pk)"}


@pytest.fixture
def backend(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A table with items 1 and 2, of which 1 has n = 0."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    moto_repairs.install()
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        definitions = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")]
        client.create_table(
            TableName="t", BillingMode="PAY_PER_REQUEST", AttributeDefinitions=definitions, KeySchema=KEYS
        )
        client.put_item(TableName="t", Item={**key(1), "n": {"N": "0"}})
        client.put_item(TableName="t", Item={**key(2), "name": {"S": "two"}})
        yield next(iter(dynamodb_backends.values()))["us-east-1"]


def everything(backend: Any) -> list[str]:
    return sorted(str(item.to_json()) for item in backend.tables["t"].all_items())


@pytest.mark.parametrize(
    "items",
    [
        pytest.param([put(3, **NEW), put(4), put(1)], id="puts, new and over an old item"),
        pytest.param([add(1), add(2), add(5)], id="counters, of items old and new"),
        pytest.param([put(3, **NEW), put(5, **NEW), add(1), add(7)], id="what the aggregator writes"),
    ],
)
def test_a_plain_transaction_leaves_what_motos_would(backend: Any, items: list[dict[str, Any]]) -> None:
    before = copy.deepcopy(backend.tables["t"])
    moto_repairs._transact(backend, copy.deepcopy(items))
    expected = everything(backend)
    backend.tables["t"] = before
    assert dynamodb_transactions.written(backend.tables, items)
    assert everything(backend) == expected


@pytest.mark.parametrize(
    "last",
    [
        pytest.param(put(1, **NEW), id="a condition that fails"),
        pytest.param(put(8, ConditionExpression="attribute_exists(pk)"), id="another condition"),
        pytest.param(put(3), id="an item twice"),
        pytest.param(add(1, "SET #a = :a, #b = :b"), id="another update"),
        pytest.param(add(1, "ADD #a :a"), id="a name that is not used"),
        pytest.param(add(1, ConditionExpression="attribute_exists(pk)"), id="an update with a condition"),
        pytest.param(add(2, ExpressionAttributeNames={"#a": "name", "#b": "le_10"}), id="a number to a text"),
        pytest.param(add(2, ExpressionAttributeNames={"#a": "pk", "#b": "le_10"}), id="a number to a key"),
        pytest.param({"Delete": {"TableName": "t", "Key": key(1)}}, id="a delete"),
        pytest.param({"Put": {"TableName": "t", "Item": {"pk": {"S": "p"}}}}, id="no range key"),
        pytest.param({"Put": {"TableName": "absent", "Item": key(8)}}, id="no table"),
        pytest.param({"Put": {"TableName": "t", "Item": {**key(8), "pk": {"N": "1"}}}}, id="a key of another type"),
    ],
)
def test_any_other_is_left_to_moto_with_nothing_changed(backend: Any, last: dict[str, Any]) -> None:
    before = everything(backend)
    assert not dynamodb_transactions.written(backend.tables, [put(3, **NEW), add(5), last])
    assert everything(backend) == before


@pytest.mark.parametrize(
    ("operation", "body", "done"),
    [
        pytest.param("TransactWriteItems", {"TransactItems": [put(3, **NEW), add(5)]}, True, id="plain"),
        pytest.param(
            "TransactWriteItems", {"TransactItems": [put(3, **NEW)], "ClientRequestToken": "t"}, True, id="as boto asks"
        ),
        pytest.param("TransactWriteItems", {"TransactItems": [put(1, **NEW)]}, False, id="a condition that fails"),
        pytest.param(
            "TransactWriteItems",
            {"TransactItems": [add(5)], "ReturnConsumedCapacity": "TOTAL"},
            False,
            id="more wanted",
        ),
        pytest.param("TransactWriteItems", {}, False, id="no items"),
        pytest.param("TransactWriteItems", [], False, id="no request"),
        pytest.param("PutItem", {"TransactItems": [add(5)]}, False, id="another call"),
    ],
)
def test_what_the_door_answers_itself(backend, operation, body, done):
    call: Any = SimpleNamespace(body=json.dumps(body).encode())
    answer = dynamodb_transactions.write(backend, operation, call)
    assert (answer is not None and answer.status == 200) is done


def test_every_answer_has_headers_of_its_own(backend):
    """The door writes the request's id into them, and another thread may be sending the last one."""
    call: Any = SimpleNamespace(body=json.dumps({"TransactItems": [add(5)]}).encode())
    first, second = (dynamodb_transactions.write(backend, "TransactWriteItems", call) for _ in range(2))
    assert first is not None
    assert second is not None
    assert first.headers is not second.headers
