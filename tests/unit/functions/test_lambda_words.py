"""Names, routes, embedded metrics and permissions: what needs no process."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from typing import Any

import pytest

from local_account.functions.logs import embedded_metrics
from local_account.functions.names import FunctionName, parse_function_name
from local_account.functions.rest import RestModel
from local_account.functions.service import LambdaService
from local_account.wire import AwsError
from tests.support.small_account import ROLE, SmallAccount, request

ARN = "arn:aws:lambda:us-east-1:123456789012:function:judge"


@pytest.mark.parametrize(
    ("text", "qualifier", "expected"),
    [
        ("judge", None, FunctionName("judge")),
        ("judge:live", None, FunctionName("judge", "live")),
        ("123456789012:function:judge", None, FunctionName("judge")),
        (ARN, "7", FunctionName("judge", "7")),
        (f"{ARN}:$LATEST", None, FunctionName("judge", "$LATEST")),
    ],
)
def test_every_form_of_a_functions_name(text: str, qualifier: str | None, expected: FunctionName) -> None:
    assert parse_function_name(text, qualifier) == expected


@pytest.mark.parametrize(
    ("text", "qualifier", "code"),
    [
        ("a b", None, "ValidationException"),
        (ARN.replace("123456789012", "999999999999"), None, "AccessDeniedException"),
        ("judge:1", "2", "InvalidParameterValueException"),
    ],
)
def test_names_that_are_none(text: str, qualifier: str | None, code: str) -> None:
    with pytest.raises(AwsError, match=code):
        parse_function_name(text, qualifier)


@pytest.mark.parametrize(
    ("service", "method", "path", "query", "operation", "labels"),
    [
        ("lambda", "POST", "/2015-03-31/functions/f%3Alive/invocations", {}, "Invoke", {"FunctionName": "f:live"}),
        ("lambda", "GET", "/2018-10-31/layers", {"find": "LayerVersion", "Arn": "x"}, "GetLayerVersionByArn", {}),
        ("lambda", "GET", "/2018-10-31/layers", {}, "ListLayers", {}),
        (
            "apigatewayv2",
            "POST",
            "/v2/tags/arn%3Aaws%3A%2Fapis%2Fa",
            {},
            "TagResource",
            {"resource-arn": "arn:aws:/apis/a"},
        ),
        (
            "apigatewayv2",
            "PATCH",
            "/v2/apis/a/stages/%24default",
            {},
            "UpdateStage",
            {"apiId": "a", "stageName": "$default"},
        ),
    ],
)
def test_rest_addresses_name_their_operation(
    service: str, method: str, path: str, query: dict[str, str], operation: str, labels: dict[str, str]
) -> None:
    found, parameters = RestModel(service).match(method, path, query)
    assert (found.name, parameters) == (operation, labels)


def emf(metrics: list[dict[str, str]], dimensions: list[list[str]], **values: Any) -> str:
    directive = {"Namespace": "N", "Dimensions": dimensions, "Metrics": metrics}
    return json.dumps({"_aws": {"Timestamp": 0, "CloudWatchMetrics": [directive]}, **values})


def test_each_dimension_set_and_value_of_an_embedded_metric_is_a_datapoint() -> None:
    line = emf(
        [{"Name": "ms", "Unit": "Milliseconds"}],
        [["door"], ["door", "arm"]],
        door="recommend",
        arm="champion",
        ms=[1, 2],
    )
    assert list(embedded_metrics(line)) == [
        ("N", "ms", value, "Milliseconds", dimensions)
        for dimensions in ({"door": "recommend"}, {"door": "recommend", "arm": "champion"})
        for value in (1.0, 2.0)
    ]


@pytest.mark.parametrize(
    "line",
    [
        pytest.param(emf([{"Name": "gone"}], [[]]), id="a metric without its value"),
        pytest.param(emf([{"Name": "m"}], [["gone"]], m=1), id="a dimension without its value"),
        pytest.param(emf([{"Name": "m"}], [[]], m="many"), id="a value that is no number"),
        pytest.param('{"_aws": 1}', id="another use of the key"),
        pytest.param("{", id="no JSON"),
    ],
)
def test_a_line_that_only_looks_like_metrics_is_a_plain_line(line: str) -> None:
    assert list(embedded_metrics(line)) == []


@pytest.fixture
def functions(tmp_path: Path) -> LambdaService:
    """Not started: nothing here runs a function."""
    service = LambdaService(SmallAccount(tmp_path))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as package:
        package.writestr("app.py", "def handler(event, context): pass")
    code = {"ZipFile": buffer.getvalue()}
    body = {"FunctionName": "judge", "Runtime": "python3.11", "Role": ROLE, "Handler": "app.handler", "Code": code}
    call(service, "create_function", **body)
    return service


def call(service: LambdaService, operation: str, **params: Any) -> Any:
    for part in service._parts:
        if (found := getattr(part, operation, None)) is not None:
            return found(params, request("POST", "/", service="lambda"))
    raise AssertionError(operation)


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        pytest.param({"Environment": {"Variables": {"AWS_REGION": "x"}}}, "reserved keys", id="a reserved variable"),
        pytest.param({"Environment": {"Variables": {"A": "x" * 4096}}}, "4KB", id="too many variables"),
        pytest.param({"Timeout": 901}, "not between", id="too long"),
        pytest.param({"MemorySize": 64}, "not between", id="too small"),
        pytest.param({"Runtime": "nodejs22.x"}, "not played", id="another language"),
        pytest.param({"Layers": ["arn:aws:lambda:us-east-1:123456789012:layer:no:1"]}, "does not exist", id="no layer"),
    ],
)
def test_a_configuration_lambda_does_not_take_changes_nothing(
    functions: LambdaService, changed: dict[str, Any], message: str
) -> None:
    before = call(functions, "get_function_configuration", FunctionName="judge")
    with pytest.raises(AwsError, match=message):
        call(functions, "update_function_configuration", FunctionName="judge", **changed)
    assert call(functions, "get_function_configuration", FunctionName="judge") == before


def test_a_stale_revision_is_refused(functions: LambdaService) -> None:
    revision = call(functions, "get_function_configuration", FunctionName="judge")["RevisionId"]
    call(functions, "update_function_configuration", FunctionName="judge", Timeout=5, RevisionId=revision)
    with pytest.raises(AwsError, match="PreconditionFailedException"):
        call(functions, "update_function_configuration", FunctionName="judge", Timeout=6, RevisionId=revision)


def test_a_service_may_invoke_only_for_the_source_it_was_allowed(functions: LambdaService) -> None:
    rule = "arn:aws:events:us-east-1:123456789012:rule/nightly"
    added = {
        "StatementId": "s",
        "Action": "lambda:InvokeFunction",
        "Principal": "events.amazonaws.com",
        "SourceArn": rule,
    }
    call(functions, "add_permission", FunctionName="judge", **added)
    (statement,) = json.loads(call(functions, "get_policy", FunctionName="judge")["Policy"])["Statement"]
    assert statement["Condition"] == {"ArnLike": {"AWS:SourceArn": rule}}
    functions.call_later("judge", b"{}", service="events.amazonaws.com", source_arn=rule)
    for service, source in (("events.amazonaws.com", rule + "x"), ("s3.amazonaws.com", rule)):
        with pytest.raises(AwsError, match="AccessDeniedException"):
            functions.call_later("judge", b"{}", service=service, source_arn=source)
    call(functions, "remove_permission", FunctionName="judge", StatementId="s")
    with pytest.raises(AwsError, match="AccessDeniedException"):
        functions.call_later("judge", b"{}", service="events.amazonaws.com", source_arn=rule)


def test_a_deleted_function_takes_its_aliases_and_versions_along(functions: LambdaService) -> None:
    call(functions, "publish_version", FunctionName="judge")
    call(functions, "create_alias", FunctionName="judge", Name="live", FunctionVersion="1")
    call(functions, "delete_function", FunctionName="judge")
    for name in ("judge", "judge:live", "judge:1"):
        with pytest.raises(AwsError, match="ResourceNotFoundException"):
            call(functions, "get_function", FunctionName=name)
