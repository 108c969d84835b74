"""The whole account is killed in the middle of a night: what was acknowledged is there again, and the night ends well."""

from __future__ import annotations

import json
import os
import signal
import time
from collections import Counter
from pathlib import Path

import pytest

from cli.data_commands import generate_world
from cli.night_commands import start_night
from cli.site import Site
from cli.stage import read_releases
from local_account import lifecycle
from support.deployed import deployed, run_to_its_end

pytestmark = pytest.mark.timeout(600)
WORLD = {"users": 200, "items": 150, "days": 8, "impressions_per_day": 1500, "seed": 5}
PATIENCE_S = 120.0


def kill_once_a_training_runs(site: Site, state: Path) -> None:
    """SIGKILL to the account while a training job is in progress; its jobs and workers are not told."""
    sagemaker, ends = site.client("sagemaker"), time.monotonic() + PATIENCE_S
    while not sagemaker.list_training_jobs(StatusEquals="InProgress")["TrainingJobSummaries"]:
        assert time.monotonic() < ends, "no training began"
        time.sleep(0.1)
    running = lifecycle.status(state)
    assert running is not None
    os.kill(running.pid, signal.SIGKILL)
    while lifecycle.status(state) is not None:
        time.sleep(0.05)


def test_a_night_goes_on_after_the_account_was_killed_and_registers_one_release(tmp_path):
    with deployed(tmp_path) as site:
        generate_world(site, **WORLD)
        arn = start_night(site, {"reason": "journey", "window_days": 7})
        kill_once_a_training_runs(site, tmp_path)
        port = int((tmp_path / "endpoint").read_text().rpartition(":")[2])
        lifecycle.up(tmp_path, port=port)

        night = run_to_its_end(site, arn)
        if night.status != "SUCCEEDED":  # the jobs died with the account: said so, and redriven as on AWS
            assert night.described["error"], night.failure()
            site.client("stepfunctions").redrive_execution(executionArn=arn)
            night = run_to_its_end(site, arn)
        assert night.status == "SUCCEEDED", night.failure()

        releases = read_releases(site)
        assert [release["release_id"] for release in releases] == [json.loads(night.described["output"])["release_id"]]
        finished = Counter(
            job["ProcessingJobName"].split("-night")[0]
            for job in site.client("sagemaker").list_processing_jobs(StatusEquals="Completed")["ProcessingJobSummaries"]
        )
        assert finished == Counter(["prepare-data", "embed-items", "index-items", "evaluate", "baseline"]), (
            "no job is done twice"
        )
