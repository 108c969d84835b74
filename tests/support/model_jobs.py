"""model_code's own jobs through the local SageMaker: its code and data in S3, and a role that may read them."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

from support.training_job import CODE

BUCKET = "two-tower-tests"
ROLE = "arn:aws:iam::123456789012:role/two-tower-tests"


def make_bucket_and_role(account: Any) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    rights = {"Effect": "Allow", "Action": ["s3:*", "logs:*"], "Resource": "*"}
    iam, name = account.client("iam"), ROLE.rpartition("/")[2]
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    policy = json.dumps({"Version": "2012-10-17", "Statement": [rights]})
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy)
    account.client("s3").create_bucket(Bucket=BUCKET)


def put_folder(account: Any, folder: Path, prefix: str) -> str:
    """The URI of a folder's copy in S3."""
    for file in folder.rglob("*"):
        if file.is_file():
            account.client("s3").upload_file(str(file), BUCKET, f"{prefix}/{file.relative_to(folder).as_posix()}")
    return f"s3://{BUCKET}/{prefix}/"


def put_code(account: Any) -> str:
    """launch.py and the archive beside it, as the stack's code lies in S3; the archive alone is a training job's."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        tar.add(CODE / "launch.py", arcname="launch.py")
        for package in ("two_tower", "features"):
            for file in (CODE / package).glob("*.[py]*"):
                tar.add(file, arcname=f"{package}/{file.name}")
    s3 = account.client("s3")
    s3.put_object(Bucket=BUCKET, Key="code/sourcedir.tar.gz", Body=body.getvalue())
    s3.upload_file(str(CODE / "launch.py"), BUCKET, "code/launch.py")
    return f"s3://{BUCKET}/code/"
