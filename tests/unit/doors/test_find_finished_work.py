"""functions/find_finished_work: only whole work counts as finished."""

from __future__ import annotations

import json
from types import SimpleNamespace

import pytest
from botocore.exceptions import ClientError

from support.doors import CONTEXT, golden, load_door

BUCKET = "understudy-artifactbucket-1"


class Jobs:
    """Training jobs by name and status."""

    def __init__(self, **statuses: str) -> None:
        self._statuses = statuses

    def describe_training_job(self, TrainingJobName: str) -> dict[str, str]:
        name = TrainingJobName.replace("-", "_")
        if name not in self._statuses:
            raise ClientError(
                {"Error": {"Code": "ValidationException", "Message": "no such job"}}, "DescribeTrainingJob"
            )
        return {"TrainingJobStatus": self._statuses[name], "TrainingJobArn": f"arn:{TrainingJobName}"}


@pytest.fixture
def door(artifacts, monkeypatch):
    module = load_door("find_finished_work")
    module.parts = SimpleNamespace(s3=artifacts, jobs=Jobs(j_1="Completed", j_2="Failed"))
    monkeypatch.setattr(module, "world", lambda: (artifacts, module.parts.jobs))
    return module


def put(door, uri: str, body: bytes) -> None:
    door.parts.s3.put_object(Bucket=BUCKET, Key=uri.removeprefix(f"s3://{BUCKET}/"), Body=body)


def processed(door, size: int = 4) -> str:
    uri = golden("find_finished_work/processing")["uri"]
    put(door, f"{uri}/recall/a.parquet", b"data")
    put(
        door,
        f"{uri}/manifest.json",
        json.dumps({"stage": "prepare_data", "files": [{"path": "recall/a.parquet", "bytes": size}]}).encode(),
    )
    return uri


def test_nothing_there_is_not_finished(door):
    assert door.handler(golden("find_finished_work/processing"), CONTEXT)["finished"] is False


def test_an_output_whose_manifest_holds_is_finished(door):
    uri = processed(door)
    assert door.handler(golden("find_finished_work/processing"), CONTEXT) == {
        "finished": True,
        "uri": uri,
        "model": None,
        "job": None,
    }


@pytest.mark.parametrize(
    ("missing", "finished"),
    [
        pytest.param(None, True, id="both hosts"),
        pytest.param("manifest-algo-2.json", False, id="one has no manifest"),
        pytest.param("vectors-algo-2.parquet", False, id="one has no vectors"),
    ],
)
def test_work_of_two_hosts_is_finished_when_both_are(door, missing, finished):
    uri = golden("find_finished_work/processing")["uri"]
    for host in ("algo-1", "algo-2"):
        files = [{"path": f"vectors-{host}.parquet", "bytes": 4}]
        manifest = json.dumps({"stage": "embed_items", "hosts": ["algo-1", "algo-2"], "host": host, "files": files})
        for name, body in ((f"vectors-{host}.parquet", b"data"), (f"manifest-{host}.json", manifest.encode())):
            if name != missing:
                put(door, f"{uri}/{name}", body)
    assert door.handler(golden("find_finished_work/processing"), CONTEXT)["finished"] is finished


def test_a_truncated_file_is_not_finished_work(door):
    processed(door, size=5)
    assert door.handler(golden("find_finished_work/processing"), CONTEXT)["finished"] is False


@pytest.mark.parametrize(
    ("job", "finished"), [("j-1", True), ("j-2", False), ("j-3", False)], ids=["completed", "failed", "nobody knows it"]
)
def test_a_model_counts_when_its_job_completed(door, job, finished):
    uri = golden("find_finished_work/training")["uri"]
    put(door, f"{uri}/{job}/output/model.tar.gz", b"model")
    work = door.handler(golden("find_finished_work/training"), CONTEXT)
    assert work["finished"] is finished
    assert work["model"] == (f"{uri}/{job}/output/model.tar.gz" if finished else None)


def test_a_place_outside_the_work_folder_is_refused(door):
    with pytest.raises(ValueError, match="validation error"):
        door.handler({"stage": "ranker", "kind": "training", "uri": "s3://somebody-else/models"}, CONTEXT)
