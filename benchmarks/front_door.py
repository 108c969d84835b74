"""What the front door costs: CPU a request in the account's process, and latency of the reads a recommendation waits for.

The value is CPU of a signed GetItem, sent by a role session, that finds nothing: parsing, signature, rights, routing
and answer, with next to no work of DynamoDB's. The peer is `/health`, which is parsed and answered and nothing else.
"""

from __future__ import annotations

import http.client
import json
import tempfile
import time
from pathlib import Path
from typing import Any

import boto3
import psutil
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from local_account import lifecycle
from local_account.front_door.identities import Identities

GOAL_MS = 0.7
REQUESTS = 1_500
_TABLE = "items"


def measure() -> dict[str, Any]:
    """Start an account, ask it the same thing again and again, and read its CPU clock before and after."""
    with tempfile.TemporaryDirectory() as folder:
        endpoint = lifecycle.up(Path(folder))
        try:
            return _measure(endpoint)
        finally:
            lifecycle.down(Path(folder))


def _measure(endpoint: lifecycle.Endpoint) -> dict[str, Any]:
    keys = _prepare(endpoint)
    get = {"TableName": _TABLE, "Key": {"id": {"S": "user"}}}
    miss = {"TableName": _TABLE, "Key": {"id": {"S": "nobody"}}}
    batch = {"RequestItems": {_TABLE: {"Keys": [{"id": {"S": f"small-{n}"}} for n in range(10)]}}}
    rows = {
        "/health": _run(endpoint, None, "", {}),
        "GetItem, nothing found": _run(endpoint, keys, "GetItem", miss),
        "GetItem, 80 values": _run(endpoint, keys, "GetItem", get),
        "BatchGetItem, 10 items": _run(endpoint, keys, "BatchGetItem", batch),
    }
    print(f"{'':24} {'CPU ms':>8} {'p50 ms':>8} {'p99 ms':>8}")  # noqa: T201 - the benchmark's table
    for name, (cpu, p50, p99) in rows.items():
        print(f"{name:24} {cpu:8.2f} {p50:8.2f} {p99:8.2f}")  # noqa: T201
    value, peer = rows["GetItem, nothing found"][0], rows["/health"][0]
    return {
        "value": round(value, 3),
        "unit": "ms CPU per signed request",
        "peer": round(peer, 3),
        "ratio": round(value / peer, 2),
        "goal": GOAL_MS,
        "holds": value < GOAL_MS,
    }


def _prepare(endpoint: lifecycle.Endpoint) -> Credentials:
    operator = Identities(endpoint.state).operator
    session = boto3.Session(operator.access_key_id, operator.secret_access_key, region_name="us-east-1")
    dynamodb, iam = (session.client(name, endpoint_url=endpoint.url) for name in ("dynamodb", "iam"))
    dynamodb.create_table(
        TableName=_TABLE,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    features = {f"f{n}": {"N": "1.5"} for n in range(30)}
    seen = {"L": [{"S": str(n)} for n in range(50)]}
    dynamodb.put_item(TableName=_TABLE, Item={"id": {"S": "user"}, "features": {"M": features}, "seen": seen})
    for n in range(10):
        dynamodb.put_item(TableName=_TABLE, Item={"id": {"S": f"small-{n}"}, "title": {"S": "t"}, "n": {"N": "1"}})
    statement = {
        "Effect": "Allow",
        "Action": ["dynamodb:GetItem", "dynamodb:BatchGetItem"],
        "Resource": f"arn:aws:dynamodb:us-east-1:123456789012:table/{_TABLE}",
    }
    trust = {"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}
    role = iam.create_role(RoleName="reader", AssumeRolePolicyDocument=json.dumps(_policy(trust)))["Role"]["Arn"]
    iam.put_role_policy(RoleName="reader", PolicyName="read", PolicyDocument=json.dumps(_policy(statement)))
    sts = session.client("sts", endpoint_url=endpoint.url)
    keys = sts.assume_role(RoleArn=role, RoleSessionName="bench")["Credentials"]
    return Credentials(keys["AccessKeyId"], keys["SecretAccessKey"], keys["SessionToken"])


def _policy(statement: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": [statement]}


def _run(
    endpoint: lifecycle.Endpoint, keys: Credentials | None, operation: str, body: dict[str, Any]
) -> tuple[float, float, float]:
    """(CPU ms a request in the account, p50 ms, p99 ms), one client, one connection, one request after another."""
    data = json.dumps(body).encode()
    request = AWSRequest(
        "POST" if keys else "GET", f"{endpoint.url}/{'' if keys else 'health'}", data=data if keys else None
    )
    if keys:
        request.headers["X-Amz-Target"] = f"DynamoDB_20120810.{operation}"
        request.headers["Content-Type"] = "application/x-amz-json-1.0"
        SigV4Auth(keys, "dynamodb", "us-east-1").add_auth(request)
    headers = dict(request.headers.items())
    connection = http.client.HTTPConnection(endpoint.url.removeprefix("http://"))
    process, latencies = psutil.Process(endpoint.pid), []
    for n in range(REQUESTS + 100):
        if n == 100:  # warm
            before = sum(process.cpu_times()[:2])
        start = time.perf_counter()
        connection.request(
            str(request.method), "/" if keys else "/health", body=data if keys else None, headers=headers
        )
        answer = connection.getresponse()
        text = answer.read()
        latencies.append((time.perf_counter() - start) * 1000)
        assert answer.status == 200, text
    cpu_ms = (sum(process.cpu_times()[:2]) - before) * 1000 / REQUESTS
    connection.close()
    latencies = sorted(latencies[100:])
    return cpu_ms, latencies[len(latencies) // 2], latencies[int(len(latencies) * 0.99)]


if __name__ == "__main__":
    print(json.dumps(measure()))  # noqa: T201
