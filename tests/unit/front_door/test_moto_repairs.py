"""A transaction that fails leaves everything as it was, whatever it had changed before it failed."""

from __future__ import annotations

import boto3
import pytest
from botocore.exceptions import ClientError
from moto import mock_aws

from local_account.front_door import moto_repairs


@pytest.fixture(params=[False, True], ids=["hash key", "hash and range key"])
def table(request, monkeypatch):
    """A client and a function that makes a key; ten items with n = 0."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    moto_repairs.install()
    names = ["pk", "sk"] if request.param else ["pk"]
    with mock_aws():
        client = boto3.client("dynamodb", region_name="us-east-1")
        client.create_table(
            TableName="t",
            BillingMode="PAY_PER_REQUEST",
            AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
            KeySchema=[
                {"AttributeName": name, "KeyType": kind} for name, kind in zip(names, ["HASH", "RANGE"], strict=False)
            ],
        )

        def key(number: int) -> dict:
            return (
                {"pk": {"S": f"p{number % 3 if request.param else number}"}, "sk": {"S": f"s{number}"}}
                if request.param
                else {"pk": {"S": f"p{number}"}}
            )

        for number in range(10):
            client.put_item(TableName="t", Item={**key(number), "n": {"N": "0"}})
        yield client, key


def everything(client) -> list:
    return sorted(client.scan(TableName="t")["Items"], key=str)


def changes(key, condition: str) -> list[dict]:
    values = {":one": {"N": "1"}}
    return [
        {
            "Update": {
                "TableName": "t",
                "Key": key(1),
                "UpdateExpression": "SET n = n + :one",
                "ExpressionAttributeValues": values,
            }
        },
        {"Put": {"TableName": "t", "Item": {**key(2), "n": {"N": "7"}}}},
        {"Put": {"TableName": "t", "Item": {**key(11), "n": {"N": "7"}}}},
        {"Delete": {"TableName": "t", "Key": key(3)}},
        {
            "Update": {
                "TableName": "t",
                "Key": key(12),
                "UpdateExpression": "ADD n :one",
                "ExpressionAttributeValues": values,
            }
        },
        {"ConditionCheck": {"TableName": "t", "Key": key(4), "ConditionExpression": condition}},
    ]


def test_a_transaction_whose_last_condition_fails_changed_nothing(table):
    client, key = table
    before = everything(client)
    for _ in range(2):
        with pytest.raises(ClientError, match="TransactionCanceledException"):
            client.transact_write_items(TransactItems=changes(key, "attribute_not_exists(pk)"))
        assert everything(client) == before


def test_a_transaction_whose_conditions_hold_changed_all(table):
    client, key = table
    client.transact_write_items(TransactItems=changes(key, "attribute_exists(pk)"))
    read = {
        number: client.get_item(TableName="t", Key=key(number)).get("Item", {}).get("n") for number in (1, 2, 3, 11, 12)
    }
    assert read == {1: {"N": "1"}, 2: {"N": "7"}, 3: None, 11: {"N": "7"}, 12: {"N": "1"}}


def test_an_item_that_is_gone_is_not_kept(table):
    client, key = table
    from moto.dynamodb.models.dynamo_type import Item

    for number in range(10):
        client.delete_item(TableName="t", Key=key(number))
    assert Item.instances_tracked == []


def test_a_metric_is_listed_once_however_many_datapoints_it_has(monkeypatch):
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    moto_repairs.install()
    slot, release = {"Name": "Slot", "Value": "blue"}, {"Name": "Release", "Value": "r-1"}
    with mock_aws():
        client = boto3.client("cloudwatch", region_name="us-east-1")
        for name, dimensions in (("n", [slot, release]), ("n", [release, slot]), ("n", [slot]), ("n", []), ("m", [])):
            data = [{"MetricName": name, "Dimensions": dimensions, "Value": float(value)} for value in range(3)]
            client.put_metric_data(Namespace="N", MetricData=data)
        client.put_metric_data(Namespace="Other", MetricData=[{"MetricName": "n", "Value": 1.0}])

        def listed(**asked) -> list[tuple[str, int]]:
            return sorted(
                (one["MetricName"], len(one["Dimensions"])) for one in client.list_metrics(**asked)["Metrics"]
            )

        assert listed(Namespace="N") == [("m", 0), ("n", 0), ("n", 1), ("n", 2)]
        assert listed(Namespace="N", Dimensions=[slot]) == [("n", 1), ("n", 2)]
        assert listed(MetricName="n") == [("n", 0), ("n", 0), ("n", 1), ("n", 2)]
