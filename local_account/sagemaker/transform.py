"""Transform jobs: Create, Describe, List, Stop, and the run itself: a model over an S3 prefix."""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import asdict
from pathlib import Path

from local_account.sagemaker.batch_filters import BadPath, Filters
from local_account.sagemaker.deployments import place_model, variant_of, worker_environment
from local_account.sagemaker.errors import JobFailed, invalid
from local_account.sagemaker.job_book import JobBook, JobKind
from local_account.sagemaker.job_processes import Control, Ending, HostCommand, JobProcesses, Outcome, end_leftovers
from local_account.sagemaker.job_runner import JobRunner, finish
from local_account.sagemaker.room import Answer, Params, Room, public
from local_account.sagemaker.s3_data import download, select, upload_folder
from local_account.sagemaker.training_run import KILLED, OUT_OF_MEMORY, last_words

TRANSFORM = JobKind(
    "Transform",
    (
        "ModelName",
        "MaxConcurrentTransforms",
        "ModelClientConfig",
        "MaxPayloadInMB",
        "BatchStrategy",
        "Environment",
        "TransformInput",
        "TransformOutput",
        "TransformResources",
        "DataProcessing",
        "ExperimentConfig",
    ),
    "/aws/sagemaker/TransformJobs",
)
_PROGRAM = Path(__file__).with_name("batch_worker.py")
_LIMIT_S = 24 * 3600.0
_PAYLOAD_MB = 6
_REFUSED = "Bad HTTP status received from algorithm: 400"


class TransformJobs:
    def __init__(self, room: Room, runner: JobRunner) -> None:
        self._room, self._runner = room, runner
        self._book = JobBook(room, TRANSFORM)

    def create_transform_job(self, params: Params) -> Answer:
        source = params["TransformInput"]
        if source.get("CompressionType", "None") != "None" or source.get("SplitType", "None") not in ("None", "Line"):
            raise invalid("The local account plays transform inputs uncompressed, whole or split by Line")
        if params.get("DataCaptureConfig"):
            raise invalid("The local account does not play DataCaptureConfig of transform jobs")
        try:
            _filters(params).check(source.get("ContentType", ""), source.get("SplitType", "None") == "Line")
        except BadPath as error:
            raise invalid(f"DataProcessing: {error}") from None
        # The model as it is now: an unknown one is refused here, and deleting it later does not touch the job.
        doc = self._book.create(params, _variant=variant_of(self._room, params["ModelName"]))
        self._runner.submit(self._book, params["TransformJobName"], run_transform)
        return {"TransformJobArn": doc["TransformJobArn"]}

    def describe_transform_job(self, params: Params) -> Answer:
        return public(self._book.get(params["TransformJobName"]))

    def list_transform_jobs(self, params: Params) -> Answer:
        return self._room.page(TRANSFORM.arn_kind, params, TRANSFORM.listing)

    def stop_transform_job(self, params: Params) -> Answer:
        self._book.request_stop(params["TransformJobName"])
        self._runner.stop_job(self._book, params["TransformJobName"])
        return {}

    def resume(self) -> None:
        for name in self._book.unfinished():
            self._runner.submit(self._book, name, run_transform)


def run_transform(book: JobBook, name: str, control: Control) -> None:
    """Bring one transform job to its end: Completed, Stopped, or JobFailed with its FailureReason."""
    doc, room = book.get(name), book.room
    folder = room.folder / "jobs" / "transform" / name
    if folder.exists():
        end_leftovers(folder)
    if doc["TransformJobStatus"] == "Stopping":  # the account went down between the call and the end
        finish(book, name, "Stopped")
        return
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    book.change(name, TransformStartTime=room.account.clock.epoch())
    command = _prepare(room, doc, folder)
    outcome = JobProcesses(room, book.kind.log_group, name, folder).run([command], control, limit_s=_LIMIT_S)
    if outcome.ending is not Ending.EXITED:
        finish(book, name, "Stopped")
        return
    if outcome.exit_code:
        raise JobFailed(_failure(outcome))
    s3 = room.s3(doc["_variant"]["role"])
    upload_folder(s3, folder / "output", doc["TransformOutput"]["S3OutputPath"])
    finish(book, name, "Completed")


def _prepare(room: Room, doc: Answer, folder: Path) -> HostCommand:
    variant = doc["_variant"]
    model = place_model(room, variant, folder)
    s3 = room.s3(variant["role"])
    download(s3, select(s3, doc["TransformInput"]["DataSource"]["S3DataSource"], 0, 1), folder / "input")
    source, target = doc["TransformInput"], doc["TransformOutput"]
    settings = {
        "model_dir": str(model),
        "inputs": str(folder / "input"),
        "outputs": str(folder / "output"),
        "content_type": source.get("ContentType", "application/octet-stream"),
        "accept": target.get("Accept", "application/json"),
        "split": source.get("SplitType", "None") == "Line",
        "single": doc.get("BatchStrategy", "MultiRecord") == "SingleRecord",
        "payload_bytes": (doc.get("MaxPayloadInMB", _PAYLOAD_MB) or 100) << 20,
        "assemble": target.get("AssembleWith", "None") == "Line",
        "workers": min(doc.get("MaxConcurrentTransforms") or 1, available_cores()),
        "retries": doc.get("ModelClientConfig", {}).get("InvocationsMaxRetries", 0),
        "filters": asdict(_filters(doc)),
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    environment = {**worker_environment(room.account, "", variant, model), **doc.get("Environment", {})}
    return HostCommand(
        "algo-1", [sys.executable, "-P", str(_PROGRAM), str(folder / "settings.json")], environment, model
    )


def _filters(params: Params) -> Filters:
    given = params.get("DataProcessing", {})
    return Filters(given.get("InputFilter", "$"), given.get("OutputFilter", "$"), given.get("JoinSource") == "Input")


def available_cores() -> int:
    """Cores that this process may use: more calls at a time than those would only wait for each other."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _failure(outcome: Outcome) -> str:
    if outcome.exit_code == KILLED:
        return f"{OUT_OF_MEMORY}, exit code: {KILLED}"
    said = [line for line in outcome.tail if _REFUSED in line]
    if said:  # the data's fault: AWS says ClientError, and the file in the job's data log
        return f"ClientError: {said[-1].strip()}"
    return f"AlgorithmError: {last_words(outcome.tail)}, exit code: {outcome.exit_code}"
