"""Monitors by hand: executions of the monitor machine over one window, and what came of each."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from time import sleep
from typing import Any

from botocore.exceptions import ClientError

from cli.run_names import run_name
from cli.run_view import FINAL
from cli.site import Site

KINDS = ("data-quality", "model-quality", "bias", "explainability", "ranking-quality")
POLL_S = 0.5


@dataclass(slots=True)
class MonitorRun:
    """One kind's execution. `said` is its job's exit message, or why it failed."""

    kind: str
    arn: str
    status: str = "RUNNING"
    said: str = ""
    release_id: str = ""
    report_uri: str = ""
    violations: list[dict[str, str]] = field(default_factory=list)

    @property
    def over(self) -> bool:
        return self.status in FINAL


def start_monitors(
    site: Site, kinds: Sequence[str], start: datetime, end: datetime, *, labels: str = "fresh", reason: str = "by hand"
) -> list[MonitorRun]:
    """One execution a kind, over the window [start, end)."""
    window = {"window_start": start.isoformat(), "window_end": end.isoformat(), "labels": labels, "reason": reason}
    stem = run_name("hand")
    return [
        MonitorRun(kind, _start(site, f"{stem}-{number}", {"kind": kind, **window}))
        for number, kind in enumerate(kinds, 1)
    ]


def _start(site: Site, name: str, request: dict[str, str]) -> str:
    arn: str = site.client("stepfunctions").start_execution(
        stateMachineArn=site.outputs["MonitorMachineArn"], name=name, input=json.dumps(request)
    )["executionArn"]
    return arn


def await_monitors(
    site: Site, runs: Sequence[MonitorRun], progress: Callable[[Sequence[MonitorRun]], None] = lambda _runs: None
) -> None:
    """Follow executions to their ends."""
    states = site.client("stepfunctions")
    while not all(run.over for run in runs):
        for run in runs:
            if not run.over:
                _look(site, run, states.describe_execution(executionArn=run.arn))
        progress(runs)
        if not all(run.over for run in runs):
            sleep(POLL_S)


def _look(site: Site, run: MonitorRun, described: dict[str, Any]) -> None:
    run.status = described["status"]
    if run.status == "SUCCEEDED":
        output = json.loads(described["output"])
        run.said, run.release_id = output["said"], output.get("release_id", "")
        run.report_uri = output.get("report_uri", "")
        if run.report_uri:
            run.violations = json.loads(_read(site, f"{run.report_uri}/constraint_violations.json"))["violations"]
    elif run.over:
        run.said = sentence_of(str(described.get("cause") or run.status))


def sentence_of(cause: str) -> str:
    """The job's own sentence, where the cause is a job's description.

    Examples
    --------
    >>> sentence_of('{"ExitMessage": "Job inputs had no data: x"}'), sentence_of("Rate Exceeded.")
    ('Job inputs had no data: x', 'Rate Exceeded.')
    """
    try:
        job = json.loads(cause)
        return str(job.get("ExitMessage") or job.get("FailureReason") or cause)
    except (ValueError, AttributeError):
        return cause


def save_report(site: Site, run: MonitorRun, folder: Path) -> Path | None:
    """The run's report as a file; None when it made none."""
    if not run.report_uri:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{run.kind}.html"
    try:
        file.write_bytes(_read(site, f"{run.report_uri}/report.html"))
    except ClientError as error:
        if error.response["Error"]["Code"] == "NoSuchKey":
            return None
        raise
    return file


def what(violation: dict[str, str]) -> str:
    """Whatever the kind calls its parts.

    Examples
    --------
    >>> what({"facet": "city", "facet_value": "Oslo", "metric_name": "DI", "constraint_check_type": "bias_drift_check"})
    'city Oslo DI'
    """
    parts = ("feature_name", "facet", "facet_value", "label", "metric_name")
    return " ".join(violation[part] for part in parts if part in violation)


def _read(site: Site, uri: str) -> bytes:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    body: bytes = site.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return body
