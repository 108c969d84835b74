"""Alarms as unmodified clients meet them: boto3, the AWS CLI, a rule of EventBridge, and an account that comes back."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local_account import lifecycle
from local_account.front_door.local import LocalAccount

PATIENCE_S = 60
AWS_CLI = Path(sys.executable).with_name("aws")
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
QUICK: dict[str, Any] = {
    "Namespace": "Alarms",
    "Statistic": "Sum",
    "Period": 10,
    "EvaluationPeriods": 1,
    "Threshold": 0.0,
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
}


@pytest.fixture
def name() -> str:
    return f"alarm-{uuid.uuid4().hex[:10]}"


@pytest.fixture
def cloudwatch(account: LocalAccount) -> Any:
    return account.client("cloudwatch")


@pytest.fixture
def told(account: LocalAccount, name: str) -> Callable[[], list[dict[str, Any]]]:
    """Takes the events of this test's alarm from a queue that a rule of its own fills."""
    sqs, events = account.client("sqs"), account.client("events")
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    arn = f"arn:aws:sqs:us-east-1:123456789012:{name}"
    pattern = {"source": ["aws.cloudwatch"], "resources": [{"suffix": f":{name}"}]}
    events.put_rule(Name=name, EventPattern=json.dumps(pattern))
    events.put_targets(Rule=name, Targets=[{"Id": "q", "Arn": arn}])

    def take() -> list[dict[str, Any]]:
        taken = sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages", ())
        for message in taken:
            sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
        return [json.loads(message["Body"]) for message in taken]

    return take


def until(look: Callable[[], Any]) -> Any:
    ends = time.monotonic() + PATIENCE_S
    while not (found := look()) and time.monotonic() < ends:
        time.sleep(0.05)
    return found


def state(cloudwatch: Any, name: str) -> str:
    return str(cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]["StateValue"])


def next_evaluation(account: LocalAccount) -> None:
    account.clock.advance(11)


def test_a_datapoint_leads_to_an_event_with_cloudwatchs_detail(
    account: LocalAccount, cloudwatch: Any, name: str, told: Any
) -> None:
    dimensions = [{"Name": "Slot", "Value": name}]
    cloudwatch.put_metric_alarm(
        AlarmName=name, AlarmDescription="why", MetricName="errors", Dimensions=dimensions, **QUICK
    )
    assert state(cloudwatch, name) == "INSUFFICIENT_DATA"
    other = [{"Name": "Slot", "Value": "another"}]
    data = [{"MetricName": "errors", "Dimensions": other, "Value": 9, "StorageResolution": 1}]
    cloudwatch.put_metric_data(Namespace="Alarms", MetricData=data)
    next_evaluation(account)
    first = until(told)[0]
    assert (first["detail"]["previousState"]["value"], first["detail"]["state"]["value"]) == ("INSUFFICIENT_DATA", "OK")
    own = {"MetricName": "errors", "Dimensions": dimensions, "Values": [0, 2], "Counts": [5, 3]}
    cloudwatch.put_metric_data(Namespace="Alarms", MetricData=[own])
    next_evaluation(account)
    event = until(told)[0]
    assert (event["source"], event["detail-type"]) == ("aws.cloudwatch", "CloudWatch Alarm State Change")
    assert event["resources"] == [f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{name}"]
    detail = event["detail"]
    assert (detail["alarmName"], detail["state"]["value"], detail["previousState"]["value"]) == (name, "ALARM", "OK")
    assert json.loads(detail["state"]["reasonData"])["recentDatapoints"] == [6.0]
    assert detail["configuration"]["description"] == "why"
    stat = detail["configuration"]["metrics"][0]["metricStat"]
    assert stat == {
        "metric": {"dimensions": {"Slot": name}, "name": "errors", "namespace": "Alarms"},
        "period": 10,
        "stat": "Sum",
    }


def test_a_state_that_was_set_by_hand_is_told_and_overwritten_at_the_next_evaluation(
    account: LocalAccount, cloudwatch: Any, name: str, told: Any
) -> None:
    cloudwatch.put_metric_alarm(AlarmName=name, MetricName=name, **QUICK)
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="a drill")
    event = until(told)[0]
    assert (event["detail"]["state"]["value"], event["detail"]["state"]["reason"]) == ("ALARM", "a drill")
    next_evaluation(account)
    assert until(told)[0]["detail"]["state"]["value"] == "OK"
    entries = cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="StateUpdate")["AlarmHistoryItems"]
    assert [one["HistorySummary"] for one in entries] == [
        "Alarm updated from ALARM to OK",
        "Alarm updated from INSUFFICIENT_DATA to ALARM",
    ]


def test_a_topic_is_told_unless_actions_are_disabled(account: LocalAccount, cloudwatch: Any, name: str) -> None:
    sns, sqs = account.client("sns"), account.client("sqs")
    topic = sns.create_topic(Name=name)["TopicArn"]
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=f"arn:aws:sqs:us-east-1:123456789012:{name}")
    cloudwatch.put_metric_alarm(AlarmName=name, MetricName=name, AlarmActions=[topic], **{**QUICK, "Period": 86_400})
    cloudwatch.disable_alarm_actions(AlarmNames=[name])
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="not told")
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="no action of OK")
    cloudwatch.enable_alarm_actions(AlarmNames=[name])
    cloudwatch.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="told")
    bodies = [
        json.loads(json.loads(message["Body"])["Message"])
        for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    ]
    assert [(one["AlarmName"], one["NewStateValue"], one["NewStateReason"]) for one in bodies] == [
        (name, "ALARM", "told")
    ]
    actions = cloudwatch.describe_alarm_history(AlarmName=name, HistoryItemType="Action")["AlarmHistoryItems"]
    assert [one["HistorySummary"] for one in actions] == [f"Successfully executed action {topic}"]


