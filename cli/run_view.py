"""A run of a state machine as people see it: which states ran, how long, what their jobs last said. Read from its history."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from rich.table import Table

from cli.site import Site

FINAL = {"SUCCEEDED", "FAILED", "TIMED_OUT", "ABORTED"}
_TUNING = ""  # a search has no log of its own: its trials are counted
_JOBS = {
    "createTrainingJob.sync": ("/aws/sagemaker/TrainingJobs", "TrainingJobName"),
    "createProcessingJob.sync": ("/aws/sagemaker/ProcessingJobs", "ProcessingJobName"),
    "createHyperParameterTuningJob.sync": (_TUNING, "HyperParameterTuningJobName"),
    "createTransformJob.sync": ("/aws/sagemaker/TransformJobs", "TransformJobName"),
}


@dataclass(slots=True)
class StateView:
    """One visit of one state; `job` when it runs a SageMaker job."""

    name: str
    entered: datetime
    left: datetime | None = None
    job: str | None = None
    log_group: str | None = None
    last_line: str = ""
    failed: bool = False

    def seconds(self, now: datetime) -> float:
        return ((self.left or now) - self.entered).total_seconds()


@dataclass(slots=True)
class RunView:
    """An execution, followed by `refresh`; reads only the history that is new, and the logs of jobs that run."""

    site: Site
    arn: str
    states: list[StateView] = field(default_factory=list)
    status: str = "RUNNING"
    described: dict[str, Any] = field(default_factory=dict)
    _seen: int = 0
    _by_event: dict[int, StateView] = field(default_factory=dict)

    def refresh(self) -> None:
        states = self.site.client("stepfunctions")
        self.described = states.describe_execution(executionArn=self.arn)
        for event in self._new_events(states):
            self._take(event)
        self.status = self.described["status"]
        for state in self.states:
            if state.job and state.left is None:
                state.last_line = self._last_line(state) or state.last_line

    def _new_events(self, states: Any) -> Iterator[dict[str, Any]]:
        pages = states.get_paginator("get_execution_history").paginate(executionArn=self.arn, includeExecutionData=True)
        for page in pages:
            for event in page["events"]:
                if event["id"] > self._seen:
                    self._seen = event["id"]
                    yield event

    def _take(self, event: dict[str, Any]) -> None:
        state = self._by_event.get(event["previousEventId"])
        if event["type"].endswith("StateEntered"):
            state = StateView(event["stateEnteredEventDetails"]["name"], event["timestamp"])
            self.states.append(state)
        elif event["type"] == "TaskScheduled" and state is not None:
            details = event["taskScheduledEventDetails"]
            if details["resource"] in _JOBS:
                state.log_group, key = _JOBS[details["resource"]]
                state.job = json.loads(details["parameters"]).get(key)
        elif event["type"].endswith("StateExited") and state is not None:
            state.left = event["timestamp"]
        elif event["type"] in {"TaskFailed", "TaskTimedOut"} and state is not None:
            state.failed = True
        if state is not None:
            self._by_event[event["id"]] = state

    def _last_line(self, state: StateView) -> str:
        return self._search(state.job or "") if state.log_group == _TUNING else self._log(state)

    def _search(self, job: str) -> str:
        """How far a tuning job is."""
        sagemaker = self.site.client("sagemaker")
        found = sagemaker.describe_hyper_parameter_tuning_job(HyperParameterTuningJobName=job)
        trials, limits = found["TrainingJobStatusCounters"], found["HyperParameterTuningJobConfig"]["ResourceLimits"]
        most = f" of {limits['MaxNumberOfTrainingJobs']}" if "MaxNumberOfTrainingJobs" in limits else ""
        told = [f"{trials['Completed'] + trials['Stopped'] + trials['NonRetryableError']}{most} trials ended"]
        told += [f"{trials['InProgress']} run"] if trials["InProgress"] else []
        told += [f"{trials['Stopped']} stopped early"] if trials["Stopped"] else []
        told += [f"{trials['NonRetryableError']} failed"] if trials["NonRetryableError"] else []
        if best := found.get("BestTrainingJob"):
            metric = best["FinalHyperParameterTuningJobObjectiveMetric"]
            told.append(f"best {metric['MetricName']} {metric['Value']:.4f}")
        return ", ".join(told)

    def _log(self, state: StateView) -> str:
        logs = self.site.client("logs")
        try:
            streams = logs.describe_log_streams(logGroupName=state.log_group, logStreamNamePrefix=f"{state.job}/")[
                "logStreams"
            ]
            if not streams:
                return ""
            tail = logs.get_log_events(
                logGroupName=state.log_group, logStreamName=streams[0]["logStreamName"], limit=1, startFromHead=False
            )
        except logs.exceptions.ResourceNotFoundException:
            return ""
        return tail["events"][-1]["message"].rstrip() if tail["events"] else ""

    # -- shown ---------------------------------------------------------------------------------------------------

    def table(self) -> Table:
        """Jobs and the states that took a second or run now; the quick ones are counted in one line."""
        now = datetime.now(UTC)
        shown = [
            s
            for s in self.states
            if s.job or s.failed or (s.left is None and s.seconds(now) > 0.5) or s.seconds(now) >= 1
        ]
        table = Table(title=f"{self.arn.rsplit(':', 1)[1]}: {self.status}", title_justify="left", expand=True)
        table.add_column("state", no_wrap=True)
        table.add_column("time", justify="right", no_wrap=True)
        table.add_column("job said last", ratio=1, no_wrap=True, overflow="ellipsis")
        for state in shown:
            mark = "[red]✗[/]" if state.failed else "[green]✓[/]" if state.left else "[yellow]…[/]"
            table.add_row(f"{mark} {state.name}", f"{state.seconds(now):.1f} s", state.last_line or state.job or "")
        quick = [s for s in self.states if s not in shown]
        if quick:
            table.add_row(
                f"[dim]{len(quick)} quick states[/]",
                f"[dim]{sum(s.seconds(now) for s in quick):.1f} s[/]",
                "[dim]look-ups, questions, leases[/]",
            )
        return table

    def failure(self) -> str:
        """Why it ended badly, in the machine's own words, the job's sentence first."""
        cause = str(self.described.get("cause") or "no cause was given")
        try:
            job = json.loads(cause)
            cause = job.get("FailureReason") or job.get("ExitMessage") or cause
        except (ValueError, AttributeError):
            pass
        return f"{self.described.get('error', self.status)}: {cause}"
