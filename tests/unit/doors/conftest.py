"""AWS played in this process by moto, without a socket."""

from __future__ import annotations

import boto3
import pytest
from moto import mock_aws


@pytest.fixture
def aws(monkeypatch):
    """boto3 with nobody's credentials and an empty account."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    with mock_aws():
        yield boto3


@pytest.fixture
def artifacts(aws):
    """S3 client with the artifact bucket of the golden events."""
    s3 = aws.client("s3")
    s3.create_bucket(Bucket="understudy-artifactbucket-1")
    s3.create_bucket(Bucket="lake")
    return s3
