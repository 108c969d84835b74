"""Step Functions as boto3 sees it: machines, executions, histories, stops, redrives, and calls of other services."""

from __future__ import annotations

import json
import time
from collections.abc import Callable

import pytest

PASS = {
    "StartAt": "Only",
    "States": {"Only": {"Type": "Pass", "Output": {"n": "{% $states.input.n + 1 %}"}, "End": True}},
}
HOLD = {
    "StartAt": "Hold",
    "States": {"Hold": {"Type": "Wait", "Seconds": 3600, "Next": "End"}, "End": {"Type": "Succeed"}},
}


def sdk(service: str, action: str, arguments: dict, **rest: object) -> dict:
    resource = f"arn:aws:states:::aws-sdk:{service}:{action}"
    return {"Type": "Task", "Resource": resource, "Arguments": arguments, "TimeoutSeconds": 60, **rest}


def test_an_execution_runs_to_its_output_and_tells_its_history(states, make, finish):
    arn = states.start_execution(stateMachineArn=make(PASS), name="one", input='{"n": 1}')["executionArn"]
    ended = finish(arn)
    assert (ended["status"], ended["output"], ended["redriveStatus"]) == ("SUCCEEDED", '{"n":2}', "NOT_REDRIVABLE")
    events = states.get_execution_history(executionArn=arn)["events"]
    assert [e["type"] for e in events] == [
        "ExecutionStarted",
        "PassStateEntered",
        "PassStateExited",
        "ExecutionSucceeded",
    ]
    assert [(e["id"], e["previousEventId"]) for e in events] == [(1, 0), (2, 1), (3, 2), (4, 3)]
    assert events[0]["executionStartedEventDetails"]["input"] == '{"n": 1}'
    bare = states.get_execution_history(executionArn=arn, includeExecutionData=False)["events"]
    assert bare[1]["stateEnteredEventDetails"] == {"name": "Only"}


def test_a_history_comes_in_pages_and_backwards(states, make, finish):
    arn = states.start_execution(stateMachineArn=make(PASS), input='{"n": 1}')["executionArn"]
    finish(arn)
    first = states.get_execution_history(executionArn=arn, maxResults=3, reverseOrder=True)
    second = states.get_execution_history(
        executionArn=arn, maxResults=3, reverseOrder=True, nextToken=first["nextToken"]
    )
    assert [e["id"] for e in first["events"] + second["events"]] == [4, 3, 2, 1]
    assert "nextToken" not in second


def test_the_same_name_and_input_is_the_same_execution_only_while_it_runs(states, make, finish):
    machine = make(HOLD)
    first = states.start_execution(stateMachineArn=machine, name="once", input="{}")
    again = states.start_execution(stateMachineArn=machine, name="once", input="{}")
    assert again["executionArn"] == first["executionArn"]
    with pytest.raises(states.exceptions.ExecutionAlreadyExists):
        states.start_execution(stateMachineArn=machine, name="once", input='{"other": 1}')
    states.stop_execution(executionArn=first["executionArn"], error="Enough", cause="the test is over")
    ended = finish(first["executionArn"])
    assert (ended["status"], ended["error"], ended["cause"]) == ("ABORTED", "Enough", "the test is over")
    with pytest.raises(states.exceptions.ExecutionAlreadyExists):
        states.start_execution(stateMachineArn=machine, name="once", input="{}")


@pytest.mark.parametrize("name", ["a b", "a:b", "x" * 81, "a/b"])
def test_a_name_that_aws_refuses_is_refused(states, make, name):
    with pytest.raises(states.exceptions.InvalidName):
        states.start_execution(stateMachineArn=make(PASS), name=name)


def test_input_that_is_no_json_is_refused(states, make):
    with pytest.raises(states.exceptions.InvalidExecutionInput):
        states.start_execution(stateMachineArn=make(PASS), input="{")


def test_a_definition_with_a_dangling_next_is_refused(states, make):
    with pytest.raises(states.exceptions.InvalidDefinition, match="MISSING_TRANSITION_TARGET"):
        make({"StartAt": "A", "States": {"A": {"Type": "Pass", "Next": "Nowhere"}}})


def test_what_does_not_exist_is_said_not_to(states, make):
    arn = make(PASS)
    with pytest.raises(states.exceptions.StateMachineDoesNotExist):
        states.describe_state_machine(stateMachineArn=arn + "x")
    with pytest.raises(states.exceptions.ExecutionDoesNotExist):
        states.describe_execution(executionArn=arn.replace("stateMachine", "execution") + ":none")
    with pytest.raises(states.exceptions.InvalidArn):
        states.describe_execution(executionArn=arn)


