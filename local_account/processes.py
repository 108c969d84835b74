"""Children of the account: in their own session, and never alive after it.

A child is ended in three ways: `end` asks and then forces; the account's death, even by SIGKILL, takes it along
(Linux, `PR_SET_PDEATHSIG`; elsewhere a child outlives a killed account and only `end` reaches it); or it exits itself.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import IO, Any

# The kernel sends the signal when the *thread* that forked ends, so all children come from one that never does.
_nursery = ThreadPoolExecutor(max_workers=1, thread_name_prefix="nursery")

# Runs between fork and the real program: a preexec_fn would run Python in a fork of a many-threaded process, which
# may hang on a lock that some other thread held. prctl survives exec; 1 is PR_SET_PDEATHSIG, 9 is SIGKILL.
_BIND_TO_PARENT = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)
if os.getppid() != int(sys.argv[1]):
    os._exit(137)
try:
    os.execvpe(sys.argv[2], sys.argv[2:], os.environ)
except OSError as error:
    sys.stderr.write(f"{sys.argv[2]}: {error}\\n")
    os._exit(127)
"""

Stream = int | IO[Any] | None


def spawn(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str],
    cwd: str | Path | None = None,
    stdin: Stream = subprocess.DEVNULL,
    stdout: Stream = None,
    stderr: Stream = None,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a program in its own session and process group; it dies with this process.

    Parameters
    ----------
    argv
        Program and arguments. A bare name is looked up on `env`'s PATH.
    env
        The child's whole environment; nothing is inherited.
    stdin, stdout, stderr, pass_fds, cwd
        As for `subprocess.Popen`; stdin is empty unless given.

    Returns
    -------
    subprocess.Popen
        Its pid is also the id of the group, which holds whatever the child starts in turn.

    Raises
    ------
    FileNotFoundError
        If there is no such program or no such folder.
    """
    words = _command(argv, env, cwd)

    def start() -> subprocess.Popen[bytes]:
        return subprocess.Popen(
            words,
            env=dict(env),
            cwd=cwd,
            stdin=stdin,
            stdout=stdout,
            stderr=stderr,
            pass_fds=tuple(pass_fds),
            start_new_session=True,
        )

    return _nursery.submit(start).result()


def _command(argv: Sequence[str | Path], env: Mapping[str, str], cwd: str | Path | None) -> list[str]:
    words = [str(word) for word in argv]
    program = shutil.which(words[0], path=env.get("PATH", os.defpath))
    if program is None and not (cwd is not None and Path(cwd, words[0]).is_file()):
        raise FileNotFoundError(f"no program {words[0]!r} on PATH={env.get('PATH', os.defpath)}")
    if sys.platform == "linux":
        words = [sys.executable, "-I", "-S", "-c", _BIND_TO_PARENT, str(os.getpid()), *words]
    return words


def end(process: subprocess.Popen[bytes], grace_s: float = 5.0) -> int:
    """SIGTERM to the child's group, SIGKILL to what is left after `grace_s`; the exit code.

    Safe to call on a child that has ended already: what it left behind in its group is killed.
    """
    if process.poll() is None:
        _signal_group(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(grace_s)
    _signal_group(process.pid, signal.SIGKILL)
    return process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
