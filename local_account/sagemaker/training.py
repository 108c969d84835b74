"""Training jobs: Create, Describe, List, Stop, Delete."""

from __future__ import annotations

import shutil
from pathlib import Path, PurePosixPath
from typing import Any

from local_account.sagemaker.errors import JobFailed, invalid
from local_account.sagemaker.job_book import JobBook, JobKind
from local_account.sagemaker.job_logs import metric_reader
from local_account.sagemaker.job_runner import JobRunner
from local_account.sagemaker.room import Answer, Params, Room, public
from local_account.sagemaker.s3_data import list_prefix
from local_account.sagemaker.training_run import run_training

TRAINING = JobKind(
    "Training",
    (
        "HyperParameters",
        "AlgorithmSpecification",
        "RoleArn",
        "InputDataConfig",
        "OutputDataConfig",
        "ResourceConfig",
        "VpcConfig",
        "StoppingCondition",
        "EnableNetworkIsolation",
        "EnableInterContainerTrafficEncryption",
        "EnableManagedSpotTraining",
        "CheckpointConfig",
        "Environment",
        "RetryStrategy",
        "ExperimentConfig",
    ),
    "/aws/sagemaker/TrainingJobs",
)
DEFAULT_LIMIT_S = 24 * 3600


class TrainingJobs:
    def __init__(self, room: Room, runner: JobRunner) -> None:
        self._room, self._runner = room, runner
        self._book = JobBook(room, TRAINING)

    def create_training_job(self, params: Params) -> Answer:
        return self.launch(params)

    def launch(self, params: Params, **first: Any) -> Answer:
        """Create; `first` are members that no caller may give: a trial's `TuningJobArn`."""
        self.refuse_unplayable(params)
        name = params["TrainingJobName"]
        params = {
            **params,
            "StoppingCondition": {"MaxRuntimeInSeconds": DEFAULT_LIMIT_S, **params.get("StoppingCondition", {})},
        }
        model = f"{params['OutputDataConfig']['S3OutputPath'].rstrip('/')}/{name}/output/model.tar.gz"
        now = self._room.account.clock.epoch()
        start = {"Status": "Starting", "StartTime": now, "StatusMessage": "Starting the training job"}
        doc = self._book.create(
            params,
            SecondaryStatus="Starting",
            SecondaryStatusTransitions=[start],
            ModelArtifacts={"S3ModelArtifacts": model},
            **first,
        )
        shutil.rmtree(job_folder(self._room, name), ignore_errors=True)  # of a deleted job of the same name
        self._runner.submit(self._book, name, run_training)
        return {"TrainingJobArn": doc["TrainingJobArn"]}

    def describe_training_job(self, params: Params) -> Answer:
        return public(self._book.get(params["TrainingJobName"]))

    def list_training_jobs(self, params: Params) -> Answer:
        return self._room.page(TRAINING.arn_kind, params, TRAINING.listing)

    def stop_training_job(self, params: Params) -> Answer:
        self._book.request_stop(params["TrainingJobName"])
        self._runner.stop_job(self._book, params["TrainingJobName"])
        return {}

    def delete_training_job(self, params: Params) -> Answer:
        self._book.delete(params["TrainingJobName"])
        shutil.rmtree(job_folder(self._room, params["TrainingJobName"]), ignore_errors=True)
        return {}

    def resume(self) -> None:
        for name in self._book.unfinished():
            self._runner.submit(self._book, name, run_training)

    def refuse_unplayable(self, params: Params) -> None:
        """What AWS refuses at once, and what AWS has but a laptop has not."""
        metric_reader(self._room.account, params, params["TrainingJobName"])  # a bad regex is refused here
        if self._room.records.get(TRAINING.arn_kind, params["TrainingJobName"]) is not None:
            return  # the book refuses it in its own words
        s3 = self._room.s3(params["RoleArn"])
        local = params.get("CheckpointConfig", {}).get("LocalPath", "/opt/ml/checkpoints")
        if not local.startswith("/opt/ml/") or ".." in PurePosixPath(local).parts:
            raise invalid(f"CheckpointConfig.LocalPath is {local}; the local account plays paths under /opt/ml/")
        for channel in params.get("InputDataConfig", []):
            source = channel["DataSource"].get("S3DataSource")
            mode = channel.get("InputMode", params["AlgorithmSpecification"].get("TrainingInputMode", "File"))
            if source is None or mode == "Pipe" or channel.get("CompressionType", "None") != "None":
                raise invalid(
                    f"The local account plays channels from S3 in File mode only: channel {channel['ChannelName']}"
                )
            if source["S3DataType"] == "S3Prefix" and not _has_objects(s3, source["S3Uri"]):
                raise invalid(
                    f'No S3 objects found under S3 URL "{source["S3Uri"]}" given in input data source. Please ensure that the bucket '
                    f"exists in the selected region, that objects exist under that S3 prefix, and that the role "
                    f'"{params["RoleArn"]}" has "s3:ListBucket" permissions on the bucket.'
                )


def job_folder(room: Room, name: str) -> Path:
    return room.folder / "jobs" / "training" / name


def _has_objects(s3: object, uri: str) -> bool:
    try:
        return bool(list_prefix(s3, uri))
    except JobFailed:
        return False
