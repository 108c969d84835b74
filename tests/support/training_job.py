"""The two-tower training job for tests: in a process of its own as SageMaker runs it, or within this one for speed."""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from unittest import mock

CODE = Path(__file__).parents[2] / "model_code"


@dataclass(frozen=True)
class Finished:
    """A job's end: exit code, log, model folder, and the sentence in the failure file."""

    code: int
    log: str
    errors: str
    model: Path
    failure: str

    @property
    def manifest(self) -> dict:
        return json.loads((self.model / "manifest.json").read_text())

    @property
    def losses(self) -> list[float]:
        return self.manifest["metrics"]["losses"]


def job_environment(prepared: Path, opt: Path) -> dict[str, str]:
    """What SageMaker's toolkit sets; one thread, so that sums have one order."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(CODE),
        "SM_CHANNEL_PREPARED": str(prepared),
        "SM_MODEL_DIR": str(opt / "model"),
        "SM_OUTPUT_DATA_DIR": str(opt / "output" / "data"),
        "OMP_NUM_THREADS": "1",
    }


def train_here(prepared: Path, opt: Path, *options: str, **environ: str) -> Finished:
    """The job's own entry, without the seconds that a process needs to import torch."""
    from features.job import run
    from two_tower.parameters import training_parser
    from two_tower.train import main

    log, errors = io.StringIO(), io.StringIO()
    with (
        mock.patch.dict(os.environ, job_environment(prepared, opt) | environ),
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(errors),
    ):
        code = run(training_parser(), main, list(options))
    return _finished(code, log.getvalue(), errors.getvalue(), opt)


def train_apart(prepared: Path, opt: Path, *options: str) -> Finished:
    """The job in a process of its own."""
    done = subprocess.run(
        [sys.executable, str(CODE / "two_tower" / "train.py"), *options],
        env=job_environment(prepared, opt),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    return _finished(done.returncode, done.stdout, done.stderr, opt)


def _finished(code: int, log: str, errors: str, opt: Path) -> Finished:
    failure = opt / "output" / "failure"
    return Finished(code, log, errors, opt / "model", failure.read_text() if failure.exists() else "")


Train = Callable[..., Finished]
