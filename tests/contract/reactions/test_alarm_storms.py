"""Alarms told thrice, out of order and late, and fifty at once: the same bodies on the local account and on DynamoDB Local."""

from __future__ import annotations

import os
from typing import Any

import boto3
import pytest
from botocore.config import Config

from benchmarks.alarm_storm import scattered, storms
from local_account.front_door.local import LocalAccount
from support.soak import examples

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
EVENTS, STORMS, DAYS = examples(150, 2000), examples(3, 50), examples(2, 20)


@pytest.fixture(params=ENGINES)
def dynamodb(request: pytest.FixtureRequest) -> Any:
    config = Config(max_pool_connections=64)
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


def test_no_alarm_is_lost_whatever_is_told_again_late_or_out_of_order(dynamodb: Any) -> None:
    tally = scattered(dynamodb, events=EVENTS, days=DAYS)
    assert (tally.events, tally.lost, tally.close, tally.failures) == (EVENTS, 0, 0, [])
    assert tally.retrains > 1


def test_fifty_alarms_at_once_are_one_retrain(dynamodb: Any) -> None:
    assert storms(dynamodb, STORMS) == [1] * STORMS
