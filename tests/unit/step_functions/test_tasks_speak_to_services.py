"""Integrations: how Step Functions spells calls, answers and errors of the services behind them."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from local_account.clock import Clock
from local_account.step_functions.errors import StatesError
from local_account.step_functions.frames import Cancellation
from local_account.step_functions.news import News
from local_account.step_functions.resources import Resource
from local_account.step_functions.task_call import TaskCall
from local_account.step_functions.tasks import AccountTasks
from local_account.step_functions.tokens import Tokens
from support.fake_account import FakeAccount, client_error


class Client:
    """Answers every method with what it was given, or raises it; keeps the parameters."""

    def __init__(self, answer: Any) -> None:
        self.answer, self.given, self.method = answer, dict[str, Any](), ""

    def __getattr__(self, name: str) -> Any:
        def method(**given: Any) -> Any:
            self.given, self.method = given, name
            if isinstance(self.answer, Exception):
                raise self.answer
            return self.answer

        return method


def perform(
    tmp_path: Path, service: str, resource: str, arguments: Any, answer: Any, **call: Any
) -> tuple[Any, Client]:
    client = Client(answer)
    account = FakeAccount(tmp_path, {service: client})
    tasks = AccountTasks(account, "arn:aws:iam::123456789012:role/m", "m", Tokens(Clock()), News())
    facts: dict[str, Any] = {
        "state": "T",
        "resource": Resource.parse(resource),
        "arguments": arguments,
        "deadline": None,
        "heartbeat_s": None,
        "token": None,
        "memo": {},
        "remember": lambda **_facts: None,
        "submitted": lambda _answer: None,
        "cancellation": Cancellation(),
    }
    return tasks.perform(TaskCall(**(facts | call))), client


def failure(tmp_path: Path, service: str, resource: str, error: Exception) -> StatesError:
    with pytest.raises(StatesError) as raised:
        perform(tmp_path, service, resource, {}, error)
    return raised.value


def lambda_answer(payload: object, **rest: object) -> dict[str, Any]:
    body = io.BytesIO(payload if isinstance(payload, bytes) else json.dumps(payload).encode())
    return {"Payload": body, "StatusCode": 200, "ResponseMetadata": {"RequestId": "r"}} | rest


INVOKE = "arn:aws:states:::lambda:invoke"


def test_a_functions_answer_is_read_as_json(tmp_path):
    arguments = {"FunctionName": "f", "Payload": {"x": "ü"}}
    result, client = perform(tmp_path, "lambda", INVOKE, arguments, lambda_answer({"y": [1]}))
    assert (result["Payload"], result["StatusCode"]) == ({"y": [1]}, 200)
    assert client.given == {"FunctionName": "f", "Payload": '{"x":"ü"}'.encode()}


@pytest.mark.parametrize(
    ("payload", "name"),
    [
        ({"errorType": "LeaseHeld", "errorMessage": "by night-1", "stackTrace": []}, "LeaseHeld"),
        ({"errorMessage": "2026-11-23T04:00:00Z r Task timed out after 3.00 seconds"}, "Lambda.Unknown"),
        ({"errorType": "Runtime.ExitError", "errorMessage": "signal: killed"}, "Runtime.ExitError"),
    ],
)
def test_a_function_that_failed_gives_its_own_errors_name_and_its_answer_as_the_cause(tmp_path, payload, name):
    with pytest.raises(StatesError) as raised:
        perform(tmp_path, "lambda", INVOKE, {"FunctionName": "f"}, lambda_answer(payload, FunctionError="Unhandled"))
    assert (raised.value.error, json.loads(raised.value.cause)) == (name, payload)


@pytest.mark.parametrize(
    ("service", "resource", "error", "name"),
    [
        ("lambda", INVOKE, client_error("TooManyRequestsException", status=429), "Lambda.TooManyRequestsException"),
        ("lambda", INVOKE, client_error("ServiceException", status=500), "Lambda.ServiceException"),
        ("lambda", INVOKE, client_error("AccessDeniedException", status=403), "Lambda.AWSLambdaException"),
        ("lambda", INVOKE, EndpointConnectionError(endpoint_url="http://x"), "Lambda.SdkClientException"),
        ("sagemaker", "arn:aws:states:::sagemaker:createTrainingJob", client_error("ResourceInUse"), "SageMaker.ResourceInUseException"),
        ("sagemaker", "arn:aws:states:::sagemaker:createTrainingJob", client_error("ResourceLimitExceeded"), "SageMaker.ResourceLimitExceededException"),
        ("sagemaker", "arn:aws:states:::sagemaker:createTrainingJob", client_error("ThrottlingException"), "SageMaker.AmazonSageMakerException"),
        ("sagemaker", "arn:aws:states:::aws-sdk:sagemaker:listEndpoints", client_error("ThrottlingException"), "SageMaker.SageMakerException"),
        ("sagemaker", "arn:aws:states:::aws-sdk:sagemaker:listEndpoints", client_error("ResourceNotFound"), "SageMaker.ResourceNotFoundException"),
        ("dynamodb", "arn:aws:states:::aws-sdk:dynamodb:listTables", client_error("ConditionalCheckFailedException"), "DynamoDb.ConditionalCheckFailedException"),
        ("dynamodb", "arn:aws:states:::dynamodb:putItem", client_error("ConditionalCheckFailedException"), "DynamoDB.ConditionalCheckFailedException"),
        ("s3", "arn:aws:states:::aws-sdk:s3:getObject", client_error("NoSuchKey", status=404), "S3.NoSuchKeyException"),
        ("stepfunctions", "arn:aws:states:::aws-sdk:sfn:listStateMachines", client_error("ExecutionAlreadyExists"), "Sfn.ExecutionAlreadyExistsException"),
    ],
)  # fmt: skip
def test_an_error_of_a_service_gets_step_functions_name_for_it(tmp_path, service, resource, error, name):
    raised = failure(tmp_path, service, resource, error)
    assert raised.error == name
    assert raised.cause


def test_parameters_go_in_pascal_case_and_results_come_back_so_with_times_as_text(tmp_path):
    answer = {
        "executions": [
            {"executionArn": "a", "name": "n", "startDate": datetime(2026, 11, 23, 4, tzinfo=UTC), "status": "RUNNING"}
        ],
        "ResponseMetadata": {"RequestId": "r"},
    }
    resource = "arn:aws:states:::aws-sdk:sfn:listExecutions"
    arguments = {"StateMachineArn": "m", "MaxResults": 5}
    result, client = perform(tmp_path, "stepfunctions", resource, arguments, answer)
    assert (client.method, client.given) == ("list_executions", {"stateMachineArn": "m", "maxResults": 5})
    assert result == {
        "Executions": [{"ExecutionArn": "a", "Name": "n", "StartDate": "2026-11-23T04:00:00.000Z", "Status": "RUNNING"}]
    }


def test_keys_of_maps_are_data_and_stay_as_they_are(tmp_path):
    answer = {"Item": {"id": {"S": "x"}, "Other": {"N": "1"}}, "ResponseMetadata": {}}
    arguments = {"TableName": "t", "Key": {"id": {"S": "x"}}}
    result, client = perform(tmp_path, "dynamodb", "arn:aws:states:::dynamodb:getItem", arguments, answer)
    assert client.given == arguments
    assert result == {"Item": {"id": {"S": "x"}, "Other": {"N": "1"}}}


def test_a_parameter_the_api_does_not_have_is_a_runtime_error(tmp_path):
    with pytest.raises(StatesError, match="nope") as raised:
        perform(tmp_path, "dynamodb", "arn:aws:states:::aws-sdk:dynamodb:getItem", {"nope": 1}, {})
    assert raised.value.error == "States.Runtime"


def test_a_body_is_read_as_text(tmp_path):
    answer = {"Body": io.BytesIO(b'{"scores": []}'), "ContentType": "application/json", "ResponseMetadata": {}}
    resource = "arn:aws:states:::aws-sdk:sagemakerruntime:invokeEndpoint"
    arguments = {"EndpointName": "e", "Body": {"users": []}}
    result, client = perform(tmp_path, "sagemaker-runtime", resource, arguments, answer)
    assert (result["Body"], client.given["Body"]) == ('{"scores": []}', '{"users":[]}')


@pytest.mark.parametrize(
    ("service", "resource", "arguments", "given"),
    [
        (
            "sqs",
            "sqs:sendMessage",
            {"QueueUrl": "u", "MessageBody": {"a": 1}},
            {"QueueUrl": "u", "MessageBody": '{"a":1}'},
        ),
        ("sns", "sns:publish", {"TopicArn": "t", "Message": {"a": 1}}, {"TopicArn": "t", "Message": '{"a":1}'}),
        (
            "events",
            "events:putEvents",
            {"Entries": [{"Detail": {"a": 1}, "Source": "s"}]},
            {"Entries": [{"Detail": '{"a":1}', "Source": "s"}]},
        ),
    ],
)
def test_json_becomes_text_where_the_api_wants_text(tmp_path, service, resource, arguments, given):
    _result, client = perform(tmp_path, service, f"arn:aws:states:::{resource}", arguments, {"ResponseMetadata": {}})
    assert client.given == given


def test_an_event_that_was_not_accepted_fails_the_task(tmp_path):
    answer = {"FailedEntryCount": 1, "Entries": [{"ErrorCode": "InternalFailure"}], "ResponseMetadata": {}}
    with pytest.raises(StatesError, match="InternalFailure") as raised:
        perform(tmp_path, "events", "arn:aws:states:::events:putEvents", {"Entries": []}, answer)
    assert raised.value.error == "EventBridge.FailedEntry"


def test_a_call_that_outlives_its_deadline_is_left_behind(tmp_path):
    import threading

    gate = threading.Event()

    class Slow:
        def invoke(self, **_given: Any) -> Any:
            gate.wait(5)

    account = FakeAccount(tmp_path, {"lambda": Slow()})
    tasks = AccountTasks(account, "role", "m", Tokens(account.clock), News())
    resource, remember = Resource.parse(INVOKE), lambda **_facts: None
    deadline = account.clock.epoch() - 1
    call = TaskCall("T", resource, {}, deadline, None, None, {}, remember, lambda _answer: None, Cancellation())
    with pytest.raises(StatesError) as raised:
        tasks.perform(call)
    gate.set()
    assert raised.value.error == "States.Timeout"


def test_a_token_that_nobody_answers_times_out_by_its_heartbeat(tmp_path):
    account = FakeAccount(tmp_path, {"sqs": Client({"ResponseMetadata": {}})})
    tokens = Tokens(account.clock)
    tasks = AccountTasks(account, "role", "m", tokens, News())
    resource = Resource.parse("arn:aws:states:::sqs:sendMessage.waitForTaskToken")

    def given_away(_answer: Any) -> None:
        account.clock.advance(59)
        tokens.heartbeat("token")
        account.clock.advance(61)

    arguments = {"QueueUrl": "u", "MessageBody": "b"}
    call = TaskCall("T", resource, arguments, None, 60.0, "token", {}, lambda **_f: None, given_away, Cancellation())
    with pytest.raises(StatesError) as raised:
        tasks.perform(call)
    assert raised.value.error == "States.HeartbeatTimeout"


@pytest.mark.parametrize(
    "arn",
    [
        "arn:aws:states:::sagemaker:createEndpoint.sync",
        "arn:aws:states:::glue:startJobRun",
        "arn:aws:states:::lambda:invoke.sync",
        "arn:aws:states:us-east-1:123456789012:activity:x",
    ],
)
def test_a_resource_that_is_not_played_is_a_runtime_error(arn):
    with pytest.raises(StatesError, match="not recognized"):
        Resource.parse(arn)
