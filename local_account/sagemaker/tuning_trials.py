"""A tuning job's trials as they stand: which parameters, which training job, what it came to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from local_account.sagemaker.errors import arn
from local_account.sagemaker.job_book import TERMINAL
from local_account.sagemaker.room import Answer, Room
from local_account.sagemaker.tuning_optimiser import Tried
from local_account.sagemaker.tuning_request import Search

CURVES = "objective-curve"  # records: what the objective's regex has read of a trial's log so far
_FROM_JOB = ("CreationTime", "TrainingStartTime", "TrainingEndTime", "TrainingJobStatus", "FailureReason")


@dataclass(frozen=True, slots=True)
class Trial:
    """One training job of a tuning job. `job` is its summary as ListTrainingJobsForHyperParameterTuningJob gives it."""

    job: Answer
    curve: list[float]

    @property
    def name(self) -> str:
        return str(self.job["TrainingJobName"])

    @property
    def status(self) -> str:
        return str(self.job["TrainingJobStatus"])

    @property
    def ended(self) -> bool:
        return self.status in TERMINAL

    @property
    def value(self) -> float | None:
        """The objective's last value once the job has ended."""
        metric = self.job.get("FinalHyperParameterTuningJobObjectiveMetric")
        return None if metric is None else float(metric["Value"])

    def tried(self) -> Tried:
        return Tried(self.job["TunedHyperParameters"], self.value, self.ended)


def read_trials(room: Room, doc: Mapping[str, Any], search: Search) -> list[Trial]:
    """Every trial that was begun, in order. What has ended is in the tuning job's own record: its training job may be gone."""
    return [_read(room, doc, row, search) for row in doc.get("_Trials", [])]


def _read(room: Room, doc: Mapping[str, Any], row: Mapping[str, Any], search: Search) -> Trial:
    if "ended" in row:
        return Trial(row["ended"], row["curve"])
    name = row["name"]
    job = room.records.get("training-job", name) or {"TrainingJobStatus": "InProgress", "CreationTime": row["at"]}
    summary = {
        "TrainingJobName": name,
        "TrainingJobArn": arn("training-job", name),
        "TuningJobName": doc["HyperParameterTuningJobName"],
        "TunedHyperParameters": row["parameters"],
        **{member: job[member] for member in _FROM_JOB if member in job},
        **_objective(job, search),
    }
    if definition := doc["TrainingJobDefinition"].get("DefinitionName"):
        summary["TrainingJobDefinitionName"] = definition
    return Trial(summary, room.records.get(CURVES, name) or [])


def _objective(job: Mapping[str, Any], search: Search) -> Answer:
    if job["TrainingJobStatus"] not in TERMINAL:
        return {"ObjectiveStatus": "Pending"}
    found = [row["Value"] for row in job.get("FinalMetricDataList", []) if row["MetricName"] == search.metric]
    if not found or job["TrainingJobStatus"] == "Failed":
        return {"ObjectiveStatus": "Failed"}
    kind = "Maximize" if search.maximise else "Minimize"
    metric = {"Type": kind, "MetricName": search.metric, "Value": found[0]}
    return {"ObjectiveStatus": "Succeeded", "FinalHyperParameterTuningJobObjectiveMetric": metric}


def finished_values(trials: Sequence[Trial]) -> list[float]:
    """Objectives in the order the trials ended."""
    ended = [trial for trial in trials if trial.value is not None]
    return [t.value for t in sorted(ended, key=lambda t: t.job.get("TrainingEndTime", 0.0)) if t.value is not None]


def best_trial(trials: Sequence[Trial], search: Search) -> Trial | None:
    """The best of those that completed; one that was stopped early has left no model behind. Ties: the earlier one."""
    done = [trial for trial in trials if trial.value is not None and trial.status == "Completed"]
    pick = max if search.maximise else min
    return pick(done, key=lambda trial: trial.value or 0.0) if done else None


def described(trials: Sequence[Trial], search: Search) -> Answer:
    """What Describe says of all trials together."""
    statuses = Counter(trial.status for trial in trials)
    objectives = Counter(trial.job["ObjectiveStatus"] for trial in trials)
    answer: Answer = {
        "TrainingJobStatusCounters": {
            "Completed": statuses["Completed"],
            "InProgress": statuses["InProgress"] + statuses["Stopping"],
            "RetryableError": 0,
            "NonRetryableError": statuses["Failed"],
            "Stopped": statuses["Stopped"],
        },
        "ObjectiveStatusCounters": {name: objectives[name] for name in ("Succeeded", "Pending", "Failed")},
    }
    best = best_trial(trials, search)
    return answer if best is None else {**answer, "BestTrainingJob": best.job}


def curve_listener(room: Room, doc: Mapping[str, Any]) -> Callable[[str, float], None] | None:
    """Keeps the objective of a training job that is a trial, value by value; None for any other training job."""
    objective, name = doc.get("_Objective"), doc["TrainingJobName"]
    if objective is None:
        return None
    curve: list[float] = []
    room.records.put(CURVES, name, curve)  # a trial that is run again begins its curve anew

    def hear(metric: str, value: float) -> None:
        if metric == objective and value - value == 0:
            curve.append(value)
            room.records.put(CURVES, name, curve)

    return hear
