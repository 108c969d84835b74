"""The training job as SageMaker starts it: on several hosts, with several ranks, and when it cannot go on."""

from __future__ import annotations

import io
import json
import resource
import socket
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Any

import pytest

from local_account.sagemaker.service import SageMakerService
from support.model_jobs import BUCKET, ROLE, put_code, put_folder
from support.sagemaker_room import call, training, until
from support.training_job import CODE, Finished, Train, job_environment

SHORT = {"teacher": "none", "epochs": 2, "batch_size": 128, "patience": 9, "learning_rate": 0.01}


def run_job(
    account: Any, service: SageMakerService, prepared: Path, name: str, *, hosts: int = 1, **parameters: object
) -> dict[str, Any]:
    """The job's description once it has ended."""
    put_code(account)
    values = {**SHORT, **parameters}
    request = training(name, BUCKET, "code/sourcedir.tar.gz", RoleArn=ROLE)
    request["HyperParameters"] |= {"sagemaker_program": '"launch.py"', "program": '"two_tower/train.py"'}
    request["HyperParameters"] |= {key: json.dumps(value) for key, value in values.items()}
    source = {"S3DataType": "S3Prefix", "S3Uri": put_folder(account, prepared, "prepared")}
    request["InputDataConfig"] = [{"ChannelName": "prepared", "DataSource": {"S3DataSource": source}}]
    request["ResourceConfig"]["InstanceCount"] = hosts
    request["StoppingCondition"] = {"MaxRuntimeInSeconds": 300}
    request["Environment"] = {"OMP_NUM_THREADS": "1"}
    if hosts > 1:  # no resolver knows algo-1 here, and all hosts are this one
        with socket.create_server(("127.0.0.1", 0)) as probe:
            request["Environment"] |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(probe.getsockname()[1])}
    call(service, "CreateTrainingJob", **request)

    def look() -> dict[str, Any] | None:
        doc = call(service, "DescribeTrainingJob", TrainingJobName=name)
        return doc if doc["TrainingJobStatus"] in ("Completed", "Failed", "Stopped") else None

    doc: dict[str, Any] = until(look, patience_s=300)  # several processes import torch, on a machine that others use
    return doc


def losses_of(account: Any, doc: dict[str, Any]) -> list[float]:
    bucket, _, key = doc["ModelArtifacts"]["S3ModelArtifacts"].removeprefix("s3://").partition("/")
    body = account.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        (member,) = (one for one in tar if one.name.removeprefix("./") == "manifest.json")
        losses: list[float] = json.loads(tar.extractfile(member).read())["metrics"]["losses"]  # type: ignore[union-attr]
    return losses


def test_two_hosts_have_the_losses_of_one_process(
    job_account: Any, service: SageMakerService, prepared: Path, train: Train
) -> None:
    """SM_HOSTS and SM_CURRENT_HOST are all the job is told. Tolerance 1e-5 relative, as for ranks on one host."""
    options = [part for name, value in SHORT.items() for part in (f"--{name}", str(value))]
    doc = run_job(job_account, service, prepared, "two-hosts", hosts=2)
    assert doc["TrainingJobStatus"] == "Completed", doc.get("FailureReason")
    assert losses_of(job_account, doc) == pytest.approx(train(prepared, *options).losses, rel=1e-5)


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_loss_that_is_not_finite_is_the_jobs_failure_reason(
    job_account: Any, service: SageMakerService, prepared: Path, ranks: int
) -> None:
    """What the night's machine ends with (tests/machine/test_nightly.py), from one rank or through torchrun."""
    absurd = {"learning_rate": 1e30, "processes_per_host": ranks}
    doc = run_job(job_account, service, prepared, f"absurd-{ranks}", **absurd)
    assert doc["TrainingJobStatus"] == "Failed"
    assert doc["FailureReason"].startswith("AlgorithmError: loss is not finite at step ")
    assert doc["FailureReason"].endswith("learning_rate 1e+30 is at fault, exit code: 1")


def test_a_disk_that_takes_no_more_fails_the_training_with_one_sentence(prepared: Path, tmp_path: Path) -> None:
    """The process may write files of 40 KB at most: the model's tensors do not fit, the failure's sentence does."""
    options = [part for name, value in SHORT.items() for part in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, str(CODE / "two_tower" / "train.py"), *options],
        env=job_environment(prepared, tmp_path),
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (40_000, 40_000)),
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    sentence = (tmp_path / "output" / "failure").read_text()
    assert done.returncode == 1
    assert sentence.startswith("a file reached the largest size it may have")
    assert done.stderr.strip().splitlines()[-1] == sentence
    assert not (tmp_path / "model" / "manifest.json").exists()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="this system has no /dev/full")
def test_a_full_disk_fails_the_embedding_with_one_sentence(trained: Finished, prepared: Path, tmp_path: Path) -> None:
    """/dev/full answers every write as a full disk does: ENOSPC."""
    output = tmp_path / "out"
    output.mkdir()
    (output / "vectors-algo-1.parquet").symlink_to("/dev/full")
    arguments = {"model": trained.model, "prepared": prepared, "output": output, "config-dir": tmp_path}
    arguments["message-file"] = tmp_path / "message"
    words = [part for name, value in arguments.items() for part in (f"--{name}", str(value))]
    done = subprocess.run(
        [sys.executable, str(CODE / "two_tower" / "embed_items.py"), *words],
        env={"PYTHONPATH": str(CODE), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 1
    assert (tmp_path / "message").read_text().startswith("the disk is full")
    assert done.stderr.strip().splitlines()[-1].startswith("the disk is full")
    assert not (output / "manifest.json").exists()
