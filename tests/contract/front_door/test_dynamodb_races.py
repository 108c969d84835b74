"""Fifty writers, one winner: the same body against the local account and, where DYNAMODB_URL names one, a real engine."""

from __future__ import annotations

import os
import threading
import uuid
from collections.abc import Callable
from functools import partial
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from local_account.front_door.local import LocalAccount

WRITERS = 50
ENGINES = [
    pytest.param("account", id="local account"),
    pytest.param(
        "engine",
        id="DynamoDB Local",
        marks=[
            pytest.mark.engine,
            pytest.mark.skipif("DYNAMODB_URL" not in os.environ, reason="DYNAMODB_URL names no engine"),
        ],
    ),
]


@pytest.fixture(params=ENGINES)
def dynamodb(request: pytest.FixtureRequest) -> Any:
    config = Config(max_pool_connections=WRITERS, retries={"total_max_attempts": 1})
    if request.param == "engine":
        url, keys = os.environ["DYNAMODB_URL"], ("key", "secret")
    else:
        account: LocalAccount = request.getfixturevalue("account")
        operator = account.identities.operator
        url, keys = account.endpoint_url, (operator.access_key_id, operator.secret_access_key)
    return boto3.client(
        "dynamodb",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id=keys[0],
        aws_secret_access_key=keys[1],
        config=config,
    )


@pytest.fixture
def table(dynamodb: Any) -> str:
    name = f"race-{uuid.uuid4().hex[:8]}"
    dynamodb.create_table(
        TableName=name,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return name


def race(write: Callable[[int], Any]) -> list[int]:
    """Numbers of the writers whose write was taken; the others failed on their condition and on nothing else."""
    ready, won, others = threading.Barrier(WRITERS), [], []

    def run(number: int) -> None:
        ready.wait()
        try:
            write(number)
        except ClientError as error:
            if error.response["Error"]["Code"] not in (
                "ConditionalCheckFailedException",
                "TransactionCanceledException",
            ):
                others.append(error)
        else:
            won.append(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not others, others[0]
    return won


def test_one_of_fifty_conditional_puts_wins(dynamodb: Any, table: str) -> None:
    def take(lease: str, number: int) -> None:
        dynamodb.put_item(
            TableName=table,
            Item={"id": {"S": lease}, "owner": {"N": str(number)}},
            ConditionExpression="attribute_not_exists(id)",
        )

    for lease in ("a", "b", "c", "d", "e"):
        won = race(partial(take, lease))
        assert len(won) == 1
        item = dynamodb.get_item(TableName=table, Key={"id": {"S": lease}}, ConsistentRead=True)["Item"]
        assert item["owner"] == {"N": str(won[0])}


def test_one_of_fifty_moves_from_the_same_version_wins(dynamodb: Any, table: str) -> None:
    def move(version: int, number: int) -> None:
        dynamodb.update_item(
            TableName=table,
            Key={"id": {"S": "traffic"}},
            UpdateExpression="SET version = :next, writer = :writer",
            ConditionExpression="version = :seen",
            ExpressionAttributeValues={
                ":seen": {"N": str(version)},
                ":next": {"N": str(version + 1)},
                ":writer": {"N": str(number)},
            },
        )

    dynamodb.put_item(TableName=table, Item={"id": {"S": "traffic"}, "version": {"N": "1"}})
    for version in range(1, 6):
        won = race(partial(move, version))
        assert len(won) == 1
        item = dynamodb.get_item(TableName=table, Key={"id": {"S": "traffic"}}, ConsistentRead=True)["Item"]
        assert (item["version"], item["writer"]) == ({"N": str(version + 1)}, {"N": str(won[0])})


def test_no_increment_of_fifty_is_lost(dynamodb: Any, table: str) -> None:
    won = race(
        lambda number: dynamodb.update_item(
            TableName=table,
            Key={"id": {"S": "counter"}},
            UpdateExpression="ADD n :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
    )
    assert len(won) == WRITERS
    assert dynamodb.get_item(TableName=table, Key={"id": {"S": "counter"}})["Item"]["n"] == {"N": str(WRITERS)}


def test_a_read_has_the_engines_form(dynamodb: Any, table: str) -> None:
    item = {
        "id": {"S": "a"},
        "map": {"M": {"n": {"N": "1.5"}, "list": {"L": [{"S": "x"}, {"NULL": True}, {"BOOL": False}]}}},
        "bytes": {"B": b"\x00\xff"},
        "sets": {"M": {"s": {"SS": ["a"]}, "n": {"NS": ["1"]}, "b": {"BS": [b"\x01"]}}},
        "empty": {"M": {}},
    }
    dynamodb.put_item(TableName=table, Item=item)
    key = {"id": {"S": "a"}}
    assert dynamodb.get_item(TableName=table, Key=key)["Item"] == item
    answer = dynamodb.batch_get_item(RequestItems={table: {"Keys": [key, {"id": {"S": "gone"}}]}})
    assert (answer["Responses"], answer["UnprocessedKeys"]) == ({table: [item]}, {})
    assert "Item" not in dynamodb.get_item(TableName=table, Key={"id": {"S": "gone"}})
    with pytest.raises(ClientError, match="ValidationException"):
        dynamodb.get_item(TableName=table, Key={"other": {"S": "a"}})
    with pytest.raises(ClientError, match="ValidationException"):
        dynamodb.batch_get_item(RequestItems={table: {"Keys": [key, key]}})
    with pytest.raises(ClientError, match="ResourceNotFoundException"):
        dynamodb.get_item(TableName=f"{table}-none", Key=key)
