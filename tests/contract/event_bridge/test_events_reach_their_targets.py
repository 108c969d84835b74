"""EventBridge and Scheduler as boto3 sees them: from PutEvents to the queue, or to the dead-letter queue with the reason."""

from __future__ import annotations

import itertools
import json
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "scheduler.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ALLOWED = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@pytest.fixture
def events(account):
    return account.client("events")


@pytest.fixture
def scheduler(account):
    return account.client("scheduler")


@pytest.fixture
def queue(account):
    """A queue of this test's own: (url, arn, take)."""
    sqs = account.client("sqs")
    url = sqs.create_queue(QueueName=f"events-{uuid.uuid4().hex}")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]

    def take(wait_s: int = 5) -> list[dict]:
        answer = sqs.receive_message(
            QueueUrl=url, WaitTimeSeconds=wait_s, MaxNumberOfMessages=10, MessageAttributeNames=["All"]
        )
        for message in answer.get("Messages", ()):
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return list(answer.get("Messages", ()))

    return url, arn, take


@pytest.fixture(scope="session")
def schedule_role(account: Any) -> str:
    iam = account.client("iam")
    arn = iam.create_role(RoleName="schedule-test", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="schedule-test", PolicyName="all", PolicyDocument=json.dumps(ALLOWED))
    return str(arn)


def rule(events: Any, name: str, pattern: dict, *targets: dict) -> None:
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    assert events.put_targets(Rule=name, Targets=list(targets))["FailedEntryCount"] == 0


def put(events: Any, source: str, **detail: object) -> str:
    entry = {"Source": source, "DetailType": "test", "Detail": json.dumps(detail)}
    return str(events.put_events(Entries=[entry])["Entries"][0]["EventId"])


def test_an_event_reaches_the_targets_of_the_rules_it_matches_and_no_others(events, queue):
    rule(events, "hit", {"source": ["reach"], "detail": {"n": [1]}}, {"Id": "q", "Arn": queue[1]})
    put(events, "reach", n=2)
    event_id = put(events, "reach", n=1)
    bodies = [json.loads(m["Body"]) for m in queue[2]()]
    assert [(b["id"], b["detail"], b["account"]) for b in bodies] == [(event_id, {"n": 1}, "123456789012")]


def test_an_input_transformer_shapes_what_the_target_gets(events, queue):
    transformer = {
        "InputPathsMap": {"n": "$.detail.n", "who": "$.detail.who.name", "none": "$.detail.none"},
        "InputTemplate": '{"text": "<who> has <n>", "n": <n>, "who": <who>, "none": <none>}',
    }
    rule(events, "shape", {"source": ["shape"]}, {"Id": "q", "Arn": queue[1], "InputTransformer": transformer})
    put(events, "shape", n=3, who={"name": 'O"Neil'})
    assert json.loads(queue[2]()[0]["Body"]) == {"text": 'O"Neil has 3', "n": 3, "who": 'O"Neil', "none": None}


def test_a_part_of_the_event_or_a_constant_may_be_all_a_target_gets(events, queue):
    rule(
        events,
        "part",
        {"source": ["part"]},
        {"Id": "part", "Arn": queue[1], "InputPath": "$.detail.list[1]"},
        {"Id": "constant", "Arn": queue[1], "Input": '{"fixed": true}'},
    )
    put(events, "part", list=[1, {"x": 2}])
    bodies: list[str] = []
    while len(bodies) < 2:
        bodies += [m["Body"] for m in queue[2]()]
    assert sorted(bodies) == ['{"fixed": true}', '{"x":2}']


def test_what_no_target_takes_goes_to_the_dead_letter_queue_with_the_reason(events, queue):
    missing = "arn:aws:sqs:us-east-1:123456789012:there-is-no-such-queue"
    rule(events, "dead", {"source": ["dead"]}, {"Id": "x", "Arn": missing, "DeadLetterConfig": {"Arn": queue[1]}})
    event_id = put(events, "dead")
    message = queue[2]()[0]
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert json.loads(message["Body"])["id"] == event_id
    assert attributes["RULE_ARN"].endswith(":rule/dead")
    assert (attributes["TARGET_ARN"], attributes["ERROR_CODE"]) == (missing, "NO_RESOURCE")
    assert attributes["ERROR_MESSAGE"]


