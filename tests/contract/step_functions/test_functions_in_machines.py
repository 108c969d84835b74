"""Real functions called by real machines and rules: answers, errors by name, timeouts, aborts, events."""

from __future__ import annotations

import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable
from typing import Any

import pytest

CODE = """
import time

class LeaseHeld(Exception):
    pass

def handler(event, context):
    print(event.get("word"))
    if event.get("do") == "refuse":
        raise LeaseHeld("held by night-1")
    if event.get("do") == "sleep":
        time.sleep(30)
    return {"got": event}
"""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


@pytest.fixture(scope="module")
def function(account: Any) -> str:
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as packed:
        packed.writestr("app.py", CODE)
    role = account.client("iam").create_role(RoleName="called", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]
    made = account.client("lambda").create_function(
        FunctionName="called",
        Runtime="python3.11",
        Role=role["Arn"],
        Handler="app.handler",
        Code={"ZipFile": archive.getvalue()},
        Timeout=60,
    )
    return str(made["FunctionArn"])


def calling(function: str, **rest: Any) -> dict[str, Any]:
    arguments = {"FunctionName": function, "Payload": "{% $states.input %}"}
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "Arguments": arguments, "End": True}
    task |= {"Output": "{% $states.result.Payload %}", "TimeoutSeconds": 60} | rest
    return {"StartAt": "Call", "States": {"Call": task, "Held": {"Type": "Succeed", "Output": "{% $states.input %}"}}}


HELD = [{"ErrorEquals": ["LeaseHeld"], "Next": "Held"}]


def test_a_function_answers_its_machine(states, make, finish, function):
    arn = states.start_execution(stateMachineArn=make(calling(function, Catch=HELD)), input='{"n": 1}')["executionArn"]
    assert json.loads(finish(arn)["output"]) == {"got": {"n": 1}}


def test_a_functions_exception_is_caught_by_its_class_name(states, make, finish, function):
    arn = states.start_execution(stateMachineArn=make(calling(function, Catch=HELD)), input='{"do": "refuse"}')
    failure = json.loads(finish(arn["executionArn"])["output"])
    assert failure["Error"] == "LeaseHeld"
    assert json.loads(failure["Cause"])["errorMessage"] == "held by night-1"


def test_a_state_does_not_wait_longer_for_a_function_than_its_limit(states, make, finish, function):
    machine = make(calling(function, TimeoutSeconds=1, Catch=HELD))
    ended = finish(states.start_execution(stateMachineArn=machine, input='{"do": "sleep"}')["executionArn"])
    assert (ended["status"], ended["error"]) == ("FAILED", "States.Timeout")


def test_an_abort_does_not_wait_for_the_function(states, make, finish, function):
    arn = states.start_execution(stateMachineArn=make(calling(function, Catch=HELD)), input='{"do": "sleep"}')
    _until(lambda: len(states.get_execution_history(executionArn=arn["executionArn"])["events"]) >= 4)
    states.stop_execution(executionArn=arn["executionArn"])
    assert states.describe_execution(executionArn=arn["executionArn"])["status"] == "ABORTED"


def test_an_event_calls_the_function_of_its_rule(account, function):
    events, logs = account.client("events"), account.client("logs")
    word = uuid.uuid4().hex
    events.put_rule(Name="calls", EventPattern='{"source": ["calls"]}')
    transformer = {"InputPathsMap": {"w": "$.detail.word"}, "InputTemplate": '{"word": <w>}'}
    events.put_targets(Rule="calls", Targets=[{"Id": "f", "Arn": function, "InputTransformer": transformer}])
    events.put_events(Entries=[{"Source": "calls", "DetailType": "t", "Detail": json.dumps({"word": word})}])
    group = "/aws/lambda/called"
    _until(lambda: word in str(logs.filter_log_events(logGroupName=group).get("events")))


def _until(condition: Callable[[], object]) -> None:
    for _ in range(400):
        if condition():
            return
        time.sleep(0.025)
    pytest.fail("it did not come about within 10 s")
