"""Hyperparameter tuning jobs: Create, Describe, List, Stop, Delete, and the list of their training jobs."""

from __future__ import annotations

import threading
from typing import Any

from local_account.sagemaker.errors import not_there
from local_account.sagemaker.job_book import JobBook, JobKind
from local_account.sagemaker.listing import Listing, list_page
from local_account.sagemaker.room import Answer, Params, Room, public
from local_account.sagemaker.training import TrainingJobs
from local_account.sagemaker.tuning_request import read_search
from local_account.sagemaker.tuning_run import TuningRun
from local_account.sagemaker.tuning_trials import described, read_trials

TUNING = JobKind(
    "HyperParameterTuning",
    ("HyperParameterTuningJobConfig", "TrainingJobDefinition"),
    "/aws/sagemaker/TrainingJobs",  # its trials' own; a tuning job has no log
    spoken="HyperParameter Tuning",
)
_SUMMARY = [
    "HyperParameterTuningJobName",
    "HyperParameterTuningJobArn",
    "HyperParameterTuningJobStatus",
    "Strategy",
    "CreationTime",
    "HyperParameterTuningEndTime",
    "LastModifiedTime",
    "TrainingJobStatusCounters",
    "ObjectiveStatusCounters",
    "ResourceLimits",
]
_JOBS = Listing(
    "HyperParameterTuningJobSummaries", tuple(_SUMMARY), "HyperParameterTuningJobName", "HyperParameterTuningJobStatus"
)
_TRIAL_MEMBERS = [
    "TrainingJobDefinitionName",
    "TrainingJobName",
    "TrainingJobArn",
    "TuningJobName",
    "CreationTime",
    "TrainingStartTime",
    "TrainingEndTime",
    "TrainingJobStatus",
    "TunedHyperParameters",
    "FailureReason",
    "FinalHyperParameterTuningJobObjectiveMetric",
    "ObjectiveStatus",
]
_TRIALS = Listing(
    "TrainingJobSummaries",
    tuple(_TRIAL_MEMBERS),
    "TrainingJobName",
    "TrainingJobStatus",
    (("FinalObjectiveMetricValue", "_Value"),),
)


class TuningJobs:
    """Tuning jobs take no place among the jobs that run at once; only their trials do."""

    def __init__(self, room: Room, training: TrainingJobs) -> None:
        self._room, self._training = room, training
        self._book = JobBook(room, TUNING)
        self._halt = threading.Event()
        self._threads: dict[str, threading.Thread] = {}

    def create_hyper_parameter_tuning_job(self, params: Params) -> Answer:
        read_search(params)
        definition = params["TrainingJobDefinition"]
        self._training.refuse_unplayable({**definition, "TrainingJobName": params["HyperParameterTuningJobName"]})
        doc = self._book.create(params)
        self._start(doc["HyperParameterTuningJobName"])
        return {"HyperParameterTuningJobArn": doc["HyperParameterTuningJobArn"]}

    def describe_hyper_parameter_tuning_job(self, params: Params) -> Answer:
        return self._described(self._get(params))

    def list_hyper_parameter_tuning_jobs(self, params: Params) -> Answer:
        docs = [self._described(doc) for _, doc in self._room.records.all(TUNING.arn_kind)]
        return list_page((self._row(doc) for doc in docs), params, _JOBS)

    def list_training_jobs_for_hyper_parameter_tuning_job(self, params: Params) -> Answer:
        doc = self._get(params)
        by_value = params.get("SortBy") == "FinalObjectiveMetricValue"
        rows = [
            {**trial.job, "_Value": trial.value}
            for trial in read_trials(self._room, doc, read_search(doc))
            if trial.value is not None or not by_value
        ]
        return list_page(rows, {"SortBy": "Name", "SortOrder": "Ascending", **params}, _TRIALS)

    def stop_hyper_parameter_tuning_job(self, params: Params) -> Answer:
        self._get(params)
        self._book.request_stop(params["HyperParameterTuningJobName"])
        return {}

    def delete_hyper_parameter_tuning_job(self, params: Params) -> Answer:
        self._get(params)
        self._book.delete(params["HyperParameterTuningJobName"])
        return {}

    def resume(self) -> None:
        for name in self._book.unfinished():
            self._start(name)

    def stop(self) -> None:
        """End the threads; jobs that were under way stay unfinished on disk."""
        self._halt.set()
        for thread in self._threads.values():
            thread.join()

    def _start(self, name: str) -> None:
        run = TuningRun(self._book, self._training, name, self._halt)
        self._threads = {key: thread for key, thread in self._threads.items() if thread.is_alive()}
        self._threads[name] = threading.Thread(target=run.run, name=f"tuning {name}", daemon=True)
        self._threads[name].start()

    def _get(self, params: Params) -> Answer:
        doc = self._room.records.get(TUNING.arn_kind, params["HyperParameterTuningJobName"])
        if doc is None:
            raise not_there(TUNING.arn_kind, params["HyperParameterTuningJobName"])
        return dict(doc)

    def _described(self, doc: Answer) -> Answer:
        search = read_search(doc)
        trials = read_trials(self._room, doc, search)
        spent = sum(_seconds(trial.job, self._room.account.clock.epoch()) for trial in trials)
        return {**public(doc), **described(trials, search), "ConsumedResources": {"RuntimeInSeconds": round(spent)}}

    def _row(self, doc: Answer) -> Answer:
        config: dict[str, Any] = doc["HyperParameterTuningJobConfig"]
        return {**doc, "Strategy": config["Strategy"], "ResourceLimits": config["ResourceLimits"]}


def _seconds(job: Answer, now: float) -> float:
    return job.get("TrainingEndTime", now) - job["TrainingStartTime"] if "TrainingStartTime" in job else 0.0
