"""One tuning job under way: a thread that begins trials, looks at them, and ends what is hopeless. All it knows is on disk."""

from __future__ import annotations

import logging
import threading
from hashlib import sha256
from typing import Any

from local_account.sagemaker.job_book import JobBook
from local_account.sagemaker.job_runner import fail, finish
from local_account.sagemaker.room import Answer
from local_account.sagemaker.training import TrainingJobs
from local_account.sagemaker.tuning_optimiser import propose
from local_account.sagemaker.tuning_request import OBJECTIVE, read_search
from local_account.sagemaker.tuning_rules import HOPELESS_AFTER, is_hopeless, why_over
from local_account.sagemaker.tuning_trials import CURVES, Trial, finished_values, read_trials
from local_account.wire import AwsError

logger = logging.getLogger(__name__)
LOOK_S = 0.1
_HANDED_ON = [
    "AlgorithmSpecification",
    "RoleArn",
    "InputDataConfig",
    "OutputDataConfig",
    "ResourceConfig",
    "VpcConfig",
    "StoppingCondition",
    "Environment",
    "EnableNetworkIsolation",
    "EnableInterContainerTrafficEncryption",
    "EnableManagedSpotTraining",
    "RetryStrategy",
]


class TuningRun:
    """Brings one tuning job to its end; `halt` leaves it for the next start."""

    def __init__(self, book: JobBook, training: TrainingJobs, name: str, halt: threading.Event) -> None:
        self._book, self._training, self._name, self._halt = book, training, name, halt
        self._room, self._search = book.room, read_search(book.get(name))

    def run(self) -> None:
        try:
            while not self._halt.is_set() and not self._advance():
                self._halt.wait(LOOK_S)
        except Exception:  # whatever it is, an acknowledged job must reach an end
            logger.exception("tuning job %s", self._name)
            self._stop_running(self._trials())
            fail(self._book, self._name, "InternalServerError: We encountered an internal error. Please try again.")

    def _trials(self) -> list[Trial]:
        return read_trials(self._room, self._book.get(self._name), self._search)

    def _advance(self) -> bool:
        """One look; whether the job has ended."""
        self._adopt()
        self._write_down_ends()
        doc, trials = self._book.get(self._name), self._trials()
        running = [trial for trial in trials if not trial.ended]
        if doc["HyperParameterTuningJobStatus"] == "Stopping":
            return self._stop(running)
        if self._search.stops_early:
            self._stop_hopeless(trials)
        over = self._why_over(doc, trials)
        if over is not None and not running:
            self._finish(trials)
            return True
        if over is None:
            self._begin(trials, len(running))
        return False

    # -- the end -------------------------------------------------------------------------------------------------

    def _why_over(self, doc: Answer, trials: list[Trial]) -> str | None:
        if len(trials) >= self._search.most:
            return "every training job was begun"
        ended = [trial for trial in trials if trial.ended]
        values = finished_values(trials)
        if len(ended) >= HOPELESS_AFTER and not values:
            return "no training job gave an objective"
        seconds = self._room.account.clock.epoch() - doc["CreationTime"]
        search = self._search
        return why_over(search.criteria, values, maximise=search.maximise, seconds=seconds, limit_s=search.limit_s)

    def _finish(self, trials: list[Trial]) -> None:
        if any(trial.value is not None for trial in trials):
            finish(self._book, self._name, "Completed")
            return
        told = next((f" The last one said: {t.job['FailureReason']}" for t in reversed(trials) if _failed(t)), "")
        fail(
            self._book,
            self._name,
            f"No objective metrics found after running {len(trials)} training jobs. Please ensure that the custom algorithm is "
            f"emitting the objective metric as defined by the regular expression provided.{told}",
        )

    def _stop(self, running: list[Trial]) -> bool:
        self._stop_running(running)
        if not running:
            finish(self._book, self._name, "Stopped")
        return not running

    def _stop_running(self, trials: list[Trial]) -> None:
        for trial in trials:
            if trial.status == "InProgress":
                self._stop_trial(trial.name)

    def _stop_trial(self, name: str) -> None:
        try:
            self._training.stop_training_job({"TrainingJobName": name})
        except AwsError:
            return  # it has just ended by itself

    def _stop_hopeless(self, trials: list[Trial]) -> None:
        ended = [trial.curve for trial in trials if trial.ended and trial.curve]
        for trial in trials:
            if trial.status == "InProgress" and is_hopeless(trial.curve, ended, maximise=self._search.maximise):
                logger.info("trial %s is worse than the median of those before it", trial.name)
                self._stop_trial(trial.name)

    # -- trials --------------------------------------------------------------------------------------------------

    def _begin(self, trials: list[Trial], running: int) -> None:
        search = self._search
        tried = [trial.tried() for trial in trials]
        number = len(trials)
        while running < search.parallel and number < search.most:
            found = propose(search.space, search.strategy, tried, maximise=search.maximise, seed=search.seed)
            if found is None:
                return
            number, running = number + 1, running + 1
            mark = sha256(f"{self._name} {number} {sorted(found.items())}".encode()).hexdigest()[:8]
            row = {"name": f"{self._name}-{number:03d}-{mark}", "parameters": found, "at": self._now()}
            self._note([*self._rows(), row])  # on disk before its training job: a restart finds it by this name
            self._adopt()
            tried = [trial.tried() for trial in self._trials()]

    def _adopt(self) -> None:
        """Create the training job of every trial that has none: just noted, or noted before the account went down."""
        rows = self._rows()
        for row in rows:
            if "ended" in row or self._room.records.get("training-job", row["name"]) is not None:
                continue
            try:
                self._training.launch(self._request(row), **self._marks())
            except (
                AwsError
            ) as refused:  # a channel or a role is gone: this trial failed, and the next ones will say so too
                trial = next(t for t in self._trials() if t.name == row["name"])
                row["ended"] = {
                    **trial.job,
                    "TrainingJobStatus": "Failed",
                    "ObjectiveStatus": "Failed",
                    "FailureReason": f"ClientError: {refused.message}",
                    "TrainingEndTime": self._now(),
                }
                row["curve"] = []
                self._note(rows)

    def _marks(self) -> Answer:
        return {
            "TuningJobArn": self._book.get(self._name)["HyperParameterTuningJobArn"],
            "_Objective": self._search.metric,
        }

    def _request(self, row: Answer) -> Answer:
        doc = self._book.get(self._name)
        definition = doc["TrainingJobDefinition"]
        static = definition.get("StaticHyperParameters", {})
        request: dict[str, Any] = {member: definition[member] for member in _HANDED_ON if member in definition}
        if checkpoints := definition.get("CheckpointConfig"):  # one folder a trial: they must not resume each other's
            request["CheckpointConfig"] = {**checkpoints, "S3Uri": f"{checkpoints['S3Uri'].rstrip('/')}/{row['name']}"}
        tags = self._room.tags(doc["HyperParameterTuningJobArn"])
        return {
            **request,
            "TrainingJobName": row["name"],
            "HyperParameters": {**static, **row["parameters"], OBJECTIVE: self._search.metric},
            **({"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]} if tags else {}),
        }

    def _write_down_ends(self) -> None:
        rows, changed = self._rows(), False
        for row, trial in zip(rows, self._trials(), strict=True):
            if trial.ended and "ended" not in row:
                row |= {"ended": trial.job, "curve": trial.curve}
                self._room.records.delete(CURVES, trial.name)
                changed = True
        if changed:
            self._note(rows)

    def _rows(self) -> list[Answer]:
        return list(self._book.get(self._name).get("_Trials", []))

    def _note(self, rows: list[Answer]) -> None:
        self._book.change(self._name, _Trials=rows)

    def _now(self) -> float:
        return self._room.account.clock.epoch()


def _failed(trial: Trial) -> bool:
    return "FailureReason" in trial.job
