"""Lambda's runtime API, one listener per execution environment.

The thread that invokes is the thread that speaks HTTP with the runtime: it answers the waiting `next`, reads the
function's output and its result in one poll loop, and hands the result on. No other thread is woken in between, which
keeps the overhead of a warm invocation near 0.2 ms.

Protocol: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html
"""

from __future__ import annotations

import os
import select
import socket
import time
from dataclasses import dataclass, field

import httptools

_PREFIX = "/2018-06-01/runtime/"
_READ = 1 << 18
_ACCEPTED = b'HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{"status":"OK"}\n'
_NOT_FOUND = b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n"


@dataclass(slots=True)
class Call:
    """One request of the runtime, whole."""

    what: str  # "next", "response", "error", "init/error", or the path when it is none of these
    request_id: str
    headers: dict[str, str]
    body: bytes
    connection: Connection


class Connection:
    """One connection of a runtime; requests come out of `receive` when they are whole."""

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._calls: list[Call] = []

    def receive(self) -> list[Call] | None:
        """Requests that are complete now; None when the runtime hung up."""
        try:
            data = self.socket.recv(_READ)
        except (ConnectionError, TimeoutError):
            return None
        if not data:
            return None
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            return None
        calls, self._calls = self._calls, []
        return calls

    def send(self, data: bytes) -> bool:
        """False when the runtime is gone."""
        try:
            self.socket.sendall(data)
        except OSError:
            return False
        return True

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        if self._headers.get("expect", "").lower() == "100-continue":
            self.send(b"HTTP/1.1 100 Continue\r\n\r\n")

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        path = self._url.decode("latin-1").removeprefix(_PREFIX)
        _, _, rest = path.partition("invocation/")
        request_id, _, what = rest.rpartition("/")
        self._calls.append(Call(what or path, request_id, self._headers, b"".join(self._body), self))
        self._url, self._headers, self._body = b"", {}, []


@dataclass(slots=True)
class Heard:
    """What came from an execution environment until something decided the wait."""

    call: Call | None = None  # None: the process ended, or the deadline passed
    ended: bool = False
    output: bytearray = field(default_factory=bytearray)


class RuntimeApi:
    """Listener and connections of one execution environment. One thread at a time."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=4)
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        self._connections: dict[int, Connection] = {}
        self._output: int | None = None
        self._waiting: Call | None = None  # the `next` that has not been answered
        self._poll = select.poll()
        self._poll.register(self._listener, select.POLLIN)

    def read_output_from(self, descriptor: int) -> None:
        """Take the function's stdout and stderr from this pipe; it becomes ours to close."""
        os.set_blocking(descriptor, False)
        self._output = descriptor
        self._poll.register(descriptor, select.POLLIN)

    def wait_ready(self, deadline: float) -> Heard:
        """Wait until the runtime asks for its next invocation or reports that it cannot start."""
        heard = Heard()
        if self._waiting is not None:
            heard.call = self._waiting
        else:
            self._listen(heard, deadline, ("next", "init/error"))
        if heard.call is not None and heard.call.what == "next":
            self._waiting = heard.call
        return heard

    def exchange(self, headers: dict[str, str], event: bytes, request_id: str, deadline: float) -> Heard:
        """Hand over one invocation and wait for its result.

        Parameters
        ----------
        deadline : float
            `time.monotonic()` at which the function's time is up.
        """
        heard = self.wait_ready(deadline)
        if heard.call is None or heard.call.what != "next":
            return heard
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        ready = heard.call
        self._waiting = heard.call = None
        ready.connection.send(f"HTTP/1.1 200 OK\r\n{head}Content-Length: {len(event)}\r\n\r\n".encode() + event)
        while True:
            call = self._listen(heard, deadline, ("response", "error"))
            if call is None:
                return heard
            if call.request_id == request_id:
                break
            call.connection.send(_NOT_FOUND)  # an answer to an invocation that is over
            heard.call = None
        self._drain(heard)  # what the function wrote is in the pipe before its result is on the wire
        call.connection.send(_ACCEPTED)
        return heard

    def accept_init_error(self, call: Call) -> None:
        call.connection.send(_ACCEPTED)

    def close(self) -> None:
        for connection in self._connections.values():
            connection.socket.close()
        self._listener.close()
        if self._output is not None:
            os.close(self._output)
            self._output = None

    def drain(self) -> bytes:
        """What the process wrote since it was last asked; reads only what is there."""
        heard = Heard()
        self._drain(heard)
        return bytes(heard.output)

    def _listen(self, heard: Heard, deadline: float, wanted: tuple[str, ...]) -> Call | None:
        while heard.call is None and not heard.ended:
            left = deadline - time.monotonic()
            if left <= 0:
                break
            for descriptor, _ in self._poll.poll(left * 1000):
                if descriptor == self._output:
                    self._drain(heard)
                elif descriptor == self._listener.fileno():
                    self._accept()
                else:
                    self._receive(descriptor, heard, wanted)
        return heard.call

    def _accept(self) -> None:
        sock, _ = self._listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._connections[sock.fileno()] = Connection(sock)
        self._poll.register(sock, select.POLLIN)

    def _receive(self, descriptor: int, heard: Heard, wanted: tuple[str, ...]) -> None:
        connection = self._connections[descriptor]
        calls = connection.receive()
        if calls is None:
            self._poll.unregister(descriptor)
            self._connections.pop(descriptor).socket.close()
            return
        for call in calls:
            if call.what in wanted:
                heard.call = call
            elif call.what == "next":
                self._waiting = call
            else:
                connection.send(_NOT_FOUND)

    def _drain(self, heard: Heard) -> None:
        while self._output is not None:
            try:
                data = os.read(self._output, _READ)
            except BlockingIOError:
                return
            except OSError:
                data = b""
            if not data:  # every writer is gone: the process has ended
                self._poll.unregister(self._output)
                os.close(self._output)
                self._output = None
                heard.ended = True
                return
            heard.output += data
