"""Monitors by hand, as people see them: what each said, what it found, and why one could not say."""

from __future__ import annotations

import io
import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import ClassVar

import pytest
from rich.console import Console

from cli.monitor_command import monitors_table
from cli.monitor_runs import KINDS, await_monitors, start_monitors
from monitors.formats import Kind

NO_DATA = "Job inputs had no data: no list of r-1 in the window"
VIOLATION = {"feature_name": "user_age", "constraint_check_type": "completeness_check", "description": "0.2"}
REPORT = "s3://b/monitors/data-quality/x"
ENDS = {
    "data-quality": {
        "status": "SUCCEEDED",
        "output": json.dumps({"said": "CompletedWithViolations: 1", "release_id": "r-1", "report_uri": REPORT}),
    },
    "model-quality": {"status": "FAILED", "cause": json.dumps({"ExitMessage": NO_DATA})},
    "bias": {"status": "SUCCEEDED", "output": json.dumps({"kind": "bias", "said": "no release is on stage"})},
}


class Account:
    """Executions that are over when they are looked at a second time, and one report."""

    outputs: ClassVar = {"MonitorMachineArn": "arn:machine"}

    def __init__(self) -> None:
        self.started: dict[str, dict[str, str]] = {}
        self.looks = 0

    def client(self, service: str) -> SimpleNamespace:
        return SimpleNamespace(
            start_execution=self._start, describe_execution=self._describe, get_object=self._get_object
        )

    def _start(self, stateMachineArn: str, name: str, input: str) -> dict[str, str]:
        self.started[name] = json.loads(input)
        return {"executionArn": name}

    def _describe(self, executionArn: str) -> dict[str, str]:
        self.looks += 1
        over = self.looks > len(self.started)
        return ENDS[self.started[executionArn]["kind"]] if over else {"status": "RUNNING"}

    def _get_object(self, Bucket: str, Key: str) -> dict[str, io.BytesIO]:
        assert (Bucket, Key) == ("b", "monitors/data-quality/x/constraint_violations.json")
        return {"Body": io.BytesIO(json.dumps({"violations": [VIOLATION]}).encode())}


@pytest.fixture
def runs(monkeypatch):
    monkeypatch.setattr("cli.monitor_runs.sleep", lambda _seconds: None)
    site = Account()
    window = datetime(2026, 11, 24, 3, tzinfo=UTC), datetime(2026, 11, 24, 4, tzinfo=UTC)
    started = start_monitors(site, tuple(ENDS), *window)
    await_monitors(site, started)
    assert {(one["window_start"], one["window_end"]) for one in site.started.values()} == {
        ("2026-11-24T03:00:00+00:00", "2026-11-24T04:00:00+00:00")
    }
    assert len(site.started) == len(ENDS), "each execution has a name of its own"
    return {run.kind: run for run in started}


def test_a_violation_is_an_answer_and_a_failure_says_why(runs):
    assert runs["data-quality"].violations == [VIOLATION]
    assert (runs["model-quality"].status, runs["model-quality"].said) == ("FAILED", NO_DATA)
    assert runs["bias"].said == "no release is on stage"


def test_the_table_counts_what_was_found(runs):
    console = Console(width=120, record=True, file=io.StringIO())
    console.print(monitors_table(list(runs.values())))
    rows = {line.split()[2]: line for line in console.export_text().splitlines() if line.startswith("│")}
    assert "✗" in rows["data-quality"]
    assert "CompletedWithViolations" in rows["data-quality"]
    assert "Job inputs had no data" in rows["model-quality"]
    assert "✓" in rows["bias"]


def test_the_command_knows_every_kind_of_monitor():
    assert set(KINDS) == {kind.value for kind in Kind}
