"""Alarms and dashboards of a template: made, brought up to date and removed by a deployment."""

from __future__ import annotations

import json
import time
import uuid
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_account.front_door.local import LocalAccount

ALARM = {
    "AlarmName": {"Fn::Sub": "${AWS::StackName}-errors"},
    "AlarmDescription": "too many",
    "Metrics": [
        {"Id": "e", "Expression": "FILL(m, 0)"},
        {
            "Id": "m",
            "ReturnData": "false",
            "MetricStat": {
                "Metric": {"Namespace": "N", "MetricName": "m", "Dimensions": [{"Name": "Slot", "Value": "blue"}]},
                "Period": {"Ref": "Seconds"},
                "Stat": "Sum",
            },
        },
    ],
    "EvaluationPeriods": {"Ref": "Periods"},
    "Threshold": "0.5",
    "ComparisonOperator": "GreaterThanThreshold",
    "TreatMissingData": "notBreaching",
}
BODY = {"widgets": [{"type": "text", "x": 0, "y": 0, "width": 1, "height": 1, "properties": {"markdown": "# a"}}]}


def deploy(account: LocalAccount, stack: str, verb: str, resources: dict[str, Any], **parameters: int) -> None:
    client = account.client("cloudformation")
    template = {
        "Parameters": {"Seconds": {"Type": "Number"}, "Periods": {"Type": "Number"}},
        "Resources": resources,
        "Outputs": {"Alarm": {"Value": {"Ref": "Errors"}}, "Arn": {"Value": {"Fn::GetAtt": ["Errors", "Arn"]}}}
        if "Errors" in resources
        else {},
    }
    given = [{"ParameterKey": key, "ParameterValue": str(value)} for key, value in parameters.items()]
    getattr(client, f"{verb}_stack")(StackName=stack, TemplateBody=json.dumps(template), Parameters=given)
    while (status := client.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]).endswith("IN_PROGRESS"):
        time.sleep(0.05)
    assert status.endswith("_COMPLETE"), status


def test_a_stack_makes_changes_and_removes_them(account: LocalAccount) -> None:
    stack, cloudwatch = f"watching-{uuid.uuid4().hex[:8]}", account.client("cloudwatch")
    dashboard = {"DashboardName": {"Ref": "AWS::StackName"}, "DashboardBody": {"Fn::Sub": json.dumps(BODY)}}
    resources: dict[str, Any] = {
        "Errors": {"Type": "AWS::CloudWatch::Alarm", "Properties": ALARM},
        "Board": {"Type": "AWS::CloudWatch::Dashboard", "Properties": dashboard},
    }
    deploy(account, stack, "create", resources, Seconds=60, Periods=2)
    (made,) = cloudwatch.describe_alarms(AlarmNamePrefix=stack)["MetricAlarms"]
    assert (made["AlarmName"], made["EvaluationPeriods"], made["Threshold"]) == (f"{stack}-errors", 2, 0.5)
    assert [query.get("ReturnData") for query in made["Metrics"]] == [None, False]
    assert json.loads(cloudwatch.get_dashboard(DashboardName=stack)["DashboardBody"]) == BODY
    outputs = account.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["Outputs"]
    assert {one["OutputKey"]: one["OutputValue"] for one in outputs} == {
        "Alarm": f"{stack}-errors",
        "Arn": made["AlarmArn"],
    }

    cloudwatch.set_alarm_state(AlarmName=f"{stack}-errors", StateValue="ALARM", StateReason="a drill")
    deploy(account, stack, "update", resources, Seconds=86_400, Periods=1)
    (changed,) = cloudwatch.describe_alarms(AlarmNamePrefix=stack)["MetricAlarms"]
    assert (changed["EvaluationPeriods"], changed["Metrics"][1]["MetricStat"]["Period"]) == (1, 86_400)

    resources["Errors"]["Properties"] = {**ALARM, "AlarmName": f"{stack}-renamed"}
    deploy(account, stack, "update", resources, Seconds=60, Periods=1)
    assert [one["AlarmName"] for one in cloudwatch.describe_alarms(AlarmNamePrefix=stack)["MetricAlarms"]] == [
        f"{stack}-renamed"
    ]

    queue = {"Queue": {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": stack}}}
    deploy(account, stack, "update", queue, Seconds=60, Periods=1)
    assert cloudwatch.describe_alarms(AlarmNamePrefix=stack)["MetricAlarms"] == []
    with pytest.raises(ClientError, match="ResourceNotFound"):
        cloudwatch.get_dashboard(DashboardName=stack)
