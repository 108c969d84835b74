"""Processing jobs: Create, Describe, List, Stop, Delete."""

from __future__ import annotations

import shutil
from pathlib import PurePosixPath

from local_account.sagemaker.errors import invalid
from local_account.sagemaker.job_book import JobBook, JobKind
from local_account.sagemaker.job_runner import JobRunner
from local_account.sagemaker.processing_run import run_processing
from local_account.sagemaker.room import Answer, Params, Room, public

PROCESSING = JobKind(
    "Processing",
    (
        "ProcessingInputs",
        "ProcessingOutputConfig",
        "ProcessingResources",
        "StoppingCondition",
        "AppSpecification",
        "Environment",
        "NetworkConfig",
        "RoleArn",
        "ExperimentConfig",
    ),
    "/aws/sagemaker/ProcessingJobs",
)
DEFAULT_LIMIT_S = 24 * 3600


class ProcessingJobs:
    def __init__(self, room: Room, runner: JobRunner) -> None:
        self._room, self._runner = room, runner
        self._book = JobBook(room, PROCESSING)

    def create_processing_job(self, params: Params) -> Answer:
        _refuse_unplayable(params)
        self._room.s3(params["RoleArn"])  # a role that is not there is refused now
        params = {
            **params,
            "StoppingCondition": params.get("StoppingCondition", {"MaxRuntimeInSeconds": DEFAULT_LIMIT_S}),
        }
        doc = self._book.create(params)
        name = params["ProcessingJobName"]
        shutil.rmtree(self._room.folder / "jobs" / "processing" / name, ignore_errors=True)
        self._runner.submit(self._book, name, run_processing)
        return {"ProcessingJobArn": doc["ProcessingJobArn"]}

    def describe_processing_job(self, params: Params) -> Answer:
        return public(self._book.get(params["ProcessingJobName"]))

    def list_processing_jobs(self, params: Params) -> Answer:
        return self._room.page(PROCESSING.arn_kind, params, PROCESSING.listing)

    def stop_processing_job(self, params: Params) -> Answer:
        self._book.request_stop(params["ProcessingJobName"])
        self._runner.stop_job(self._book, params["ProcessingJobName"])
        return {}

    def delete_processing_job(self, params: Params) -> Answer:
        self._book.delete(params["ProcessingJobName"])
        shutil.rmtree(self._room.folder / "jobs" / "processing" / params["ProcessingJobName"], ignore_errors=True)
        return {}

    def resume(self) -> None:
        for name in self._book.unfinished():
            self._runner.submit(self._book, name, run_processing)


def _refuse_unplayable(params: Params) -> None:
    names = [item["InputName"] for item in params.get("ProcessingInputs", [])]
    names += [item["OutputName"] for item in params.get("ProcessingOutputConfig", {}).get("Outputs", [])]
    if len(set(names)) < len(names):
        raise invalid("Input and output names must be globally unique")
    for item in params.get("ProcessingInputs", []):
        source = item.get("S3Input")
        if source is None or item.get("AppManaged"):
            raise invalid(f"The local account plays processing inputs from S3 only: input {item['InputName']}")
        if source.get("S3InputMode", "File") != "File" or source.get("S3CompressionType", "None") != "None":
            raise invalid(
                f"The local account plays processing inputs in File mode, uncompressed: input {item['InputName']}"
            )
        if not _is_below_processing(source.get("LocalPath", "")):
            raise invalid(f"LocalPath of input {item['InputName']} must be under /opt/ml/processing")
    for item in params.get("ProcessingOutputConfig", {}).get("Outputs", []):
        target = item.get("S3Output")
        if target is None or not _is_below_processing(target.get("LocalPath", "")):
            raise invalid(f"Output {item['OutputName']} must be an S3Output with a LocalPath under /opt/ml/processing")
    if not params["AppSpecification"].get("ContainerEntrypoint"):
        raise invalid("The local account runs no images: AppSpecification.ContainerEntrypoint is required")


def _is_below_processing(path: str) -> bool:
    parts = PurePosixPath(path).parts
    return parts[:4] == ("/", "opt", "ml", "processing") and ".." not in parts
