from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from local_account.sagemaker.service import SageMakerService
from tests.support.sagemaker_room import ROLE, OwnFolder

BUCKET = "sagemaker-tests"
_TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
_POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": ["s3:*", "logs:*"], "Resource": "*"}]}


@pytest.fixture(scope="session")
def bucket(account: Any) -> str:
    """A bucket, and a role that may use it."""
    iam, name = account.client("iam"), ROLE.rpartition("/")[2]
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(_TRUST))
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=json.dumps(_POLICY))
    account.client("s3").create_bucket(Bucket=BUCKET)
    return BUCKET


@pytest.fixture
def room(account: Any, tmp_path: Path) -> OwnFolder:
    return OwnFolder(account, tmp_path / "state")


@pytest.fixture
def service(room: OwnFolder, bucket: str) -> Iterator[SageMakerService]:
    service = SageMakerService(room)
    service.start()
    yield service
    service.stop()
