"""An endpoint's server as the account sees it: commands in, events out, a pool of connections for calls."""

from __future__ import annotations

import json
import logging
import secrets
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local_account.processes import end, spawn
from local_account.sagemaker import frames

logger = logging.getLogger(__name__)

_ROOT = Path(__file__).parents[2]
_ANSWER_LIMIT_S = 70.0  # longer than a container may take, which the server watches
_END_S = 15.0  # workers drain and captures are written

Event = dict[str, Any]


class EndpointGone(Exception):
    """The endpoint's server does not answer."""


class EndpointProcess:
    """Starts the server. `on_event` is called from its reader's thread, with `{"event": "gone"}` last if it died by itself."""

    def __init__(self, name: str, spool: Path, env: Mapping[str, str], on_event: Callable[[Event], None]) -> None:
        self._token = secrets.token_hex(16)
        self._on_event, self._closing = on_event, False
        self._idle: list[socket.socket] = []
        self._lock = threading.Lock()
        self._port = 0
        self._listening = threading.Event()
        self._process = spawn(
            [sys.executable, "-P", "-m", "local_account.sagemaker.endpoint_server", spool],
            env={**env, "PYTHONPATH": str(_ROOT), "ENDPOINT_TOKEN": self._token},
            cwd=spool,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )
        self._reader = threading.Thread(target=self._read, name=f"endpoint {name}", daemon=True)
        self._reader.start()

    def send(self, **command: Any) -> None:
        """A command; one for a server that has died is dropped, since it is told everything anew when it is back."""
        line = json.dumps(command).encode() + b"\n"
        try:
            with self._lock:
                if self._process.stdin is not None:
                    self._process.stdin.write(line)
                    self._process.stdin.flush()
        except (BrokenPipeError, ValueError):
            logger.info("an endpoint's server takes no commands any more")

    def ask(self, head: frames.Head, body: bytes) -> tuple[frames.Head, bytes]:
        """One call.

        Raises
        ------
        EndpointGone
            If the server dies over it or is not there. A kept connection that turns out closed is replaced once.
        """
        frame = frames.pack(head, body)
        for fresh in (False, True):
            connection = self._connect() if fresh else (self._take() or self._connect())
            try:
                connection.sendall(frame)
                answer = frames.receive(connection)
            except OSError as error:
                connection.close()
                if fresh:
                    raise EndpointGone(str(error)) from error
                continue
            with self._lock:
                self._idle.append(connection)
            return answer
        raise AssertionError("the second attempt answers or raises")

    def close(self) -> None:
        """Ask the server to write its captures and leave; then see to it."""
        self._closing = True
        with self._lock:
            idle, self._idle = self._idle, []
            if self._process.stdin is not None:
                self._process.stdin.close()
        for connection in idle:
            connection.close()
        try:
            self._process.wait(_END_S)
        except subprocess.TimeoutExpired:
            logger.warning("an endpoint's server had to be ended by force")
        end(self._process)
        self._reader.join(2.0)

    def kill_group(self) -> None:
        """End what a server that died by itself has left."""
        end(self._process, grace_s=0.0)

    def _take(self) -> socket.socket | None:
        with self._lock:
            return self._idle.pop() if self._idle else None

    def _connect(self) -> socket.socket:
        if not self._listening.wait(10.0) or self._closing:
            raise EndpointGone("the endpoint's server does not listen")
        try:
            connection = socket.create_connection(("127.0.0.1", self._port), timeout=_ANSWER_LIMIT_S)
        except OSError as error:
            raise EndpointGone(str(error)) from error
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        connection.sendall(frames.pack({"token": self._token}, b""))
        return connection

    def _read(self) -> None:
        if self._process.stdout is None:
            return
        with self._process.stdout as events:
            for line in events:
                event = json.loads(line)
                if event["event"] == "listening":
                    self._port = event["port"]
                    self._listening.set()
                else:
                    self._on_event(event)
        if not self._closing:
            self._on_event({"event": "gone"})
