"""Glue, S3 and DynamoDB for tests of the lake: moto's own server beside this process, and an empty lake in it.

pytest_plugins = ["support.lake_account"]
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from features import lake_files
from features.importers.run import Target
from features.lake import Lake
from local_account.processes import end, spawn

BUCKET, DATABASE, USERS_TABLE, STATE_TABLE = "lake-of-tests", "understudy", "user-features", "state"


_SERVE = """
import logging
import time
from moto.server import ThreadedMotoServer

from local_account.front_door import moto_repairs
moto_repairs.install()
logging.getLogger("werkzeug").setLevel(logging.ERROR)
server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
server.start()
print("http://%s:%d" % server.get_host_and_port(), flush=True)
while True:
    time.sleep(3600)
"""


@pytest.fixture(scope="session")
def aws_server() -> Iterator[str]:
    """A running server's URL; its data go with `aws`. A process of its own: what resets moto's world resets it for all."""
    process = spawn([sys.executable, "-c", _SERVE], env=dict(os.environ), stdout=subprocess.PIPE)
    assert process.stdout is not None
    yield process.stdout.readline().decode().strip()
    end(process, 5)


@pytest.fixture
def aws(aws_server: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The environment that any client of ours finds its account by; the account is empty."""
    from botocore.httpsession import URLLib3Session

    for name, value in {
        "AWS_ENDPOINT_URL": aws_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
    }.items():
        monkeypatch.setenv(name, value)
    for name in ("AWS_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_SESSION_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    boto3.DEFAULT_SESSION = None
    lake_files.s3_client.cache_clear()
    from botocore.awsrequest import AWSRequest

    URLLib3Session().send(AWSRequest("POST", f"{aws_server}/moto-api/reset").prepare())
    yield aws_server
    boto3.DEFAULT_SESSION = None
    lake_files.s3_client.cache_clear()


@pytest.fixture
def lake(aws: str) -> Lake:
    boto3.client("s3").create_bucket(Bucket=BUCKET)
    return Lake(BUCKET, DATABASE)


@pytest.fixture
def dynamodb(aws: str) -> Any:
    client = boto3.client("dynamodb")
    for table, key in ((USERS_TABLE, "user_id"), (STATE_TABLE, "id")):
        client.create_table(
            TableName=table,
            KeySchema=[{"AttributeName": key, "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
        )
    return client


@pytest.fixture
def target(lake: Lake, dynamodb: Any, tmp_path: Any) -> Target:
    """Where imports of a test go."""
    return Target(lake, dynamodb, STATE_TABLE, tmp_path / "rejects.jsonl")
