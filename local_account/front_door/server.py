"""The socket: one loopback port, a thread for each connection, httptools' parser.

The thread that reads a request answers it. An event loop in front of a pool of threads would hand every request over twice,
and each hand-over waits for the interpreter's lock while others compute (docs/decisions/front_door-thread_per_connection.md).
"""

from __future__ import annotations

import socket
import struct
import threading
import time
from collections.abc import Callable
from contextlib import suppress

from local_account.front_door.call import Call
from local_account.front_door.http_connection import Connection
from local_account.wire import Response

_IDLE_S = 120  # a kept connection nobody uses is closed
_GRACE_S = 5.0  # requests under way may end when the account stops
_BACKLOG_FULL_S = 0.05


class Server:
    """Listens from `start` to `stop`; every request goes to `answer` on its connection's thread."""

    def __init__(self, answer: Callable[[Call], Response], listener: socket.socket) -> None:
        self.answered = 0  # requests so far, about: threads count it without a lock
        self._answer = answer
        self._listener = listener
        self._connections: dict[Connection, threading.Thread] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._accept, name="front-door", daemon=True)

    def start(self) -> None:
        """The socket is bound and listening already, so a client may connect at once."""
        self._thread.start()

    def stop(self) -> None:
        """Take no new requests; let those under way end, for 5 s at most."""
        self._stopping.set()
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the thread that accepts
        if self._thread.is_alive():
            self._thread.join(_GRACE_S)
        self._listener.close()
        with self._lock:
            connections = dict(self._connections)
        for connection in connections:
            connection.take_no_more()
        ends = time.monotonic() + _GRACE_S
        for connection, thread in connections.items():
            thread.join(max(0.0, ends - time.monotonic()))
            connection.abort()

    def _counted(self, call: Call) -> Response:
        self.answered += 1
        return self._answer(call)

    def _accept(self) -> None:
        while not self._stopping.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:  # no file descriptor is left, or the listener was shut
                time.sleep(_BACKLOG_FULL_S)
                continue
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # The kernel watches the time: a timeout of Python's own would ask for the socket's state before every read.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("@ll", _IDLE_S, 0))
            connection = Connection(sock, self._counted)
            thread = threading.Thread(target=self._serve, args=(connection,), name="front-door-call", daemon=True)
            with self._lock:
                self._connections[connection] = thread
            thread.start()

    def _serve(self, connection: Connection) -> None:
        try:
            connection.serve()
        finally:
            with self._lock:
                self._connections.pop(connection, None)
