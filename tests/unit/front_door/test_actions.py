"""Which right, on which resource, a request needs."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_account.front_door.actions import demands_of
from local_account.front_door.call import Call
from local_account.front_door.operations import operation_of
from local_account.wire import AwsError

HERE = "us-east-1:123456789012"


def json_call(operation: str, body: dict[str, Any]) -> Call:
    return Call("POST", "/", "", {"x-amz-target": f"X.{operation}"}, json.dumps(body).encode())


def rest(method: str, path: str, body: bytes = b"", query: str = "", **headers: str) -> Call:
    return Call(method, path, query, {name.replace("_", "-"): value for name, value in headers.items()}, body)


def rights(call: Call, service: str) -> list[tuple[str, str]]:
    operation = operation_of(call, service)
    return [(demand.action, demand.resource) for demand in demands_of(call, service, operation)]


DELETE = b"<Delete xmlns='http://s3.amazonaws.com/doc/2006-03-01/'><Object><Key>a</Key></Object><Object><Key>b/c</Key></Object></Delete>"


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        (rest("GET", "/"), [("s3:ListAllMyBuckets", "*")]),
        (rest("GET", "/b", query="list-type=2&prefix=p"), [("s3:ListBucket", "arn:aws:s3:::b")]),
        (rest("HEAD", "/b"), [("s3:ListBucket", "arn:aws:s3:::b")]),
        (rest("HEAD", "/b/k%20x"), [("s3:GetObject", "arn:aws:s3:::b/k x")]),
        (rest("GET", "/b/k", query="versionId=1"), [("s3:GetObjectVersion", "arn:aws:s3:::b/k")]),
        (rest("PUT", "/b/k"), [("s3:PutObject", "arn:aws:s3:::b/k")]),
        (rest("POST", "/b/k", query="uploads"), [("s3:PutObject", "arn:aws:s3:::b/k")]),
        (rest("PUT", "/b/k", query="partNumber=1&uploadId=u"), [("s3:PutObject", "arn:aws:s3:::b/k")]),
        (rest("DELETE", "/b/k", query="uploadId=u"), [("s3:AbortMultipartUpload", "arn:aws:s3:::b/k")]),
        (
            rest("PUT", "/b/k", x_amz_copy_source="/from/a%20b"),
            [("s3:PutObject", "arn:aws:s3:::b/k"), ("s3:GetObject", "arn:aws:s3:::from/a b")],
        ),
        (
            rest("POST", "/b", DELETE, query="delete"),
            [("s3:DeleteObject", "arn:aws:s3:::b/a"), ("s3:DeleteObject", "arn:aws:s3:::b/b/c")],
        ),
        (rest("PUT", "/b", query="encryption"), [("s3:PutEncryptionConfiguration", "arn:aws:s3:::b")]),
        (rest("PUT", "/b", query="publicAccessBlock"), [("s3:PutBucketPublicAccessBlock", "arn:aws:s3:::b")]),
    ],
    ids=lambda value: f"{value.method} {value.raw_path}?{value.query_string}" if isinstance(value, Call) else "",
)
def test_s3(call: Call, expected: list[tuple[str, str]]) -> None:
    assert rights(call, "s3") == expected


@pytest.mark.parametrize(
    ("service", "operation", "body", "expected"),
    [
        ("dynamodb", "GetItem", {"TableName": "t", "Key": {}}, [("dynamodb:GetItem", "table/t")]),
        ("dynamodb", "Query", {"TableName": "t", "IndexName": "i"}, [("dynamodb:Query", "table/t/index/i")]),
        (
            "dynamodb",
            "BatchGetItem",
            {"RequestItems": {"t": {"Keys": []}, "u": {"Keys": []}}},
            [("dynamodb:BatchGetItem", "table/t"), ("dynamodb:BatchGetItem", "table/u")],
        ),
        (
            "dynamodb",
            "TransactWriteItems",
            {"TransactItems": [{"Put": {"TableName": "t"}}, {"ConditionCheck": {"TableName": "u"}}]},
            [("dynamodb:PutItem", "table/t"), ("dynamodb:ConditionCheckItem", "table/u")],
        ),
        (
            "sagemaker",
            "CreateTrainingJob",
            {"TrainingJobName": "Train-1", "Tags": [{}]},
            [("sagemaker:CreateTrainingJob", "training-job/train-1"), ("sagemaker:AddTags", "training-job/train-1")],
        ),
        (
            "sagemaker",
            "CreateEndpoint",
            {"EndpointName": "e", "EndpointConfigName": "c"},
            [("sagemaker:CreateEndpoint", "endpoint/e"), ("sagemaker:CreateEndpoint", "endpoint-config/c")],
        ),
        (
            "sagemaker",
            "CreateModelPackage",
            {"ModelPackageGroupName": "g"},
            [("sagemaker:CreateModelPackage", "model-package/g/*")],
        ),
        ("sqs", "SendMessageBatch", {"QueueUrl": "http://x/123456789012/q"}, [("sqs:SendMessage", "q")]),
        ("events", "PutEvents", {"Entries": [{}, {}]}, [("events:PutEvents", "event-bus/default")]),
        ("events", "PutTargets", {"Rule": "r"}, [("events:PutTargets", "rule/r")]),
        ("ssm", "GetParameters", {"Names": ["/a/b", "c"]}, [("ssm:GetParameters", "parameter/a/b"), ("ssm:GetParameters", "parameter/c")]),
        ("logs", "PutLogEvents", {"logGroupName": "/g", "logStreamName": "s"}, [("logs:PutLogEvents", "log-group:/g:log-stream:s")]),
        ("logs", "CreateLogGroup", {"logGroupName": "/g"}, [("logs:CreateLogGroup", "log-group:/g:log-stream:")]),
        ("firehose", "PutRecord", {"DeliveryStreamName": "d"}, [("firehose:PutRecord", "deliverystream/d")]),
        (
            "glue",
            "UpdateTable",
            {"DatabaseName": "d", "TableInput": {"Name": "t"}},
            [("glue:UpdateTable", "catalog"), ("glue:UpdateTable", "database/d"), ("glue:UpdateTable", "table/d/t")],
        ),
        ("states", "CreateStateMachine", {"name": "m"}, [("states:CreateStateMachine", "stateMachine:m")]),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_json_services(service: str, operation: str, body: dict[str, Any], expected: list[tuple[str, str]]) -> None:
    whole = [(action, f"arn:aws:{service}:{HERE}:{resource}") for action, resource in expected]
    assert rights(json_call(operation, body), service) == whole


@pytest.mark.parametrize(
    ("call", "service", "expected"),
    [
        (
            rest("POST", "/2015-03-31/functions/f/invocations", query="Qualifier=live"),
            "lambda",
            ("lambda:InvokeFunction", f"arn:aws:lambda:{HERE}:function:f:live"),
        ),
        (
            rest("POST", f"/2015-03-31/functions/arn%3Aaws%3Alambda%3A{HERE.replace(':', '%3A')}%3Afunction%3Af/invocations"),
            "lambda",
            ("lambda:InvokeFunction", f"arn:aws:lambda:{HERE}:function:f"),
        ),
        (
            rest("POST", "/endpoints/Rank/invocations"),
            "sagemaker",
            ("sagemaker:InvokeEndpoint", f"arn:aws:sagemaker:{HERE}:endpoint/rank"),
        ),
        (
            rest("POST", "/opensearch/items/items-r-1/_search"),
            "es",
            ("es:ESHttpPost", f"arn:aws:es:{HERE}:domain/items/items-r-1/_search"),
        ),
        (
            rest("POST", "/execute-api/api1/recommend"),
            "execute-api",
            ("execute-api:Invoke", f"arn:aws:execute-api:{HERE}:api1/$default/POST/recommend"),
        ),
        (
            rest("DELETE", "/schedules/nightly", query="groupName=g"),
            "scheduler",
            ("scheduler:DeleteSchedule", f"arn:aws:scheduler:{HERE}:schedule/g/nightly"),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)  # fmt: skip
def test_rest_services(call: Call, service: str, expected: tuple[str, str]) -> None:
    assert rights(call, service) == [expected]


def test_every_role_that_a_call_hands_over_must_be_passed() -> None:
    role = "arn:aws:iam::123456789012:role/job"
    body = {"Name": "r", "Targets": [{"RoleArn": role}, {"RoleArn": role}], "Rule": "r"}
    call = json_call("PutTargets", body)
    passed = demands_of(call, "events", "PutTargets")[-1]
    assert (passed.action, passed.resource) == ("iam:PassRole", role)
    assert passed.context == {"iam:passedtoservice": "events.amazonaws.com"}


@pytest.mark.parametrize(
    ("service", "operation"), [("dynamodb", "ExecuteStatement"), ("states", "CreateActivity"), ("rds", "X")]
)
def test_what_no_table_knows_is_refused(service: str, operation: str) -> None:
    with pytest.raises(AwsError, match="not in the local account's map of actions"):
        demands_of(json_call(operation, {}), service, operation)
