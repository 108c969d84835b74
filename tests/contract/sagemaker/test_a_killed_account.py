"""The account's process is killed, not stopped: nothing of it runs on, and a new one takes up everything that was acknowledged."""

from __future__ import annotations

import configparser
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psutil
import pytest

from local_account import lifecycle
from tests.support.sagemaker_room import IMAGE, INFERENCE, ROLE, tar_gz, training, until

BUCKET = "killed-account"
CODE = """
import os, pathlib, time
mark = pathlib.Path(os.environ["SM_MODEL_DIR"], "..", "checkpoints", "step")
if not mark.exists():
    mark.write_text("1"); time.sleep(120)
pathlib.Path(os.environ["SM_MODEL_DIR"], "done").write_text("1")
"""


def client(endpoint: lifecycle.Endpoint, service: str) -> Any:
    """The operator's client, from the files that `up` wrote."""
    keys = configparser.ConfigParser()
    keys.read(endpoint.state / "credentials")
    session = boto3.session.Session(
        aws_access_key_id=keys["understudy"]["aws_access_key_id"],
        aws_secret_access_key=keys["understudy"]["aws_secret_access_key"],
        region_name="us-east-1",
    )
    return session.client(service, endpoint_url=endpoint.url)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[Path]:
    yield tmp_path
    lifecycle.down(tmp_path)


def begin(endpoint: lifecycle.Endpoint) -> None:
    """A job under way and an endpoint in service."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ],
    }
    rights = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:*", "Resource": "*"}]}
    iam, s3, sagemaker = (client(endpoint, name) for name in ("iam", "s3", "sagemaker"))
    role = ROLE.rpartition("/")[2]
    iam.create_role(RoleName=role, AssumeRolePolicyDocument=json.dumps(trust))
    iam.put_role_policy(RoleName=role, PolicyName="all", PolicyDocument=json.dumps(rights))
    s3.create_bucket(Bucket=BUCKET)
    s3.put_object(Bucket=BUCKET, Key="code.tar.gz", Body=tar_gz({"train.py": CODE}))
    s3.put_object(Bucket=BUCKET, Key="model.tar.gz", Body=tar_gz({"name": "one", "code/inference.py": INFERENCE}))
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{BUCKET}/model.tar.gz"}
    sagemaker.create_model(ModelName="one", ExecutionRoleArn=ROLE, PrimaryContainer=container)
    variant = {"VariantName": "blue", "ModelName": "one", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(EndpointConfigName="one", ProductionVariants=[variant])
    sagemaker.create_endpoint(EndpointName="one", EndpointConfigName="one")
    sagemaker.create_training_job(**training("killed", BUCKET, "code.tar.gz"))
    until(lambda: sagemaker.describe_endpoint(EndpointName="one")["EndpointStatus"] == "InService")
    until(lambda: list((endpoint.state / "sagemaker").glob("jobs/training/killed/opt/ml/checkpoints/step")))


def test_nothing_runs_on_and_everything_is_taken_up(state):
    first = lifecycle.up(state)
    begin(first)
    account = psutil.Process(first.pid)
    family = [account, *account.children(recursive=True)]
    assert len(family) >= 4  # itself, a job, an endpoint's server, its worker
    os.kill(first.pid, signal.SIGKILL)
    until(lambda: not any(member.is_running() and member.status() != psutil.STATUS_ZOMBIE for member in family))

    until(lambda: lifecycle.status(state) is None)
    second = lifecycle.up(state)
    sagemaker, runtime = client(second, "sagemaker"), client(second, "sagemaker-runtime")
    until(lambda: sagemaker.describe_endpoint(EndpointName="one")["EndpointStatus"] == "InService")
    answer = runtime.invoke_endpoint(EndpointName="one", Body=b"1", ContentType="text/csv")
    assert json.loads(answer["Body"].read())["model"] == "one"
    until(lambda: sagemaker.describe_training_job(TrainingJobName="killed")["TrainingJobStatus"] == "Completed")
