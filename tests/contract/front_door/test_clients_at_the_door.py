"""Unmodified clients, and dishonest ones: signatures are checked for real."""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
import botocore.auth
import botocore.config
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError

from local_account.account import Credentials as SessionCredentials
from local_account.front_door.local import LocalAccount

AWS_CLI = Path(sys.executable).with_name("aws")


def operator(account: LocalAccount) -> Credentials:
    keys = account.identities.operator
    return Credentials(keys.access_key_id, keys.secret_access_key)


def send(request: AWSRequest | str) -> tuple[int, str]:
    if isinstance(request, str):
        outgoing = urllib.request.Request(request)  # noqa: S310 - the account's own URL
    else:
        headers = dict(request.headers.items())
        url = str(request.url)
        outgoing = urllib.request.Request(url, request.data, headers, method=request.method)  # noqa: S310 - as above
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(outgoing, timeout=10) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def dynamodb_request(account: LocalAccount) -> AWSRequest:
    headers = {"X-Amz-Target": "DynamoDB_20120810.ListTables", "Content-Type": "application/x-amz-json-1.0"}
    return AWSRequest("POST", f"{account.endpoint_url}/", headers=headers, data=b"{}")


def bucket(account: LocalAccount) -> str:
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    account.client("s3").create_bucket(Bucket=name)
    return name


def test_the_aws_cli_works_by_the_profile_alone(account: LocalAccount, tmp_path: Path) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_CONFIG_FILE": str(account.state_dir / "config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(account.state_dir / "credentials"),
        "AWS_PROFILE": "understudy",
    }
    name, file = bucket(account), tmp_path / "file"
    file.write_bytes(os.urandom(9_000_000))  # above the CLI's threshold for multipart uploads

    def aws(*words: str) -> Any:
        done = subprocess.run([AWS_CLI, *words], env=environment, capture_output=True, check=False, text=True)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.startswith("{") else done.stdout

    assert aws("sts", "get-caller-identity")["Arn"] == "arn:aws:iam::123456789012:user/operator"
    aws("s3", "cp", str(file), f"s3://{name}/a b/file", "--only-show-errors")
    aws("s3", "cp", f"s3://{name}/a b/file", str(tmp_path / "back"), "--only-show-errors")
    digest = hashlib.sha256(file.read_bytes()).digest()
    assert hashlib.sha256((tmp_path / "back").read_bytes()).digest() == digest


def test_without_a_signature_nothing_is_answered_but_health(account: LocalAccount) -> None:
    assert send(f"{account.endpoint_url}/health")[0] == 200
    status, body = send(dynamodb_request(account))
    assert (status, json.loads(body)["__type"]) == (403, "MissingAuthenticationTokenException")
    status, body = send(f"{account.endpoint_url}/bucket/key")
    assert status == 403
    assert "<Code>AccessDenied</Code>" in body


@pytest.mark.parametrize(
    ("change", "code"),
    [
        pytest.param("secret", "InvalidSignatureException", id="another secret"),
        pytest.param("key", "UnrecognizedClientException", id="a key nobody has"),
        pytest.param("body", "InvalidSignatureException", id="a body that was not signed"),
        pytest.param("date", "InvalidSignatureException", id="sixteen minutes old"),
        pytest.param("token", "UnrecognizedClientException", id="a token made up"),
    ],
)
def test_a_wrong_signature_is_refused(
    account: LocalAccount, monkeypatch: pytest.MonkeyPatch, change: str, code: str
) -> None:
    keys, request = operator(account), dynamodb_request(account)
    if change == "secret":
        keys.secret_key = "x" * 40
    elif change == "key":
        keys.access_key = "AKIAXXXXXXXXXXXXXXXX"
    elif change == "token":
        keys.token = "bm90IGEgdG9rZW4="
    elif change == "date":
        old = datetime.fromtimestamp(time.time() - 16 * 60, UTC).replace(tzinfo=None)
        monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda **_: old)
    botocore.auth.SigV4Auth(keys, "dynamodb", "us-east-1").add_auth(request)
    if change == "body":
        request.data = b'{"Limit": 1}'
    status, body = send(request)
    assert (status, json.loads(body)["__type"]) == (403, code)


def test_a_session_ends_when_its_time_is_over(account: LocalAccount) -> None:
    role = "arn:aws:iam::123456789012:role/any"
    keys: SessionCredentials = account.identities.mint(role, "s", lifetime_s=0.001)
    time.sleep(0.01)
    request = dynamodb_request(account)
    credentials = Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token)
    botocore.auth.SigV4Auth(credentials, "dynamodb", "us-east-1").add_auth(request)
    status, body = send(request)
    assert (status, json.loads(body)["__type"]) == (403, "ExpiredTokenException")


@pytest.mark.parametrize("version", ["s3", "s3v4"])
def test_a_presigned_url_opens_one_object_for_its_time(
    account: LocalAccount, monkeypatch: pytest.MonkeyPatch, version: str
) -> None:
    name, keys = bucket(account), account.identities.operator
    s3 = boto3.client(
        "s3",
        endpoint_url=account.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
        config=botocore.config.Config(signature_version=version),
    )
    target = {"Bucket": name, "Key": "a b/ü+c"}
    account.client("s3").put_object(**target, Body=b"data")
    url = s3.generate_presigned_url("get_object", Params=target)
    assert send(url) == (200, "data")
    assert send(url.replace("/a%20b/", "/other/"))[0] == 403
    then = datetime.fromtimestamp(time.time() - 600, UTC).replace(tzinfo=None)
    monkeypatch.setattr(botocore.auth, "get_current_datetime", lambda **_: then)
    old = s3.generate_presigned_url("get_object", Params=target, ExpiresIn=-600 if version == "s3" else 599)
    status, body = send(old)
    assert status == 403
    assert "Request has expired" in body


