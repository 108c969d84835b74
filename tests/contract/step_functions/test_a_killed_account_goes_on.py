"""SIGKILL to the whole account in the middle of a machine and of an event's way: both arrive after `up`."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from local_account import lifecycle
from local_account.front_door.identities import Identities

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ALLOWED = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}
CHILD = {"StartAt": "Hold", "States": {"Hold": {"Type": "Wait", "Seconds": 4, "Next": "E"}, "E": {"Type": "Succeed"}}}


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    lifecycle.down(tmp_path)


def up(state: Path) -> Callable[[str], Any]:
    endpoint, keys = lifecycle.up(state), Identities(state).operator

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


def until(condition: Callable[[], Any], within_s: float = 20.0) -> Any:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.05)
    pytest.fail(f"it did not come about within {within_s} s")


def make(client: Callable[[str], Any], name: str, definition: dict[str, Any], role: str) -> str:
    text = json.dumps({"QueryLanguage": "JSONata"} | definition)
    return str(
        client("stepfunctions").create_state_machine(name=name, definition=text, roleArn=role)["stateMachineArn"]
    )


def test_a_parent_its_child_and_an_undelivered_event_survive_a_kill(state: Path) -> None:
    client = up(state)
    iam, states, events, sqs = (client(s) for s in ("iam", "stepfunctions", "events", "sqs"))
    role = iam.create_role(RoleName="machine", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="machine", PolicyName="all", PolicyDocument=json.dumps(ALLOWED))
    child = make(client, "child", CHILD, role)
    ask = {
        "Type": "Task",
        "Resource": "arn:aws:states:::states:startExecution.sync:2",
        "Arguments": {"StateMachineArn": child, "Input": {"n": "{% $n %}"}},
        "Output": "{% $states.result.Output.n %}",
        "TimeoutSeconds": 60,
        "End": True,
    }
    keep = {"Type": "Pass", "Assign": {"n": 5}, "Next": "Ask"}
    parent = make(client, "parent", {"StartAt": "Keep", "States": {"Keep": keep, "Ask": ask}}, role)
    arn = states.start_execution(stateMachineArn=parent, name="night")["executionArn"]
    until(lambda: states.list_executions(stateMachineArn=child)["executions"])
    url = sqs.create_queue(QueueName="kept")["QueueUrl"]
    events.put_rule(Name="kept", EventPattern='{"source": ["kept"]}')
    target = {"Id": "q", "Arn": "arn:aws:sqs:us-east-1:123456789012:kept"}
    events.put_targets(Rule="kept", Targets=[target])
    events.put_events(Entries=[{"Source": "kept", "DetailType": "t", "Detail": '{"n": 1}'}])
    kill(state)

    client = up(state)
    states, sqs = client("stepfunctions"), client("sqs")
    ended = until(lambda: _ended(states, arn))
    assert (ended["status"], ended["output"]) == ("SUCCEEDED", "5")
    assert len(states.list_executions(stateMachineArn=child)["executions"]) == 1
    ids = [e["id"] for e in states.get_execution_history(executionArn=arn)["events"]]
    assert ids == list(range(1, len(ids) + 1))
    message = until(lambda: sqs.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages"))[0]
    assert json.loads(message["Body"])["detail"] == {"n": 1}


def _ended(states: Any, arn: str) -> dict[str, Any] | None:
    found: dict[str, Any] = states.describe_execution(executionArn=arn)
    return None if found["status"] == "RUNNING" else found
