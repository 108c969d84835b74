"""Lambda through boto3 and the front door: code from S3, queues as sources and destinations, rights of the role."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from local_account.front_door.local import LocalAccount

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
CODE = """
import os
import boto3

def handler(event, context):
    if "Records" in event:
        poison = [r["messageId"] for r in event["Records"] if r["body"] == "poison"]
        print("got", sorted(r["body"] for r in event["Records"]))
        return {"batchItemFailures": [{"itemIdentifier": one} for one in poison]}
    if event.get("raise"):
        raise RuntimeError(event["raise"])
    return boto3.client("sqs").get_queue_url(QueueName=event["queue"])["QueueUrl"]
"""


class World:
    def __init__(self, account: LocalAccount) -> None:
        self.lambda_, self.sqs, self.s3, self.iam = (account.client(name) for name in ("lambda", "sqs", "s3", "iam"))
        self.logs = account.client("logs")
        self.account = account
        self.role = self.iam.create_role(RoleName="wired", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        self.queues = {name: self.sqs.create_queue(QueueName=name)["QueueUrl"] for name in ("wired-in", "wired-lost")}
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as package:
            package.writestr("app.py", CODE)
        self.s3.create_bucket(Bucket="wired-code")
        self.s3.put_object(Bucket="wired-code", Key="code.zip", Body=buffer.getvalue())
        self.function = self.lambda_.create_function(
            FunctionName="wired",
            Runtime="python3.11",
            Handler="app.handler",
            Role=self.role,
            Timeout=20,
            Code={"S3Bucket": "wired-code", "S3Key": "code.zip"},
        )

    def allow(self, name: str, *actions: str) -> None:
        statement = {
            "Effect": "Allow",
            "Action": list(actions),
            "Resource": "arn:aws:sqs:us-east-1:123456789012:wired-*",
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        self.iam.put_role_policy(RoleName="wired", PolicyName=name, PolicyDocument=policy)

    def received(self, queue: str) -> list[dict[str, Any]]:
        return self.sqs.receive_message(QueueUrl=self.queues[queue], MaxNumberOfMessages=10).get("Messages", [])


@pytest.fixture(scope="module")
def world(account: LocalAccount) -> Iterator[World]:
    made = World(account)
    yield made
    made.lambda_.delete_function(FunctionName="wired")


def until(true: Callable[[], Any], seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < deadline, "it did not come to pass"
        time.sleep(0.1)
    return value


def test_a_function_may_do_what_its_role_may_and_nothing_else(world: World) -> None:
    def ask() -> Any:
        answer = world.lambda_.invoke(FunctionName="wired", Payload=b'{"queue": "wired-in"}')
        return answer.get("FunctionError"), json.load(answer["Payload"])

    error, body = ask()
    assert error == "Unhandled"
    assert "AccessDenied" in body["errorMessage"]
    world.allow("ask", "sqs:GetQueueUrl")
    assert ask() == (None, world.queues["wired-in"])


def test_a_failed_event_ends_in_its_failure_queue(world: World) -> None:
    world.allow("send", "sqs:SendMessage")
    destination = {"OnFailure": {"Destination": "arn:aws:sqs:us-east-1:123456789012:wired-lost"}}
    world.lambda_.put_function_event_invoke_config(
        FunctionName="wired", MaximumRetryAttempts=0, DestinationConfig=destination
    )
    answer = world.lambda_.invoke(FunctionName="wired", InvocationType="Event", Payload=b'{"raise": "lost"}')
    assert answer["StatusCode"] == 202
    (message,) = until(lambda: world.received("wired-lost"))
    record = json.loads(message["Body"])
    assert record["requestContext"]["condition"] == "RetriesExhausted"
    assert record["requestContext"]["requestId"] == answer["ResponseMetadata"]["RequestId"]
    assert record["responsePayload"]["errorMessage"] == "lost"


def test_a_queue_feeds_a_function_and_keeps_what_it_reports_as_failed(world: World) -> None:
    world.allow("poll", "sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes")
    url = world.queues["wired-in"]
    world.sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "2"})
    for body in ("a", "poison", "b"):
        world.sqs.send_message(QueueUrl=url, MessageBody=body)
    mapping = world.lambda_.create_event_source_mapping(
        EventSourceArn="arn:aws:sqs:us-east-1:123456789012:wired-in",
        FunctionName="wired",
        BatchSize=10,
        FunctionResponseTypes=["ReportBatchItemFailures"],
    )

    def lines() -> list[str]:
        world.account.service("lambda").flush_logs()
        events = world.logs.filter_log_events(logGroupName="/aws/lambda/wired")["events"]
        return [event["message"] for event in events if event["message"].startswith("got")]

    until(lambda: any("'a'" in line for line in lines()) and any("'b'" in line for line in lines()))
    until(lambda: sum("poison" in line for line in lines()) >= 2)
    assert sum("'a'" in line for line in lines()) == 1
    world.lambda_.delete_event_source_mapping(UUID=mapping["UUID"])
    assert world.lambda_.list_event_source_mappings(FunctionName="wired")["EventSourceMappings"] == []
    left = until(lambda: world.received("wired-in"))
    assert [message["Body"] for message in left] == ["poison"]


def test_boto3_reads_functions_versions_and_policies(world: World) -> None:
    client = world.lambda_
    assert client.get_function(FunctionName="wired")["Configuration"]["State"] == "Active"
    client.get_waiter("function_active_v2").wait(FunctionName="wired")
    assert client.publish_version(FunctionName="wired")["Version"] == "1"
    client.create_alias(FunctionName="wired", Name="live", FunctionVersion="1")
    assert client.get_function_configuration(FunctionName="wired:live")["Version"] == "1"
    assert "wired" in [one["FunctionName"] for one in client.list_functions()["Functions"]]
    client.add_permission(
        FunctionName="wired", StatementId="s", Action="lambda:InvokeFunction", Principal="events.amazonaws.com"
    )
    assert "events.amazonaws.com" in client.get_policy(FunctionName="wired")["Policy"]
    with pytest.raises(client.exceptions.ResourceConflictException):
        client.create_alias(FunctionName="wired", Name="live", FunctionVersion="1")
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.invoke(FunctionName="absent")
    answer = client.invoke(FunctionName="wired", Payload=b'{"raise": "x"}', LogType="Tail")
    assert answer["FunctionError"] == "Unhandled"
    assert answer["LogResult"]
