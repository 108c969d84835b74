"""Start, stop and find the account of a state folder: in the foreground, as a daemon, from a program.

The folder holds a lock for as long as its account runs, so there is one account per folder and a stale pid means nothing.
"""

from __future__ import annotations

import fcntl
import logging
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from local_account.front_door.sockets import listen

_START_S = 120.0  # replaying a long journal, importing torch's friends on a cold disk
_STOP_S = 30.0  # jobs get their grace, then SIGKILL


class AccountError(Exception):
    """The account could not be started or stopped; the sentence says why."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    url: str
    pid: int
    state: Path

    def environment(self) -> dict[str, str]:
        """Variables under which any AWS client finds the account as its operator."""
        return {
            "AWS_CONFIG_FILE": str(self.state / "config"),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.state / "credentials"),
            "AWS_PROFILE": "understudy",
        }


def serve(state: Path, port: int = 0) -> None:
    """Run the account of a folder until SIGINT or SIGTERM.

    Raises
    ------
    AccountError
        If another process runs the account of this folder, or the port that was asked for is taken.
    """
    state = state.resolve()
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s %(message)s")
    for chatty in ("faiss", "botocore", "opensearch"):
        logging.getLogger(chatty).setLevel(logging.WARNING)
    _forget_other_accounts()
    sys.setswitchinterval(0.0005)  # a request's 1 ms must not wait 5 ms for every other thread's turn to end
    stopping = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stopping.set())
    with _held(state):
        listener = _listen(state, port)
        # A second of imports, once it is known to be of use.
        from local_account.front_door.collector import Collector
        from local_account.front_door.local import LocalAccount

        account = LocalAccount(state, listener)
        collector = Collector(lambda: account.answered)
        try:
            account.start()
            collector.start()
            (state / "endpoint").write_text(account.endpoint_url)
            stopping.wait()
        finally:
            for number in (signal.SIGINT, signal.SIGTERM):
                signal.signal(number, signal.SIG_IGN)
            collector.stop()
            account.stop()
            logging.shutdown()


def _forget_other_accounts() -> None:
    """The user's own profile and keys are another account's, and a profile that is nowhere stops boto3 at once."""
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[name]
    os.environ |= {"AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull}


def up(state: Path, *, port: int = 0, timeout_s: float = _START_S) -> Endpoint:
    """Start the account of a folder in the background, or find it running; returns when it answers.

    Raises
    ------
    AccountError
        If it ends or does not answer in time; the end of its log is in the sentence.
    """
    state = state.resolve()
    if running := status(state):
        return running
    state.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(FileNotFoundError):
        (state / "endpoint").replace(state / "endpoint.last")  # what a killed account left
    log = state / "account.log"
    with log.open("ab") as stream:
        start = stream.tell()
        child = subprocess.Popen(
            [sys.executable, "-m", "local_account", "serve", "--state", str(state), "--port", str(port)],
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=stream,
            cwd=Path(__file__).parents[1],
            start_new_session=True,
        )
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline and child.poll() is None:
        if (endpoint := status(state)) and endpoint.url and _answers(endpoint.url):
            child.returncode = 0  # it is a daemon now: nobody waits for it, and Popen must not warn
            return endpoint
        time.sleep(0.05)
    code = child.poll()
    if code is None:
        child.kill()
        child.wait()
    said = log.read_bytes()[start:].decode(errors="replace").strip().splitlines()
    reason = f"ended with code {code}" if code is not None else f"did not answer within {timeout_s:.0f} s"
    raise AccountError(f"the account {reason}; {log} ends with: {' | '.join(said[-3:])}")


def down(state: Path, *, timeout_s: float = _STOP_S) -> bool:
    """Stop the account of a folder and wait until it is gone; False if none ran.

    Raises
    ------
    AccountError
        If it is still there after `timeout_s`.
    """
    endpoint = status(state)
    if endpoint is None:
        return False
    os.kill(endpoint.pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if status(state) is None:
            return True
        time.sleep(0.05)
    raise AccountError(f"process {endpoint.pid} did not end within {timeout_s:.0f} s of SIGTERM")


def status(state: Path) -> Endpoint | None:
    """The account that runs on this folder, or None. Its URL is empty while it still starts."""
    state = state.resolve()
    lock = state / "lock"
    if not lock.exists():
        return None
    with lock.open("r+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pid = stream.read().strip()
            endpoint = state / "endpoint"
            return Endpoint(endpoint.read_text() if endpoint.exists() else "", int(pid or 0), state)
    return None


@contextmanager
def _held(state: Path) -> Iterator[None]:
    with (state / "lock").open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            stream.seek(0)
            raise AccountError(f"process {stream.read().strip()} runs the account in {state} already") from None
        stream.truncate(0)
        stream.write(str(os.getpid()))
        stream.flush()
        try:
            yield
        finally:
            with suppress(FileNotFoundError):
                (state / "endpoint").replace(state / "endpoint.last")


def _listen(state: Path, asked: int) -> socket.socket:
    """On the port asked for; else on the last one if it is free, since URLs that clients kept hold it; else on any."""
    if asked:
        try:
            return listen(asked)
        except OSError as error:
            raise AccountError(f"port {asked} cannot be used: {error.strerror}") from error
    for name in ("endpoint", "endpoint.last"):
        file = state / name
        if file.exists() and (last := file.read_text().rpartition(":")[2]).isdigit():
            with suppress(OSError):
                return listen(int(last))
    return listen()


def _answers(url: str) -> bool:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with opener.open(f"{url}/health", timeout=2) as response:
            return bool(response.status == 200)
    except OSError:
        return False
