"""The jobs of one kind as they stand: made, changed, listed and deleted, each change on disk first and then told to the bus."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from local_account.sagemaker.errors import arn, invalid, job_in_use, job_not_found
from local_account.sagemaker.listing import Listing
from local_account.sagemaker.room import Answer, Params, Room, event_detail

TERMINAL = frozenset({"Completed", "Failed", "Stopped"})
REASON_LIMIT = 1024


@dataclass(frozen=True, slots=True)
class JobKind:
    """How a kind of job is called where."""

    word: str  # "Training"
    members: tuple[str, ...]  # members of Create's input that Describe gives back
    log_group: str
    spoken: str = ""  # the word as events say it, where that is another

    @property
    def arn_kind(self) -> str:
        return re.sub(r"(?<!^)(?=[A-Z])", "-", self.word).lower() + "-job"

    @property
    def name(self) -> str:
        return f"{self.word}JobName"

    @property
    def arn(self) -> str:
        return f"{self.word}JobArn"

    @property
    def status(self) -> str:
        return f"{self.word}JobStatus"

    @property
    def event(self) -> str:
        return f"SageMaker {self.spoken or self.word} Job State Change"

    @property
    def listing(self) -> Listing:
        summary = (
            self.name,
            self.arn,
            self.status,
            "CreationTime",
            "LastModifiedTime",
            "FailureReason",
            "ExitMessage",
            "SecondaryStatus",
        )
        ends = ("TrainingEndTime", "ProcessingEndTime", "TransformEndTime")
        return Listing(f"{self.word}JobSummaries", (*summary, *ends), self.name, self.status)


class JobBook:
    def __init__(self, room: Room, kind: JobKind) -> None:
        self.room, self.kind = room, kind
        self._lock = threading.RLock()

    def create(self, params: Params, **first: Any) -> Answer:
        """Write a new job down; a name in use is refused."""
        name = params[self.kind.name]
        now = self.room.account.clock.epoch()
        with self._lock:
            if self.room.records.get(self.kind.arn_kind, name) is not None:
                raise job_in_use(self.kind.arn_kind, name)
            doc = {member: params[member] for member in self.kind.members if member in params}
            doc |= {self.kind.name: name, self.kind.arn: arn(self.kind.arn_kind, name), self.kind.status: "InProgress"}
            doc |= {"CreationTime": now, "LastModifiedTime": now, **first}
            self.room.records.delete("tags", doc[self.kind.arn])
            if params.get("Tags"):
                self.room.tag(doc[self.kind.arn], params["Tags"])
            self.room.records.put(self.kind.arn_kind, name, doc)
        self._tell(doc)
        return doc

    def get(self, name: str) -> Answer:
        doc = self.room.records.get(self.kind.arn_kind, name)
        if doc is None:
            raise job_not_found(self.kind.arn_kind, name)
        return doc

    def change(self, name: str, **members: Any) -> Answer:
        """Set members. A new `SecondaryStatus` becomes a transition; a new status of either kind becomes an event.

        A job that has ended keeps its end: later changes are dropped, so that Stop and completion cannot overwrite each other.
        """
        with self._lock:
            before = self.get(name)
            if before[self.kind.status] in TERMINAL:
                return before
            now = self.room.account.clock.epoch()
            doc = {**before, **members, "LastModifiedTime": now}
            if "FailureReason" in members:
                doc["FailureReason"] = members["FailureReason"][:REASON_LIMIT]
            moved = any(doc.get(m) != before.get(m) for m in (self.kind.status, "SecondaryStatus"))
            if doc.get("SecondaryStatus") != before.get("SecondaryStatus"):
                doc["SecondaryStatusTransitions"] = _transitions(doc, now)
            self.room.records.put(self.kind.arn_kind, name, doc)
        if moved:
            self._tell(doc)
        return doc

    def request_stop(self, name: str) -> Answer:
        with self._lock:
            if self.get(name)[self.kind.status] != "InProgress":
                raise invalid(
                    f"The request was rejected because the {self.kind.word.lower()} job is in status {self.get(name)[self.kind.status]}."
                )
            secondary = {"SecondaryStatus": "Stopping"} if self.kind.word == "Training" else {}
            return self.change(name, **{self.kind.status: "Stopping"}, **secondary)

    def delete(self, name: str) -> Answer:
        with self._lock:
            doc = self.get(name)
            if doc[self.kind.status] not in TERMINAL:
                raise invalid(
                    f"The job {name} is in status {doc[self.kind.status]}; only a job that has ended can be deleted."
                )
            self.room.records.delete(self.kind.arn_kind, name)
            self.room.records.delete("tags", doc[self.kind.arn])
            return doc

    def unfinished(self) -> Iterator[str]:
        for name, doc in self.room.records.all(self.kind.arn_kind):
            if doc[self.kind.status] not in TERMINAL:
                yield name

    def _tell(self, doc: Answer) -> None:
        tags = self.room.tags(doc[self.kind.arn])
        self.room.account.emit("aws.sagemaker", self.kind.event, event_detail(doc, tags), [doc[self.kind.arn]])


_MESSAGES = {
    "Starting": "Starting the training job",
    "Downloading": "Downloading input data",
    "Training": "Training in-progress",
    "Uploading": "Uploading generated training model",
    "Stopping": "Stopping the training job",
    "Restarting": "Restarting the training job after the account was away",
    "Completed": "Training job completed",
    "Failed": "Training job failed",
    "Stopped": "Training job stopped",
    "MaxRuntimeExceeded": "Training job runtime exceeded MaxRuntimeInSeconds provided",
}


def _transitions(doc: Answer, now: float) -> list[Answer]:
    status = doc["SecondaryStatus"]
    past = [dict(step) for step in doc.get("SecondaryStatusTransitions", [])]
    if past and "EndTime" not in past[-1]:
        past[-1]["EndTime"] = now
    step = {"Status": status, "StartTime": now, "StatusMessage": _MESSAGES.get(status, status)}
    if status in TERMINAL or status == "MaxRuntimeExceeded":
        step["EndTime"] = now
    return [*past, step]