def test_a_bucket_that_wants_to_tells_the_bus_of_its_objects(account, events, queue):
    s3 = account.client("s3")
    for bucket in ("telling-bucket", "silent-bucket"):
        s3.create_bucket(Bucket=bucket)
    s3.put_bucket_notification_configuration(
        Bucket="telling-bucket", NotificationConfiguration={"EventBridgeConfiguration": {}}
    )
    pattern = {
        "source": ["aws.s3"],
        "detail-type": ["Object Created"],
        "detail": {"object": {"key": [{"prefix": "in/"}]}},
    }
    rule(events, "objects", pattern, {"Id": "q", "Arn": queue[1]})
    for bucket, key in (("silent-bucket", "in/a"), ("telling-bucket", "out/a"), ("telling-bucket", "in/b c")):
        s3.put_object(Bucket=bucket, Key=key, Body=b"12345")
    s3.copy_object(Bucket="telling-bucket", Key="in/copy", CopySource={"Bucket": "silent-bucket", "Key": "in/a"})
    details: list[dict] = []
    while len(details) < 2:
        details += [json.loads(message["Body"])["detail"] for message in queue[2]()]
    told = sorted((d["bucket"]["name"], d["object"]["key"], d["object"]["size"], d["reason"]) for d in details)
    assert told == [
        ("telling-bucket", "in/b c", 5, "PutObject"),
        ("telling-bucket", "in/copy", 5, "CopyObject"),
    ]


def test_entries_are_refused_one_by_one_with_aws_codes(events):
    answer = events.put_events(
        Entries=[
            {"Source": "x", "DetailType": "t", "Detail": "{}"},
            {"Source": "x", "DetailType": "t", "Detail": "[1]"},
            {"Source": "x", "DetailType": "t"},
            {"Source": "aws.states", "DetailType": "t", "Detail": "{}"},
        ]
    )
    codes = [entry.get("ErrorCode") for entry in answer["Entries"]]
    assert codes == [None, "MalformedDetail", "InvalidArgument", "NotAuthorizedForSourceException"]
    assert answer["FailedEntryCount"] == 3


def test_rules_are_described_disabled_and_deleted_only_without_targets(events, queue):
    rule(events, "life", {"source": ["life"]}, {"Id": "q", "Arn": queue[1]})
    assert events.describe_rule(Name="life")["State"] == "ENABLED"
    assert [t["Id"] for t in events.list_targets_by_rule(Rule="life")["Targets"]] == ["q"]
    assert "life" in [r["Name"] for r in events.list_rules(NamePrefix="li")["Rules"]]
    events.disable_rule(Name="life")
    put(events, "life")
    assert queue[2](1) == []
    with pytest.raises(events.exceptions.ClientError, match="has targets"):
        events.delete_rule(Name="life")
    events.remove_targets(Rule="life", Ids=["q"])
    events.delete_rule(Name="life")
    with pytest.raises(events.exceptions.ResourceNotFoundException):
        events.describe_rule(Name="life")


def test_a_pattern_that_makes_no_sense_is_refused(events):
    with pytest.raises(events.exceptions.InvalidEventPatternException, match="Empty"):
        events.put_rule(Name="bad", EventPattern='{"source": []}')


def test_a_pattern_can_be_tried_on_an_event(events):
    event = {"id": "1", "account": "1", "source": "s", "time": "t", "region": "r", "resources": [], "detail-type": "d"}
    assert events.test_event_pattern(EventPattern='{"source": ["s"]}', Event=json.dumps(event))["Result"] is True