def test_sdk_calls_take_and_give_pascal_case(account, states, make, finish):
    table = "sdk-calls-table"
    definition = {
        "StartAt": "Make",
        "States": {
            "Make": sdk(
                "dynamodb",
                "createTable",
                {
                    "TableName": table,
                    "BillingMode": "PAY_PER_REQUEST",
                    "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
                    "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
                },
                Next="Put",
            ),
            "Put": sdk("dynamodb", "putItem", {"TableName": table, "Item": {"id": {"S": "one"}}}, Next="Refused"),
            "Refused": sdk(
                "dynamodb",
                "putItem",
                {"TableName": table, "Item": {"id": {"S": "one"}}, "ConditionExpression": "attribute_not_exists(id)"},
                End=True,
                Catch=[{"ErrorEquals": ["DynamoDb.ConditionalCheckFailedException"], "Next": "Describe"}],
            ),
            "Describe": sdk(
                "dynamodb",
                "describeTable",
                {"TableName": table},
                Output={"made": "{% $states.result.Table.CreationDateTime %}"},
                End=True,
            ),
        },
    }
    ended = finish(states.start_execution(stateMachineArn=make(definition))["executionArn"])
    assert ended["status"] == "SUCCEEDED", ended
    assert json.loads(ended["output"])["made"].endswith("Z")


def test_a_parent_waits_for_its_child_and_reads_its_output(states, make, finish):
    child = make(PASS)
    parent = make(
        {
            "StartAt": "Ask",
            "States": {
                "Ask": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::states:startExecution.sync:2",
                    "Arguments": {"StateMachineArn": child, "Name": "child-of-one", "Input": {"n": 4}},
                    "Output": "{% $states.result.Output.n %}",
                    "TimeoutSeconds": 60,
                    "End": True,
                }
            },
        }
    )
    ended = finish(states.start_execution(stateMachineArn=parent)["executionArn"])
    assert (ended["status"], ended["output"]) == ("SUCCEEDED", "5")


def test_stopping_a_parent_stops_the_child_it_waits_for(states, make, finish):
    child = make(HOLD)
    parent = make(
        {
            "StartAt": "Ask",
            "States": {
                "Ask": {
                    "Type": "Task",
                    "Resource": "arn:aws:states:::states:startExecution.sync",
                    "Arguments": {"StateMachineArn": child, "Name": "held-child"},
                    "TimeoutSeconds": 60,
                    "End": True,
                }
            },
        }
    )
    arn = states.start_execution(stateMachineArn=parent)["executionArn"]
    held = child.replace(":stateMachine:", ":execution:") + ":held-child"
    wait_for(lambda: states.list_executions(stateMachineArn=child)["executions"])
    states.stop_execution(executionArn=arn)
    assert finish(arn)["status"] == "ABORTED"
    assert finish(held)["status"] == "ABORTED"


def test_a_failed_execution_is_redriven_from_the_state_that_failed(account, states, make, finish):
    queue = "redrive-queue"
    definition = {
        "StartAt": "Both",
        "States": {
            "Both": {
                "Type": "Parallel",
                "Branches": [
                    {
                        "StartAt": "Fine",
                        "States": {
                            "Fine": sdk("sns", "createTopic", {"Name": "redrive-fine"}, Output="fine", End=True)
                        },
                    },
                    {
                        "StartAt": "Slow",
                        "States": {
                            "Slow": {"Type": "Wait", "Seconds": 1, "Assign": {"kept": 7}, "Next": "Needs"},
                            "Needs": sdk(
                                "sqs",
                                "getQueueUrl",
                                {"QueueName": queue},
                                Output="{% [$kept, $states.context.Execution.RedriveCount] %}",
                                End=True,
                            ),
                        },
                    },
                ],
                "End": True,
            }
        },
    }
    arn = states.start_execution(stateMachineArn=make(definition))["executionArn"]
    failed = finish(arn)
    assert (failed["status"], failed["redriveStatus"]) == ("FAILED", "REDRIVABLE")
    assert failed["error"].startswith("Sqs.")
    account.client("sqs").create_queue(QueueName=queue)
    states.redrive_execution(executionArn=arn)
    ended = finish(arn)
    assert (ended["status"], ended["output"], ended["redriveCount"]) == ("SUCCEEDED", '["fine",[7,1]]', 1)
    types = [e["type"] for e in states.get_execution_history(executionArn=arn)["events"]]
    assert types.count("TaskSucceeded") == 2
    with pytest.raises(states.exceptions.ExecutionNotRedrivable):
        states.redrive_execution(executionArn=arn)


def test_a_task_token_is_answered_by_whoever_holds_it(account, states, make, finish):
    url = account.client("sqs").create_queue(QueueName="token-queue")["QueueUrl"]
    definition = {
        "StartAt": "Ask",
        "States": {
            "Ask": {
                "Type": "Task",
                "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
                "Arguments": {"QueueUrl": url, "MessageBody": {"token": "{% $states.context.Task.Token %}"}},
                "TimeoutSeconds": 60,
                "End": True,
            }
        },
    }
    arn = states.start_execution(stateMachineArn=make(definition))["executionArn"]
    message = account.client("sqs").receive_message(QueueUrl=url, WaitTimeSeconds=5)["Messages"][0]
    states.send_task_success(taskToken=json.loads(message["Body"])["token"], output='{"approved": true}')
    assert json.loads(finish(arn)["output"]) == {"approved": True}


