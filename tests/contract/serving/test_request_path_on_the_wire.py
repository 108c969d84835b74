"""The request path's adapters over real sockets: the local account, and a dependency that misbehaves in every way."""

from __future__ import annotations

import json
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from botocore.exceptions import ClientError

from support.releases import release
from understudy.adapters.aws_items import to_item
from understudy.adapters.aws_serving import DynamoFeatures, EndpointModels, Firehose, OpenSearchIndex, SecretKey
from understudy.adapters.aws_wire import JsonProtocol, SignedHttp
from understudy.domain.recommendation import IndexQuestion
from understudy.errors import StepFailed

QUESTION = IndexQuestion([0.0] * 64, 5, 5, [], [])
REQUEST_ID = "01KJKRV5G00000000000000000"


@pytest.fixture
def http(account: Any, monkeypatch: pytest.MonkeyPatch) -> SignedHttp:
    """Signs as the operator of the local account."""
    for name, value in account.identities.operator.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", account.endpoint_url)
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    return SignedHttp()


class Misbehaving(BaseHTTPRequestHandler):
    """Answers as `how` says; keeps what it was asked."""

    protocol_version = "HTTP/1.1"
    how: Callable[[Misbehaving], None]
    asked: list[tuple[str, dict[str, str], bytes]]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        type(self).asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}, body))
        type(self).how(self)

    def reply(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def dependency(monkeypatch: pytest.MonkeyPatch) -> Iterator[type[Misbehaving]]:
    class Handler(Misbehaving):
        asked: list[tuple[str, dict[str, str], bytes]] = []  # noqa: RUF012  one class a test

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: Any) -> None: ...  # a client that hangs up is what some tests are about

    server = Server(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    for name, value in {
        "AWS_ACCESS_KEY_ID": "AKIA",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "eu-west-1",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{server.server_port}")
    yield Handler
    server.shutdown()
    server.server_close()
    thread.join()


def slow(handler: Misbehaving) -> None:
    time.sleep(1.0)
    handler.reply(200, b"{}")


GARBAGE: dict[str, Callable[[Misbehaving], None]] = {
    "no json": lambda handler: handler.reply(200, b"<html>"),
    "an array": lambda handler: handler.reply(200, b"[1]"),
    "deep nesting": lambda handler: handler.reply(200, b"[" * 100_000),
    "nothing": lambda handler: handler.reply(200, b""),
    "nulls": lambda handler: handler.reply(
        200, b'{"tower_id": null, "vectors": null, "ranker_id": "r", "scores": null, "hits": null}'
    ),
    "not finite": lambda handler: handler.reply(
        200, b'{"tower_id": "t", "vectors": [[NaN]], "ranker_id": "r", "scores": [Infinity], "hits": {"hits": [{}]}}'
    ),
    "strings": lambda handler: handler.reply(
        200, b'{"tower_id": "t", "vectors": [["x"]], "ranker_id": "r", "scores": ["y"], "hits": "z"}'
    ),
    "a server error": lambda handler: handler.reply(500, b'{"message": "boom"}'),
    "throttling": lambda handler: handler.reply(429, b"{}"),
    "a torn answer": lambda handler: handler.wfile.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nabc"),
    "no http": lambda handler: handler.wfile.write(b"\x00\x01\x02\r\n\r\n"),
    "too much": lambda handler: handler.reply(200, b'"' + b"x" * (5 << 20) + b'"'),
    "late": slow,
}
CALLS: dict[str, Callable[[SignedHttp], Any]] = {
    "user tower": lambda http: EndpointModels(http, "tower", "ranker").user_vector({}, "blue", REQUEST_ID, 0.3),
    "ranker": lambda http: EndpointModels(http, "tower", "ranker").scores("1,2\n", "green", REQUEST_ID, 0.3),
    "index": lambda http: OpenSearchIndex(http, http.endpoint("es")).nearest(release(), QUESTION, 0.3),
    "key": lambda http: SecretKey(http, "arn").get(0.0, 0.3),
}


@pytest.mark.parametrize("call", CALLS.values(), ids=CALLS.keys())
@pytest.mark.parametrize("how", GARBAGE.values(), ids=GARBAGE.keys())
def test_whatever_a_dependency_sends_is_one_failed_step(
    dependency: type[Misbehaving], how: Callable[[Misbehaving], None], call: Callable[[SignedHttp], Any]
) -> None:
    dependency.how = staticmethod(how)  # type: ignore[assignment]
    with pytest.raises(StepFailed):
        call(SignedHttp())
    assert len(dependency.asked) == 1  # one attempt


def test_features_that_are_down_or_torn_fail_the_step_and_a_missing_user_is_cold(dependency: type[Misbehaving]) -> None:
    features = DynamoFeatures(SignedHttp(), "table")
    dependency.how = staticmethod(lambda handler: handler.reply(200, b"{}"))  # type: ignore[assignment]
    assert features.of("u", 0.3) == {}
    error = b'{"__type": "com.amazonaws.dynamodb.v20120810#ResourceNotFoundException", "message": "no table"}'
    for bad in (error, b"<html>"):
        dependency.how = staticmethod(lambda handler, bad=bad: handler.reply(400, bad))  # type: ignore[assignment]
        with pytest.raises(StepFailed):
            features.of("u", 0.3)


def test_an_endpoint_is_asked_for_the_releases_variant_under_the_requests_id(dependency: type[Misbehaving]) -> None:
    answer = b'{"tower_id": "t", "vectors": [[0.5, 1]]}'
    dependency.how = staticmethod(lambda handler: handler.reply(200, answer))  # type: ignore[assignment]
    models = EndpointModels(SignedHttp(), "tower", "ranker")
    assert models.user_vector({"user_id": "u"}, "green", REQUEST_ID, 1.0).vector == [0.5, 1.0]
    ((path, headers, body),) = dependency.asked
    assert path == "/endpoints/tower/invocations"
    assert headers["x-amzn-sagemaker-target-variant"] == "green"
    assert headers["x-amzn-sagemaker-inference-id"] == REQUEST_ID
    assert "/eu-west-1/sagemaker/aws4_request" in headers["authorization"]
    assert json.loads(body) == {"users": [{"user_id": "u"}]}


def test_a_connection_that_was_closed_beside_us_is_not_the_next_calls_failure(dependency: type[Misbehaving]) -> None:
    def close_after(handler: Misbehaving) -> None:
        handler.reply(200, b'{"SecretString": "k"}')
        handler.close_connection = True

    dependency.how = staticmethod(close_after)  # type: ignore[assignment]
    http = SignedHttp()
    for _ in range(3):
        assert SecretKey(http, "arn").get(0.0, 1.0) == b"k"


def test_the_key_known_so_far_serves_while_a_fresh_one_cannot_be_had(dependency: type[Misbehaving]) -> None:
    key = SecretKey(SignedHttp(), "arn", ttl_s=300)
    dependency.how = staticmethod(lambda handler: handler.reply(200, b'{"SecretString": "one"}'))  # type: ignore[assignment]
    assert key.get(1000.0, 1.0) == b"one"
    dependency.how = staticmethod(lambda handler: handler.reply(500, b"{}"))  # type: ignore[assignment]
    assert key.get(1299.0, 1.0) == b"one"
    assert len(dependency.asked) == 1
    assert key.get(1300.0, 1.0) == b"one"
    assert len(dependency.asked) == 2


def test_features_are_read_from_the_accounts_table(http: SignedHttp, account: Any) -> None:
    client, table = account.client("dynamodb"), f"features-{uuid.uuid4().hex[:8]}"
    client.create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "user_id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "user_id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    features = {"age": 31, "ctr_7d": 0.25, "seen": ["i-1"], "topic_shares_30d": {"travel": 0.5}, "city": None}
    client.put_item(TableName=table, Item=to_item({"user_id": "ü-1", "features": features}))
    reader = DynamoFeatures(http, table)
    assert reader.of("ü-1", 5.0) == features
    assert reader.of("nobody", 5.0) == {}


def test_a_key_and_a_stream_of_the_account_are_used_as_boto3_would(http: SignedHttp, account: Any) -> None:
    name = f"token-{uuid.uuid4().hex[:8]}"
    arn = account.client("secretsmanager").create_secret(Name=name, SecretString="the key")["ARN"]
    assert SecretKey(http, arn).get(0.0, 5.0) == b"the key"
    with pytest.raises(StepFailed):
        SecretKey(http, arn[:-1] + "x").get(0.0, 5.0)
    with pytest.raises(StepFailed):
        Firehose(http, "no-such-stream").put({"a": 1}, 5.0)
    assert None not in Firehose(http, "no-such-stream").put_batch([{"a": 1}, {"a": 2}], 5.0)


def test_a_refused_call_is_the_error_boto3_would_raise(http: SignedHttp) -> None:
    dynamo = JsonProtocol(http, "dynamodb", "DynamoDB_20120810", "1.0")
    with pytest.raises(ClientError) as refused:
        dynamo.call("GetItem", {"TableName": "no-such-table", "Key": {}}, 5.0)
    assert refused.value.response["Error"]["Code"] in ("ResourceNotFoundException", "ValidationException")