def test_the_aws_cli_puts_describes_and_deletes(account: LocalAccount, name: str) -> None:
    def aws(*arguments: str) -> Any:
        command = [str(AWS_CLI), "cloudwatch", *arguments, "--output", "json"]
        environment = account.child_environment(account.identities.operator)
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=120)
        return json.loads(done.stdout or "{}")

    given = {"AlarmName": name, "MetricName": "m", **QUICK, "Tags": [{"Key": "stage", "Value": "test"}]}
    aws("put-metric-alarm", "--cli-input-json", json.dumps(given))
    found = aws("describe-alarms", "--alarm-name-prefix", name[:-2])["MetricAlarms"]
    assert [(one["AlarmName"], one["StateValue"]) for one in found] == [(name, "INSUFFICIENT_DATA")]
    tags = aws("list-tags-for-resource", "--resource-arn", found[0]["AlarmArn"])["Tags"]
    assert tags == given["Tags"]
    aws("delete-alarms", "--alarm-names", name)
    assert aws("describe-alarms", "--alarm-names", name)["MetricAlarms"] == []


def test_a_role_may_only_do_what_its_policies_say(account: LocalAccount, name: str) -> None:
    iam = account.client("iam")
    role = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    alarm = f"arn:aws:cloudwatch:us-east-1:123456789012:alarm:{name}-*"
    dashboard = f"arn:aws:cloudwatch::123456789012:dashboard/{name}"
    statements = [
        {"Effect": "Allow", "Action": ["cloudwatch:PutMetricAlarm", "cloudwatch:SetAlarmState"], "Resource": alarm},
        {"Effect": "Allow", "Action": "cloudwatch:PutDashboard", "Resource": dashboard},
    ]
    policy = {"Version": "2012-10-17", "Statement": statements}
    iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(policy))
    client = account.client("cloudwatch", role, "me")
    client.put_metric_alarm(AlarmName=f"{name}-a", MetricName="m", **QUICK)
    client.set_alarm_state(AlarmName=f"{name}-a", StateValue="OK", StateReason="may")
    client.put_dashboard(DashboardName=name, DashboardBody='{"widgets": []}')
    for refused in (
        lambda: client.put_metric_alarm(AlarmName=f"other-{name}", MetricName="m", **QUICK),
        lambda: client.delete_alarms(AlarmNames=[f"{name}-a"]),
        lambda: client.describe_alarms(),
        lambda: client.put_dashboard(DashboardName=f"{name}x", DashboardBody='{"widgets": []}'),
    ):
        with pytest.raises(ClientError, match="AccessDenied"):
            refused()


def test_what_is_not_there_or_not_played_is_refused(cloudwatch: Any, name: str) -> None:
    for code, call in {
        "ResourceNotFound": lambda: cloudwatch.set_alarm_state(AlarmName=name, StateValue="OK", StateReason=""),
        "ValidationError": lambda: cloudwatch.put_metric_alarm(
            AlarmName=name, MetricName="m", AlarmActions=["arn:aws:automate:us-east-1:ec2:stop"], **QUICK
        ),
        "InvalidParameterInput": lambda: cloudwatch.put_dashboard(DashboardName=name, DashboardBody="{}"),
    }.items():
        with pytest.raises(ClientError, match=code):
            call()
    assert cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"] == []


def test_alarms_states_history_and_datapoints_come_back_with_the_account(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def client(up: lifecycle.Endpoint) -> Any:
        for key, value in up.environment().items():
            monkeypatch.setenv(key, value)
        return boto3.Session().client("cloudwatch")

    alarm = {**QUICK, "AlarmName": name, "MetricName": "m", "EvaluationPeriods": 360, "DatapointsToAlarm": 1}
    try:
        first = client(lifecycle.up(tmp_path))
        before = time.time() - 600
        first.put_metric_data(Namespace="Alarms", MetricData=[{"MetricName": "m", "Timestamp": before, "Value": 1}])
        first.put_metric_alarm(**alarm)
        first.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="kept")
        first.put_dashboard(DashboardName="d", DashboardBody='{"widgets": []}')
        assert lifecycle.down(tmp_path)
        again = client(lifecycle.up(tmp_path))
        found = again.describe_alarms(AlarmNames=[name])["MetricAlarms"][0]
        assert (found["StateValue"], found["EvaluationPeriods"]) == ("ALARM", 360)
        entries = again.describe_alarm_history(AlarmName=name, ScanBy="TimestampAscending")["AlarmHistoryItems"]
        assert [one["HistoryItemType"] for one in entries] == ["ConfigurationUpdate", "StateUpdate"]
        assert again.get_dashboard(DashboardName="d")["DashboardBody"] == '{"widgets": []}'
        again.set_alarm_state(AlarmName=name, StateValue="OK", StateReason="the datapoint of before says otherwise")
        assert until(lambda: state(again, name) == "ALARM")
    finally:
        lifecycle.down(tmp_path)