def test_an_execution_that_outlives_its_machines_limit_times_out(account, states, make, finish):
    arn = states.start_execution(stateMachineArn=make(HOLD | {"TimeoutSeconds": 60}))["executionArn"]
    account.clock.advance(61)
    ended = finish(arn)
    assert (ended["status"], ended["redriveStatus"]) == ("TIMED_OUT", "REDRIVABLE")


def test_a_wait_is_over_when_the_accounts_clock_says_so(account, states, make, finish):
    arn = states.start_execution(stateMachineArn=make(HOLD))["executionArn"]
    wait_for(lambda: len(states.get_execution_history(executionArn=arn)["events"]) == 2)
    account.clock.advance(3601)
    assert finish(arn)["status"] == "SUCCEEDED"


def test_a_machine_logs_what_went_wrong_to_its_group(account, states, machine_role, finish):
    logs = account.client("logs")
    logs.create_log_group(logGroupName="/machines/logged")
    arn = "arn:aws:logs:us-east-1:123456789012:log-group:/machines/logged:*"
    definition = {"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Fail", "Error": "Bad"}}}
    machine = states.create_state_machine(
        name="logged",
        definition=json.dumps(definition),
        roleArn=machine_role,
        loggingConfiguration={
            "level": "ERROR",
            "includeExecutionData": False,
            "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}}],
        },
    )
    finish(states.start_execution(stateMachineArn=machine["stateMachineArn"], input='{"secret": 1}')["executionArn"])
    wait_for(lambda: len(logs.filter_log_events(logGroupName="/machines/logged")["events"]) == 2)
    lines = [json.loads(e["message"]) for e in logs.filter_log_events(logGroupName="/machines/logged")["events"]]
    assert [line["type"] for line in lines] == ["FailStateEntered", "ExecutionFailed"]
    assert lines[1]["details"]["error"] == "Bad"
    assert "secret" not in json.dumps(lines)


def test_a_machine_may_do_what_its_role_may_and_nothing_else(account, states, finish):
    iam = account.client("iam")
    trust = {"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    role = iam.create_role(RoleName="narrow-machine", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    allowed = {"Effect": "Allow", "Action": "sqs:GetQueueUrl", "Resource": "arn:aws:sqs:us-east-1:123456789012:mine"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
    iam.put_role_policy(RoleName="narrow-machine", PolicyName="narrow", PolicyDocument=policy)
    for name in ("mine", "theirs"):
        account.client("sqs").create_queue(QueueName=name)
    definition = {
        "QueryLanguage": "JSONata",
        "StartAt": "Mine",
        "States": {
            "Mine": sdk("sqs", "getQueueUrl", {"QueueName": "mine"}, Next="Theirs"),
            "Theirs": sdk("sqs", "getQueueUrl", {"QueueName": "theirs"}, End=True),
        },
    }
    machine = states.create_state_machine(name="narrow", definition=json.dumps(definition), roleArn=role)
    arn = states.start_execution(stateMachineArn=machine["stateMachineArn"])["executionArn"]
    ended = finish(arn)
    assert (ended["status"], ended["error"]) == ("FAILED", "Sqs.SqsException")
    assert "is not authorized to perform: sqs:GetQueueUrl" in ended["cause"]
    entered = [
        event["stateEnteredEventDetails"]["name"]
        for event in states.get_execution_history(executionArn=arn)["events"]
        if event["type"] == "TaskStateEntered"
    ]
    assert entered == ["Mine", "Theirs"]


def test_machines_are_listed_updated_tagged_and_deleted(states, make):
    arn = make(PASS)
    states.tag_resource(resourceArn=arn, tags=[{"key": "team", "value": "recsys"}])
    assert states.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "team", "value": "recsys"}]
    changed = json.dumps({"QueryLanguage": "JSONata", "StartAt": "E", "States": {"E": {"Type": "Succeed"}}})
    states.update_state_machine(stateMachineArn=arn, definition=changed)
    assert states.describe_state_machine(stateMachineArn=arn)["definition"] == changed
    pages = states.get_paginator("list_state_machines").paginate(PaginationConfig={"PageSize": 1})
    assert arn in [machine["stateMachineArn"] for page in pages for machine in page["stateMachines"]]
    states.delete_state_machine(stateMachineArn=arn)
    with pytest.raises(states.exceptions.StateMachineDoesNotExist):
        states.describe_state_machine(stateMachineArn=arn)


def test_a_definition_can_be_validated_without_being_made(states):
    text = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
    answer = states.validate_state_machine_definition(definition=text)
    assert (answer["result"], answer["diagnostics"][0]["code"]) == ("FAIL", "UNSUPPORTED_QUERY_LANGUAGE")


def wait_for(condition: Callable[[], object]) -> None:
    for _ in range(200):
        if condition():
            return
        time.sleep(0.025)
    pytest.fail("it did not come about within 5 s")