def test_an_upload_in_signed_chunks_is_put_together(account: LocalAccount) -> None:
    name, keys = bucket(account), operator(account)
    url, data = f"{account.endpoint_url}/{name}/chunked", os.urandom(150_000)
    body = chunked(url, keys, data)
    status, text = send(body)
    assert status == 200, text
    got = account.client("s3").get_object(Bucket=name, Key="chunked")
    assert got["Body"].read() == data
    assert got.get("ContentEncoding", "") == ""
    spoiled = chunked(url, keys, data)
    whole = bytes(spoiled.data or b"")
    spoiled.data = whole[:200] + bytes([whole[200] ^ 1]) + whole[201:]
    status, text = send(spoiled)
    assert (status, "<Code>SignatureDoesNotMatch</Code>" in text) == (403, True)


class _Streaming(botocore.auth.S3SigV4Auth):
    def payload(self, request: AWSRequest) -> str:
        return "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"


def chunked(url: str, keys: Credentials, data: bytes, size: int = 65_536) -> AWSRequest:
    """A PUT as the Java and C++ SDKs send it: STREAMING-AWS4-HMAC-SHA256-PAYLOAD."""
    headers = {
        "X-Amz-Decoded-Content-Length": str(len(data)),
        "Content-Encoding": "aws-chunked",
        "Content-Type": "application/octet-stream",
    }
    request = AWSRequest("PUT", url, headers=headers)
    auth = _Streaming(keys, "s3", "us-east-1")
    auth.add_auth(request)
    previous = request.headers["Authorization"].rpartition("Signature=")[2]
    timestamp = str(request.context["timestamp"])
    scope = f"{timestamp[:8]}/us-east-1/s3/aws4_request"
    key = f"AWS4{keys.secret_key}".encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    out = b""
    for chunk in [*(data[at : at + size] for at in range(0, len(data), size)), b""]:
        hashes = f"{hashlib.sha256(b'').hexdigest()}\n{hashlib.sha256(chunk).hexdigest()}"
        to_sign = f"AWS4-HMAC-SHA256-PAYLOAD\n{timestamp}\n{scope}\n{previous}\n{hashes}"
        previous = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
        out += f"{len(chunk):x};chunk-signature={previous}\r\n".encode() + chunk + b"\r\n"
    request.data = out
    return request


def test_a_long_poll_does_not_keep_a_sender_waiting(account: LocalAccount) -> None:
    sqs = account.client("sqs")
    url = sqs.create_queue(QueueName=f"q-{uuid.uuid4().hex[:8]}")["QueueUrl"]
    got: list[Any] = []
    waiting = threading.Thread(
        target=lambda: got.append(sqs.receive_message(QueueUrl=url, WaitTimeSeconds=20).get("Messages"))
    )
    waiting.start()
    time.sleep(0.2)
    sqs.send_message(QueueUrl=url, MessageBody="m")
    waiting.join(10)
    assert got
    assert [message["Body"] for message in got[0]] == ["m"]
    assert urlsplit(url).netloc == urlsplit(account.endpoint_url).netloc


def test_what_the_account_logs_and_counts_can_be_read(account: LocalAccount) -> None:
    group = f"/room/{uuid.uuid4().hex[:8]}"
    account.log(group, "s", ["one", "", "two"])
    events = account.client("logs").get_log_events(logGroupName=group, logStreamName="s")["events"]
    assert [event["message"] for event in events] == ["one", "two"]
    namespace = f"N{uuid.uuid4().hex[:8]}"
    for value in (1.0, 1.0, 3.0):
        account.count(namespace, "m", value, "Count", {"Stage": "test"})
    cloudwatch = account.client("cloudwatch")
    deadline = time.monotonic() + 10
    while not cloudwatch.list_metrics(Namespace=namespace)["Metrics"]:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    now = account.clock.now()
    (point,) = cloudwatch.get_metric_statistics(
        Namespace=namespace,
        MetricName="m",
        Dimensions=[{"Name": "Stage", "Value": "test"}],
        StartTime=now.timestamp() - 120,
        EndTime=now.timestamp() + 120,
        Period=3600,
        Statistics=["Sum", "SampleCount", "Maximum"],
    )["Datapoints"]
    assert (point["Sum"], point["SampleCount"], point["Maximum"]) == (5.0, 3.0, 3.0)


def test_an_unknown_service_is_a_clear_answer(account: LocalAccount) -> None:
    with pytest.raises(ClientError) as failed:
        account.client("braket").search_devices(filters=[])
    assert "not played by the local account" in failed.value.response["Error"]["Message"]


def test_a_file_that_calls_itself_a_form_is_stored_as_it_is(account: LocalAccount) -> None:
    name, data = bucket(account), b"a=1&b\xff=2"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    request = AWSRequest("PUT", f"{account.endpoint_url}/{name}/form", headers=headers, data=data)
    botocore.auth.S3SigV4Auth(operator(account), "s3", "us-east-1").add_auth(request)
    assert send(request)[0] == 200
    assert account.client("s3").get_object(Bucket=name, Key="form")["Body"].read() == data


def test_the_lakes_own_libraries_read_and_write(account: LocalAccount) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import fs

    name, keys = bucket(account), account.identities.operator
    s3 = fs.S3FileSystem(
        access_key=keys.access_key_id,
        secret_key=keys.secret_access_key,
        region="us-east-1",
        endpoint_override=account.endpoint_url,
    )
    table = pa.table({"x": list(range(200_000))})
    pq.write_table(table, f"{name}/day=1/part 0.parquet", filesystem=s3)
    assert pq.read_table(f"{name}/day=1/part 0.parquet", filesystem=s3, partitioning=None).equals(table)
