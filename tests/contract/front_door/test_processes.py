"""local_account/processes.py with real children."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from local_account.processes import end, spawn

SLEEP = [sys.executable, "-c", "import time; print('up', flush=True); time.sleep(60)"]
DEAF = [
    sys.executable,
    "-c",
    "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(60)",
]


def gone(pid: int) -> bool:
    return not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE


def eventually(holds: Callable[[], bool], within_s: float = 10.0) -> bool:
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if holds():
            return True
        time.sleep(0.02)
    return holds()


@pytest.mark.parametrize(
    ("program", "code"), [(SLEEP, -signal.SIGTERM), (DEAF, -signal.SIGKILL)], ids=["asked", "deaf"]
)
def test_end_asks_and_then_forces(program: list[str], code: int) -> None:
    child = spawn(program, env={"PATH": os.defpath}, stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        child.stdout.readline()
        assert end(child, grace_s=0.3) == code


def test_a_grandchild_ends_with_its_group() -> None:
    script = f"import subprocess, time; print(subprocess.Popen({SLEEP!r}).pid, flush=True); time.sleep(60)"
    with spawn([sys.executable, "-c", script], env={"PATH": os.defpath}, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        grandchild = int(child.stdout.readline())
        end(child, grace_s=0.3)
        assert eventually(lambda: gone(grandchild))


def test_a_child_outlives_the_thread_that_asked_for_it() -> None:
    started: list[subprocess.Popen[bytes]] = []
    thread = threading.Thread(
        target=lambda: started.append(spawn(SLEEP, env={"PATH": os.defpath}, stdout=subprocess.PIPE))
    )
    thread.start()
    thread.join()
    with started[0] as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"up\n"
        assert child.poll() is None
        end(child)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux tells a child of its parent's death")
def test_a_killed_parent_takes_its_children_along(tmp_path: Path) -> None:
    script = (
        "import os, time; from local_account.processes import spawn; "
        f"print(spawn({SLEEP!r}, env=dict(os.environ)).pid, flush=True); time.sleep(60)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[3])}
    with subprocess.Popen(
        [sys.executable, "-c", script], env=environment, cwd=tmp_path, stdout=subprocess.PIPE
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert not gone(child)
        parent.kill()
        assert eventually(lambda: gone(child))


def test_a_program_that_is_not_there_is_refused_at_once() -> None:
    with pytest.raises(FileNotFoundError, match="no-such-program"):
        spawn(["no-such-program"], env={"PATH": os.defpath})
