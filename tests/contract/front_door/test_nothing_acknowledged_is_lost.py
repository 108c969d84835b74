"""A killed account comes back with everything it answered for; a stopped one with a short journal and the same world."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from local_account import lifecycle
from local_account.front_door.identities import Identities
from local_account.front_door.journal import Journal

LARGE = os.urandom(300_000)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    lifecycle.down(tmp_path)


def clients(state: Path) -> Callable[[str], Any]:
    endpoint = lifecycle.up(state)
    keys = Identities(state).operator

    def client(service: str) -> Any:
        return boto3.client(
            service,
            endpoint_url=endpoint.url,
            region_name="us-east-1",
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            config=Config(retries={"total_max_attempts": 1}),
        )

    return client


def kill(state: Path) -> None:
    running = lifecycle.status(state)
    assert running
    os.kill(running.pid, signal.SIGKILL)
    while lifecycle.status(state):
        time.sleep(0.02)


def make_table(client: Callable[[str], Any]) -> None:
    client("dynamodb").create_table(
        TableName="t",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )


def test_a_kill_in_a_stream_of_writes_loses_nothing_that_was_answered(state: Path) -> None:
    client = clients(state)
    make_table(client)
    client("s3").create_bucket(Bucket="bucket")
    url = client("sqs").create_queue(QueueName="q")["QueueUrl"]
    answered: dict[str, list[str]] = {"dynamodb": [], "s3": [], "sqs": []}
    dynamodb, s3, sqs = client("dynamodb"), client("s3"), client("sqs")
    writes: dict[str, Callable[[str], Any]] = {
        "dynamodb": lambda n: dynamodb.put_item(TableName="t", Item={"id": {"S": n}}),
        "s3": lambda n: s3.put_object(Bucket="bucket", Key=n, Body=LARGE if int(n) % 5 == 0 else n.encode()),
        "sqs": lambda n: sqs.send_message(QueueUrl=url, MessageBody=n),
    }

    def write_on(service: str) -> None:
        for n in range(100_000):
            try:
                writes[service](str(n))
            except (BotoCoreError, ClientError):
                return
            answered[service].append(str(n))

    threads = [threading.Thread(target=write_on, args=(service,)) for service in writes]
    for thread in threads:
        thread.start()
    while min(map(len, answered.values())) < 40:
        time.sleep(0.01)
    kill(state)
    for thread in threads:
        thread.join()

    client = clients(state)
    table = client("dynamodb")
    for n in answered["dynamodb"]:
        assert "Item" in table.get_item(TableName="t", Key={"id": {"S": n}}), n
    for n in answered["s3"]:
        body = client("s3").get_object(Bucket="bucket", Key=n)["Body"].read()
        assert body == (LARGE if int(n) % 5 == 0 else n.encode())
    received: set[str] = set()
    while messages := client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        received.update(message["Body"] for message in messages)
    assert received >= set(answered["sqs"])


def test_ids_dates_and_receipts_are_the_same_after_a_kill(state: Path) -> None:
    client = clients(state)
    s3, sqs = client("s3"), client("sqs")
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="a/b c+d", Body=b"1", Metadata={"k": "v"})
    upload = s3.create_multipart_upload(Bucket="bucket", Key="parts")["UploadId"]
    part = s3.upload_part(Bucket="bucket", Key="parts", UploadId=upload, PartNumber=1, Body=LARGE)["ETag"]
    before = s3.head_object(Bucket="bucket", Key="a/b c+d")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="m")
    handle = sqs.receive_message(QueueUrl=url)["Messages"][0]["ReceiptHandle"]
    role = client("iam").create_role(RoleName="r", AssumeRolePolicyDocument='{"Statement": []}')["Role"]
    secret = client("secretsmanager").create_secret(Name="s", SecretString="x")["ARN"]
    time.sleep(1.1)  # S3 tells seconds: what the replay writes must not look new
    kill(state)

    client = clients(state)
    s3 = client("s3")
    after = s3.head_object(Bucket="bucket", Key="a/b c+d")
    assert (after["LastModified"], after["ETag"], after["Metadata"]) == (
        before["LastModified"],
        before["ETag"],
        before["Metadata"],
    )
    s3.complete_multipart_upload(
        Bucket="bucket", Key="parts", UploadId=upload, MultipartUpload={"Parts": [{"ETag": part, "PartNumber": 1}]}
    )
    assert s3.get_object(Bucket="bucket", Key="parts")["Body"].read() == LARGE
    client("sqs").delete_message(QueueUrl=url, ReceiptHandle=handle)
    assert client("iam").get_role(RoleName="r")["Role"]["RoleId"] == role["RoleId"]
    assert client("secretsmanager").get_secret_value(SecretId=secret)["SecretString"] == "x"


def test_a_stop_leaves_the_same_world_in_a_short_journal(state: Path) -> None:
    client = clients(state)
    make_table(client)
    dynamodb, s3, logs, sqs = client("dynamodb"), client("s3"), client("logs"), client("sqs")
    s3.create_bucket(Bucket="bucket")
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    logs.create_log_group(logGroupName="g")
    logs.create_log_stream(logGroupName="g", logStreamName="s")
    for n in range(40):
        dynamodb.update_item(
            TableName="t",
            Key={"id": {"S": "counter"}},
            UpdateExpression="ADD n :one",
            ExpressionAttributeValues={":one": {"N": "1"}},
        )
        s3.put_object(Bucket="bucket", Key="same", Body=LARGE + bytes([n]))
        s3.put_object(Bucket="bucket", Key=f"gone-{n}", Body=LARGE)
        at = {"timestamp": int(time.time() * 1000), "message": f"line {n}"}
        logs.put_log_events(logGroupName="g", logStreamName="s", logEvents=[at])
        sqs.send_message(QueueUrl=url, MessageBody=str(n))
        for message in sqs.receive_message(QueueUrl=url)["Messages"]:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    s3.copy_object(Bucket="bucket", Key="copy", CopySource={"Bucket": "bucket", "Key": "gone-7"})
    gone = [{"Key": f"gone-{n}"} for n in range(40)]
    s3.delete_objects(Bucket="bucket", Delete={"Objects": gone})
    upload = s3.create_multipart_upload(Bucket="bucket", Key="open")["UploadId"]
    s3.upload_part(Bucket="bucket", Key="open", UploadId=upload, PartNumber=1, Body=b"p")
    given_up = s3.create_multipart_upload(Bucket="bucket", Key="given-up")["UploadId"]
    s3.upload_part(Bucket="bucket", Key="given-up", UploadId=given_up, PartNumber=1, Body=LARGE)
    s3.abort_multipart_upload(Bucket="bucket", Key="given-up", UploadId=given_up)
    client("cloudwatch").put_metric_data(Namespace="N", MetricData=[{"MetricName": "m", "Value": 2.0}])
    assert lifecycle.down(state)

    journal = Journal(state / "moto")
    assert sum(1 for _ in journal.read()) < 20
    journal.close()
    assert len(list((state / "moto" / "blobs").iterdir())) <= 4  # same, copy and what was copied from, copied again

    client = clients(state)
    s3 = client("s3")
    item = client("dynamodb").get_item(TableName="t", Key={"id": {"S": "counter"}})["Item"]
    assert item["n"] == {"N": "40"}
    keys = [entry["Key"] for entry in s3.list_objects_v2(Bucket="bucket")["Contents"]]
    assert keys == ["copy", "same"]
    assert s3.get_object(Bucket="bucket", Key="same")["Body"].read() == LARGE + bytes([39])
    assert s3.get_object(Bucket="bucket", Key="copy")["Body"].read() == LARGE
    assert [part["PartNumber"] for part in s3.list_parts(Bucket="bucket", Key="open", UploadId=upload)["Parts"]] == [1]
    lines = client("logs").get_log_events(logGroupName="g", logStreamName="s", startFromHead=True)["events"]
    assert [line["message"] for line in lines] == [f"line {n}" for n in range(40)]
    assert "Messages" not in client("sqs").receive_message(QueueUrl=url)
    assert client("cloudwatch").list_metrics(Namespace="N")["Metrics"][0]["MetricName"] == "m"
