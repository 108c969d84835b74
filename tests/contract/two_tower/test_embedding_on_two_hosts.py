"""embed_items on two instances, as the night starts it: through SageMaker, out of S3 and back into it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from features.shards import read_shards
from item_index.documents import read_items
from local_account.sagemaker.service import SageMakerService
from support.model_jobs import BUCKET, ROLE, put_code, put_folder
from support.sagemaker_room import call, ended, processing, s3_input
from support.training_job import Finished
from understudy.adapters.work import find_processing

INPUT, OUTPUT = "/opt/ml/processing/input", "/opt/ml/processing/output/vectors"
ARGUMENTS = ["--model", f"{INPUT}/model", "--prepared", f"{INPUT}/prepared", "--output", OUTPUT]
ARGUMENTS += ["--config-dir", "/opt/ml/config", "--message-file", "/opt/ml/output/message"]


def test_two_hosts_write_one_output_that_every_reader_takes_for_whole(
    job_account: Any, service: SageMakerService, trained: Finished, prepared: Path, tmp_path: Path
) -> None:
    request = processing("embed", [f"{INPUT}/code/launch.py", "two_tower/embed_items.py", *ARGUMENTS], RoleArn=ROLE)
    request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] = 2
    request["ProcessingInputs"] = [
        s3_input("code", put_code(job_account)),
        s3_input("model", put_folder(job_account, trained.model, "model")),
        s3_input("prepared", put_folder(job_account, prepared, "prepared")),
    ]
    work = f"s3://{BUCKET}/work/embed_items/x"
    target = {"S3Uri": work, "LocalPath": OUTPUT, "S3UploadMode": "EndOfJob"}
    request["ProcessingOutputConfig"] = {"Outputs": [{"OutputName": "vectors", "S3Output": target}]}
    call(service, "CreateProcessingJob", **request)
    doc = ended(service, "Processing", "embed")
    assert doc["ProcessingJobStatus"] == "Completed", doc.get("FailureReason")
    s3, folder = job_account.client("s3"), tmp_path / "downloaded"
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
