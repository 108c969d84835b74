"""Outcomes over the local account and DynamoDB's own engine: transactions, races, an object from bucket to rows."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import boto3
import pytest

from support.outcome_logs import NOW, Bucket, Letters, created, feedback, request_id, served
from understudy.adapters.aws_aggregate import AggregateWorld
from understudy.adapters.aws_coverage import DynamoShown
from understudy.adapters.aws_outcomes import DeadLetters, DynamoOutcomes
from understudy.contracts.outcomes import FeedbackLine
from understudy.domain.coverage import EMPTY, by_group, curve
from understudy.domain.outcomes import Row, feedback_fact
from understudy.settings import AggregateOutcomesSettings

HOUR = "2026-03-01T04"
WINDOW = timedelta(hours=24)
SETTINGS = AggregateOutcomesSettings(outcomes_table="outcomes", dead_letter_queue_url="https://queue")


@pytest.fixture(params=["account", pytest.param("engine", marks=pytest.mark.engine)])
def outcomes(request: pytest.FixtureRequest) -> Iterator[DynamoOutcomes]:
    if request.param == "account":
        client = request.getfixturevalue("account").client("dynamodb")
    elif url := os.environ.get("DYNAMODB_URL"):
        keys = {"aws_access_key_id": "local", "aws_secret_access_key": "local"}
        client = boto3.client("dynamodb", endpoint_url=url, region_name="us-east-1", **keys)
    else:
        pytest.skip("DYNAMODB_URL names no DynamoDB")
    table = f"outcomes-{uuid.uuid4().hex[:8]}"
    client.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk")],
        BillingMode="PAY_PER_REQUEST",
    )
    yield DynamoOutcomes(client, table)
    if request.param == "engine":
        client.close()


def world(outcomes: DynamoOutcomes, bucket: Bucket) -> AggregateWorld:
    letters: Any = Letters()
    return AggregateWorld(SETTINGS, bucket, outcomes, shown_beside(outcomes), letters, lambda: NOW)


def shown_beside(outcomes: DynamoOutcomes) -> DynamoShown:
    return DynamoShown(outcomes.client, outcomes.table)


def test_the_same_lines_in_any_object_count_once(outcomes: DynamoOutcomes) -> None:
    bucket = Bucket()
    lines = [served(n) for n in range(30)]
    clicks = [feedback(n, "click", f"i-{item}") for n in range(30) for item in range(3)]
    keys = [bucket.put(f"served/{copy}", lines) for copy in "ab"]
    keys += [bucket.put(f"feedback/{copy}", clicks) for copy in "ab"]
    for key in [*keys, *keys]:
        world(outcomes, bucket).count_object(created(key))
    rows = outcomes.rows("r-1", 7, HOUR)
    assert rows == {
        Row("r-1", 7, HOUR, place): {"requests": 10, "clicks": 30, "latency_le_12": 10, "latency_ms_sum": 125}
        for place in range(3)
    }


def test_a_transaction_with_known_and_new_facts_counts_the_new_ones(outcomes: DynamoOutcomes) -> None:
    facts = [feedback_fact(FeedbackLine.model_validate(feedback(0, "click", f"i-{n}")), NOW, WINDOW) for n in range(5)]
    assert outcomes.add(facts[:2], NOW) == []
    assert outcomes.add(facts, NOW) == facts[:2]
    assert outcomes.add(facts, NOW) == facts
    assert outcomes.rows("r-1", 7, HOUR) == {Row("r-1", 7, HOUR, 0): {"clicks": 5}}


def test_ten_functions_on_the_same_objects_at_once_count_each_line_once(outcomes: DynamoOutcomes) -> None:
    bucket = Bucket()
    keys = [
        bucket.put(f"feedback/{part}", [feedback(n, "click", "i-1") for n in range(part * 3, part * 3 + 9)])
        for part in range(5)
    ]

    def run(worker: int) -> None:
        for key in keys[worker % 5 :] + keys[: worker % 5]:
            world(outcomes, bucket).count_object(created(key))

    with ThreadPoolExecutor(10) as pool:
        list(pool.map(run, range(10)))
    assert sum(counts["clicks"] for counts in outcomes.rows("r-1", 7, HOUR).values()) == 21


def test_a_reader_gets_sums_by_release_and_bucket_of_the_versions_and_hours_it_names(outcomes: DynamoOutcomes) -> None:
    bucket = Bucket()
    lines = [
        served(0, bucket=5),
        served(1, bucket=5, traffic_version=8, request_id=request_id(1, NOW - timedelta(minutes=1))),
        served(2, bucket=6, traffic_version=9),  # a version nobody asks for
        served(3, bucket=5, assigned_release_id="r-2", assigned_latency_ms=None),
        served(4, bucket=5, request_id=request_id(4, NOW - timedelta(hours=4))),  # before the hours asked for
    ]
    world(outcomes, bucket).count_object(created(bucket.put("served/a", lines)))
    found = outcomes.outcomes_since(["r-1", "r-2", "r-3"], [7, 8], NOW - timedelta(hours=2), NOW)
    assert {release: sorted(by_bucket) for release, by_bucket in found.items()} == {"r-1": [5], "r-2": [5], "r-3": []}
    assert found["r-1"][5] == {"requests": 2, "latency_le_12": 2, "latency_ms_sum": 25}
    assert found["r-2"][5] == {"requests": 1, "errors": 1, "latency_le_inf": 1, "latency_ms_sum": 12.5}


def test_what_was_shown_is_kept_by_release_and_version_and_counted_once(outcomes: DynamoOutcomes) -> None:
    bucket, shown = Bucket(), shown_beside(outcomes)
    lines = [served(n, bucket=n, items=[f"i-{n % 300}-{place}" for place in range(3)]) for n in range(600)]
    lines.append(served(600, bucket=0, traffic_version=8, items=["later"]))
    lines.append(served(601, bucket=0, assigned_release_id="r-2", assigned_latency_ms=None, items=["the champion's"]))
    keys = [bucket.put(f"served/{part}", lines[part::2]) for part in range(2)]
    for key in [*keys, *keys]:
        world(outcomes, bucket).count_object(created(key))
    found = shown.since(["r-1", "r-2"], [7], NOW - timedelta(hours=2), NOW)
    by_bucket = outcomes.outcomes_since(["r-1"], [7], NOW - timedelta(hours=2), NOW)["r-1"]
    requests = {place: counts["requests"] for place, counts in by_bucket.items()}
    assert curve(found["r-1"], by_group(requests))[-1] == (600, pytest.approx(900, rel=0.2))
    assert found["r-2"] == EMPTY  # what a failed release's users saw was not its doing


def test_a_log_object_goes_from_the_bucket_to_rows_and_its_bad_line_to_the_queue(
    account: Any, outcomes: DynamoOutcomes
) -> None:
    s3, sqs = account.client("s3"), account.client("sqs")
    name = f"lake-{uuid.uuid4().hex[:8]}"
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="served/a", Body=f"{json.dumps(served(0))}\nnot json\n".encode())
    queue = sqs.create_queue(QueueName=name)["QueueUrl"]
    event = created("served/a").model_copy(deep=True)
    event.detail.bucket.name = name
    w = AggregateWorld(SETTINGS, s3, outcomes, shown_beside(outcomes), DeadLetters(sqs, queue), lambda: NOW)
    assert w.count_object(event) == {"counted": 1, "dead": 1, "duplicates": 0}
    assert w.count_object(event) == {"skipped": 1}
    assert outcomes.rows("r-1", 7, HOUR)[Row("r-1", 7, HOUR, 0)]["requests"] == 1
    (message,) = sqs.receive_message(QueueUrl=queue)["Messages"]
    letter = json.loads(message["Body"])
    assert (letter["where"], letter["line"]) == (f"s3://{name}/served/a:2", "not json")
