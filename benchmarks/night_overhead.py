"""What the nightly machine costs beyond its jobs: a night's wall time over the sum of the same jobs run bare.

A night runs whole on a fresh local account and the default world. Then each of its jobs is run again as it was, one after another, with
nothing around it: the same program, arguments, environment and inputs in a folder of its own, no machine, no door, no upload. Training runs both models
at once in the night and one after the other bare, as `sum` says.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.night_jobs import BareJob, bare_jobs
from cli.account_commands import start_and_deploy
from cli.data_commands import generate_world
from cli.night_commands import start_night, watch_run
from cli.site import connect
from local_account import lifecycle

GOAL = 1.15


def measure() -> dict[str, Any]:
    with tempfile.TemporaryDirectory(prefix="understudy-bench-") as scratch:
        state = Path(scratch) / "state"
        try:
            start_and_deploy("understudy", state)
            site = connect("understudy", state)
            generate_world(site)
            began = time.monotonic()
            arn = start_night(site, {"reason": "benchmark"})
            watch_run(site, arn)
            night_s = time.monotonic() - began
            jobs = bare_jobs(site, arn)
            times = {job.name: run_bare(job, Path(scratch) / "bare" / job.name) for job in jobs}
        finally:
            lifecycle.down(state)
    total = sum(times.values())
    for name, seconds in times.items():
        print(f"{name:50} {seconds:6.1f} s")  # noqa: T201
    print(f"{'night':50} {night_s:6.1f} s, jobs bare {total:.1f} s")  # noqa: T201
    ratio = round(night_s / total, 3)
    return {
        "value": ratio,
        "unit": "night / sum of bare jobs",
        "peer": round(total, 2),
        "ratio": ratio,
        "goal": GOAL,
        "holds": ratio <= GOAL,
        "night_s": round(night_s, 2),
        "jobs_s": {name: round(seconds, 2) for name, seconds in times.items()},
    }


def run_bare(job: BareJob, folder: Path) -> float:
    """Seconds of one job's process, its inputs laid out before the clock starts."""
    job.lay_out(folder)
    began = time.monotonic()
    done = subprocess.run(
        job.command(folder),
        env={**os.environ, **job.environment(folder)},
        cwd=job.cwd(folder),
        capture_output=True,
        text=True,
        check=False,
    )
    seconds = time.monotonic() - began
    if done.returncode != 0:
        raise SystemExit(f"{job.name} failed when run bare: {done.stderr[-500:]}")
    return seconds


if __name__ == "__main__":
    print(measure())  # noqa: T201