def test_a_rate_fires_once_per_period_also_when_the_clock_jumps_over_several(account, events, queue):
    events.put_rule(Name="every-ten", ScheduleExpression="rate(10 minutes)")
    events.put_targets(Rule="every-ten", Targets=[{"Id": "q", "Arn": queue[1]}])
    account.clock.advance(1801)
    bodies: list[dict] = []
    deadline = time.monotonic() + 10
    while len(bodies) < 3 and time.monotonic() < deadline:
        bodies += [json.loads(m["Body"]) for m in queue[2](1)]
    times = sorted(datetime.fromisoformat(b["time"]) for b in bodies)
    assert [b - a for a, b in itertools.pairwise(times)] == [timedelta(minutes=10)] * 2
    events.remove_targets(Rule="every-ten", Ids=["q"])
    events.delete_rule(Name="every-ten")


def test_a_schedule_is_kept_as_given_and_runs_when_it_is_due(account, scheduler, queue, schedule_role):
    at = (account.clock.now() + timedelta(hours=2)).astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")
    scheduler.create_schedule(
        Name="once",
        ScheduleExpression=f"at({at})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": queue[1], "RoleArn": schedule_role, "Input": '{"at": "<aws.scheduler.scheduled-time>"}'},
        ActionAfterCompletion="DELETE",
    )
    with pytest.raises(scheduler.exceptions.ConflictException):
        scheduler.create_schedule(
            Name="once",
            ScheduleExpression="rate(1 day)",
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": queue[1], "RoleArn": schedule_role},
        )
    found = scheduler.get_schedule(Name="once")
    assert (found["ScheduleExpression"], found["State"], found["GroupName"]) == (f"at({at})", "ENABLED", "default")
    assert "once" in [s["Name"] for s in scheduler.list_schedules()["Schedules"]]
    assert queue[2](1) == []
    account.clock.advance(7201)
    assert json.loads(queue[2]()[0]["Body"]) == {"at": f"{at}Z"}
    with pytest.raises(scheduler.exceptions.ResourceNotFoundException):
        scheduler.get_schedule(Name="once")


@pytest.mark.parametrize(
    ("expression", "zone"),
    [("cron(0 4 * * *)", "UTC"), ("rate(0 minutes)", "UTC"), ("rate(1 day)", "Mars/Olympus"), ("every day", "UTC")],
)
def test_a_schedule_that_could_never_run_is_refused(scheduler, schedule_role, queue, expression, zone):
    with pytest.raises(scheduler.exceptions.ValidationException):
        scheduler.create_schedule(
            Name="never",
            ScheduleExpression=expression,
            ScheduleExpressionTimezone=zone,
            FlexibleTimeWindow={"Mode": "OFF"},
            Target={"Arn": queue[1], "RoleArn": schedule_role},
        )


def test_an_execution_tells_the_bus_of_its_end(account, events, queue):
    pattern = {
        "source": ["aws.states"],
        "detail-type": ["Step Functions Execution Status Change"],
        "detail": {"status": ["SUCCEEDED"], "name": ["told"]},
    }
    rule(events, "ended", pattern, {"Id": "q", "Arn": queue[1]})
    states = account.client("stepfunctions")
    definition = {"QueryLanguage": "JSONata", "StartAt": "E", "States": {"E": {"Type": "Succeed"}}}
    trust = json.dumps(TRUST).replace("scheduler.", "states.")
    role = account.client("iam").create_role(RoleName="told-machine", AssumeRolePolicyDocument=trust)["Role"]["Arn"]
    machine = states.create_state_machine(name="told-machine", definition=json.dumps(definition), roleArn=role)
    states.start_execution(stateMachineArn=machine["stateMachineArn"], name="told", input='{"a": 1}')
    detail = json.loads(queue[2]()[0]["Body"])["detail"]
    assert (detail["status"], json.loads(detail["output"]), detail["redriveStatus"]) == (
        "SUCCEEDED",
        {"a": 1},
        "NOT_REDRIVABLE",
    )
