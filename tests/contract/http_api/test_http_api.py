"""HTTP APIs over the wire: declared with boto3, called with a signature, answered by functions in real processes."""

from __future__ import annotations

import io
import json
import time
import zipfile
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
import urllib3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

if TYPE_CHECKING:
    from local_account.front_door.local import LocalAccount

CODE = """
import json
def handler(event, context):
    body = event.get("body") or ""
    if body == "raise":
        raise ValueError("no")
    if body == "malformed":
        return {"statusCode": "many"}
    if body == "plain":
        return {"hello": "world"}
    if body == "binary":
        return {"statusCode": 201, "headers": {"content-type": "image/png"}, "body": "AAEC", "isBase64Encoded": True}
    return {"statusCode": 200, "headers": {"x-one": "1"}, "cookies": ["a=b"], "body": json.dumps(event)}
"""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def document(function_arn: str) -> str:
    """As SAM generates it for AWS::Serverless::HttpApi with the IAM authoriser."""
    uri = f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{function_arn}/invocations"
    integration = {"httpMethod": "POST", "type": "aws_proxy", "uri": uri, "payloadFormatVersion": "2.0"}
    route = {"x-amazon-apigateway-integration": integration, "responses": {}, "security": [{"AWS_IAM": []}]}
    scheme = {"type": "apiKey", "name": "Authorization", "in": "header", "x-amazon-apigateway-authtype": "awsSigv4"}
    paths = {"/recommend": {"post": route}, "/items/{item_id}": {"get": route}, "/locked": {"post": route}}
    return json.dumps(
        {
            "openapi": "3.0.1",
            "info": {"title": "test", "version": "1.0"},
            "paths": paths,
            "components": {"securitySchemes": {"AWS_IAM": scheme}},
        }
    )


class Api:
    def __init__(self, account: LocalAccount) -> None:
        self.account = account
        iam = account.client("iam")
        role = iam.create_role(RoleName="http-api-function", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as package:
            package.writestr("app.py", CODE)
        functions = account.client("lambda")
        function = functions.create_function(
            FunctionName="http-api-echo", Runtime="python3.11", Handler="app.handler", Role=role, Code={"ZipFile": buffer.getvalue()}
        )  # fmt: skip
        gateway = account.client("apigatewayv2")
        self.made = gateway.import_api(Body=document(function["FunctionArn"]))
        self.id = self.made["ApiId"]
        logs = "arn:aws:logs:us-east-1:123456789012:log-group:/http-api/access:*"
        gateway.create_stage(
            ApiId=self.id,
            StageName="$default",
            AutoDeploy=True,
            AccessLogSettings={"DestinationArn": logs, "Format": "$context.routeKey $context.status"},
        )
        for number, path in enumerate(("POST/recommend", "GET/items/*")):
            functions.add_permission(
                FunctionName="http-api-echo",
                StatementId=f"p{number}",
                Action="lambda:InvokeFunction",
                Principal="apigateway.amazonaws.com",
                SourceArn=f"arn:aws:execute-api:us-east-1:123456789012:{self.id}/*/{path}",
            )

    def call(self, method: str, path: str, body: bytes | str = b"", keys: Any = None, **headers: str) -> Any:
        url = f"{self.made['ApiEndpoint']}{path}"
        signed = AWSRequest(method=method, url=url, data=body, headers={"content-type": "application/json", **headers})
        operator = keys or self.account.identities.operator
        credentials = Credentials(operator.access_key_id, operator.secret_access_key, operator.session_token or None)
        SigV4Auth(credentials, "execute-api", "us-east-1").add_auth(signed)
        return urllib3.request(method, url, body=body, headers=dict(signed.headers), retries=False)


@pytest.fixture(scope="module")
def api(account: LocalAccount) -> Iterator[Api]:
    made = Api(account)
    yield made
    account.client("apigatewayv2").delete_api(ApiId=made.id)
    account.client("lambda").delete_function(FunctionName="http-api-echo")


def test_a_route_hands_its_function_a_payload_2_event(api: Api) -> None:
    answer = api.call("POST", "/recommend?k=10&cold=", '{"user_id": "u1"}', cookie="a=1; b=2")
    event = json.loads(answer.data)
    assert answer.status == 200
    assert answer.headers["x-one"] == "1"
    assert answer.headers["set-cookie"] == "a=b"
    assert (event["version"], event["routeKey"], event["rawPath"]) == ("2.0", "POST /recommend", "/recommend")
    assert event["queryStringParameters"] == {"k": "10", "cold": ""}
    assert (event["body"], event["isBase64Encoded"]) == ('{"user_id": "u1"}', False)
    assert event["cookies"] == ["a=1", "b=2"]
    assert event["requestContext"]["http"]["method"] == "POST"
    assert event["requestContext"]["apiId"] == api.id
    assert event["requestContext"]["authorizer"]["iam"]["userArn"] == "arn:aws:iam::123456789012:user/operator"


def test_path_parameters_and_binary_bodies(api: Api) -> None:
    event = json.loads(api.call("GET", "/items/i-7").data)
    assert event["pathParameters"] == {"item_id": "i-7"}
    assert event["routeKey"] == "GET /items/{item_id}"
    headers = {"content-type": "application/octet-stream"}
    event = json.loads(api.call("POST", "/recommend", b"\x00\x01", **headers).data)
    assert (event["body"], event["isBase64Encoded"]) == ("AAE=", True)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "expected"),
    [
        pytest.param("POST", "/recommend", "plain", 200, b'{"hello": "world"}', id="an inferred answer"),
        pytest.param("POST", "/recommend", "binary", 201, b"\x00\x01\x02", id="a binary answer"),
        pytest.param(
            "POST", "/recommend", "raise", 500, b'{"message":"Internal Server Error"}', id="a function that raises"
        ),
        pytest.param("POST", "/recommend", "malformed", 500, b'{"message":"Internal Server Error"}', id="no status"),
        pytest.param("POST", "/nowhere", "", 404, b'{"message":"Not Found"}', id="no such route"),
        pytest.param("GET", "/recommend", "", 404, b'{"message":"Not Found"}', id="no such method"),
        pytest.param("POST", "/locked", "", 500, b'{"message":"Internal Server Error"}', id="no permission to invoke"),
    ],
)
def test_what_a_caller_gets(api: Api, method: str, path: str, body: str, status: int, expected: bytes) -> None:
    answer = api.call(method, path, body)
    assert (answer.status, answer.data) == (status, expected)


