"""embed_items on two instances, as the night starts it: through SageMaker, out of S3 and back into it."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from features.shards import read_shards
from item_index.documents import read_items
from local_account.sagemaker.service import SageMakerService
from support.sagemaker_room import OwnFolder, call, ended, processing, s3_input
from support.training_job import CODE, Finished
from understudy.adapters.work import find_processing

BUCKET = "two-tower-tests"
ROLE = "arn:aws:iam::123456789012:role/two-tower-tests"
INPUT, OUTPUT = "/opt/ml/processing/input", "/opt/ml/processing/output/vectors"
ARGUMENTS = ["--model", f"{INPUT}/model", "--prepared", f"{INPUT}/prepared", "--output", OUTPUT]
ARGUMENTS += ["--config-dir", "/opt/ml/config", "--message-file", "/opt/ml/output/message"]


@pytest.fixture
def service(account: Any, tmp_path: Path) -> Iterator[SageMakerService]:
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    rights = {"Effect": "Allow", "Action": ["s3:*", "logs:*"], "Resource": "*"}
    iam, name = account.client("iam"), ROLE.rpartition("/")[2]
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps({"Statement": [trust]}))
    policy = json.dumps({"Version": "2012-10-17", "Statement": [rights]})
    iam.put_role_policy(RoleName=name, PolicyName="all", PolicyDocument=policy)
    account.client("s3").create_bucket(Bucket=BUCKET)
    service = SageMakerService(OwnFolder(account, tmp_path / "state"))
    service.start()
    yield service
    service.stop()


def put_folder(account: Any, folder: Path, prefix: str) -> str:
    for file in folder.rglob("*"):
        if file.is_file():
            account.client("s3").upload_file(str(file), BUCKET, f"{prefix}/{file.relative_to(folder).as_posix()}")
    return f"s3://{BUCKET}/{prefix}/"


def put_code(account: Any) -> str:
    """launch.py and the archive beside it, as the stack's code lies in S3."""
    body = io.BytesIO()
    with tarfile.open(fileobj=body, mode="w:gz") as tar:
        for package in ("two_tower", "features"):
            for file in (CODE / package).glob("*.[py]*"):
                tar.add(file, arcname=f"{package}/{file.name}")
    s3 = account.client("s3")
    s3.put_object(Bucket=BUCKET, Key="code/sourcedir.tar.gz", Body=body.getvalue())
    s3.upload_file(str(CODE / "launch.py"), BUCKET, "code/launch.py")
    return f"s3://{BUCKET}/code/"


def test_two_hosts_write_one_output_that_every_reader_takes_for_whole(
    account: Any, service: SageMakerService, trained: Finished, prepared: Path, tmp_path: Path
) -> None:
    request = processing("embed", [f"{INPUT}/code/launch.py", "two_tower/embed_items.py", *ARGUMENTS], RoleArn=ROLE)
    request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] = 2
    request["ProcessingInputs"] = [
        s3_input("code", put_code(account)),
        s3_input("model", put_folder(account, trained.model, "model")),
        s3_input("prepared", put_folder(account, prepared, "prepared")),
    ]
    work = f"s3://{BUCKET}/work/embed_items/x"
    target = {"S3Uri": work, "LocalPath": OUTPUT, "S3UploadMode": "EndOfJob"}
    request["ProcessingOutputConfig"] = {"Outputs": [{"OutputName": "vectors", "S3Output": target}]}
    call(service, "CreateProcessingJob", **request)
    doc = ended(service, "Processing", "embed")
    assert doc["ProcessingJobStatus"] == "Completed", doc.get("FailureReason")
    s3, folder = account.client("s3"), tmp_path / "downloaded"
    folder.mkdir()
    keys = [row["Key"] for row in s3.list_objects_v2(Bucket=BUCKET, Prefix="work/")["Contents"]]
    for key in keys:
        s3.download_file(BUCKET, key, str(folder / key.rpartition("/")[2]))
    assert sorted(file.name for file in folder.iterdir()) == [
        *(f"manifest-algo-{number}.json" for number in (1, 2)),
        *(f"vectors-algo-{number}.parquet" for number in (1, 2)),
    ]
    shards = read_shards(folder, "embed_items", agree=("tower_id", "dimension"))
    assert (shards.count, shards.facts["tower_id"]) == (90, trained.manifest["tower_id"])
    items = read_items(shards.files, prepared / "items", ["item_id", "title"], 64)
    assert (len(items.ids), items.dead) == (90, [])
    assert np.isfinite(items.vectors_ID).all()
    assert find_processing(s3, work).finished
    s3.delete_object(Bucket=BUCKET, Key="work/embed_items/x/manifest-algo-2.json")
    assert not find_processing(s3, work).finished