def test_a_body_beyond_ten_mebibytes_is_refused(api: Api) -> None:
    assert api.call("POST", "/recommend", b"x" * (10 * 1024 * 1024 + 1)).status == 413


def test_a_role_without_the_right_to_the_route_is_refused(api: Api) -> None:
    iam = api.account.client("iam")
    iam.create_role(RoleName="http-api-caller", AssumeRolePolicyDocument=json.dumps(TRUST))
    keys = api.account.credentials_for("arn:aws:iam::123456789012:role/http-api-caller", "test")
    assert api.call("POST", "/recommend", "plain", keys=keys).status == 403
    resource = f"arn:aws:execute-api:us-east-1:123456789012:{api.id}/*/POST/recommend"
    allow = {"Effect": "Allow", "Action": "execute-api:Invoke", "Resource": resource}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName="http-api-caller", PolicyName="call", PolicyDocument=policy)
    assert api.call("POST", "/recommend", "plain", keys=keys).status == 200
    assert api.call("GET", "/items/1", keys=keys).status == 403


def test_calls_are_in_the_access_log(api: Api) -> None:
    api.call("POST", "/recommend", "plain")
    logs = api.account.client("logs")
    deadline = time.monotonic() + 10
    messages: list[str] = []
    while "POST /recommend 200" not in messages and time.monotonic() < deadline:
        try:
            events = logs.filter_log_events(logGroupName="/http-api/access")["events"]
        except logs.exceptions.ResourceNotFoundException:
            events = []
        messages = [event["message"] for event in events]
        time.sleep(0.1)
    assert "POST /recommend 200" in messages


def test_the_api_as_boto3_sees_it(api: Api) -> None:
    gateway = api.account.client("apigatewayv2")
    assert gateway.get_api(ApiId=api.id)["Name"] == "test"
    assert api.id in [one["ApiId"] for one in gateway.get_apis()["Items"]]
    assert gateway.get_stages(ApiId=api.id)["Items"][0]["StageName"] == "$default"
    assert len(gateway.get_routes(ApiId=api.id)["Items"]) == 3
    gateway.tag_resource(ResourceArn=f"arn:aws:apigateway:us-east-1::/apis/{api.id}", Tags={"a": "b"})
    with pytest.raises(gateway.exceptions.NotFoundException):
        gateway.get_api(ApiId="absent")
    with pytest.raises(gateway.exceptions.BadRequestException):
        gateway.import_api(Body="{}")
