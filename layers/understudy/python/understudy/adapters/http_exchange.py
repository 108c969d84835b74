"""HTTP/1.1 over kept connections, with one deadline for a whole exchange: no more of the protocol than AWS's APIs speak.

urllib3 takes 285 µs for what is 20 here, five times a recommendation, and bounds each read by itself instead of all of them
together. No redirects, no proxies, no compression: nothing of that is asked for or would be signed.
"""

from __future__ import annotations

import socket
import time
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from typing import Any, NamedTuple

MAX_HEAD_BYTES = 64 << 10
MAX_BODY_BYTES = 4 << 20
KEPT = 4  # idle connections to one host
_READ = 1 << 16


class Unreadable(OSError):
    """What came is no HTTP answer, or a larger one than is taken."""


class Gone(ConnectionError):
    """A kept connection was closed by the other side before it answered a byte: nobody was asked."""


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


class Exchanger:
    """Connections by host; safe to share between threads."""

    def __init__(self) -> None:
        self._idle: defaultdict[tuple[str, str], list[_Connection]] = defaultdict(list)

    def exchange(
        self, method: str, scheme: str, host: str, path: str, headers: Mapping[str, str], body: bytes, timeout_s: float
    ) -> Answer:
        """One request and its answer; asked once more on a new connection if a kept one turns out to be closed.

        Raises
        ------
        OSError
            TimeoutError after `timeout_s` in all, `Unreadable`, or whatever the socket says.
        """
        ends = time.monotonic() + timeout_s
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        request = f"{method} {path} HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n".encode("latin-1") + body
        idle = self._idle[scheme, host]
        while True:
            try:
                connection = idle.pop()
            except IndexError:
                connection = _Connection(scheme, host, ends)
            try:
                answer, kept = connection.exchange(request, ends)
            except Gone:
                connection.close()
                continue
            except BaseException:
                connection.close()
                raise
            if kept and len(idle) < KEPT:
                idle.append(connection)
            else:
                connection.close()
            return answer


class _Connection:
    def __init__(self, scheme: str, host: str, ends: float) -> None:
        name, _, port = host.partition(":")
        number = int(port or (443 if scheme == "https" else 80))
        self._socket = socket.create_connection((name, number), timeout=_left(ends))
        self._used = False
        self._data = b""
        try:
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if scheme == "https":
                self._socket = _tls().wrap_socket(self._socket, server_hostname=name)
        except BaseException:
            self._socket.close()
            raise

    def __del__(self) -> None:
        self.close()

    def close(self) -> None:
        with suppress(AttributeError):  # it never came to be
            self._socket.close()

    def exchange(self, request: bytes, ends: float) -> tuple[Answer, bool]:
        """The answer, and whether the connection may be used again."""
        used, self._used = self._used, True
        try:
            self._socket.settimeout(_left(ends))
            self._socket.sendall(request)
            self._data = self._receive(ends)
        except (ConnectionError, EOFError) as error:
            if used:
                raise Gone(str(error)) from None
            raise ConnectionResetError("closed without an answer") from None
        try:
            return self._answer(ends)
        except (EOFError, ValueError) as error:
            raise Unreadable(str(error)) from None

    def _answer(self, ends: float) -> tuple[Answer, bool]:
        status = 100
        while 100 <= status < 200:  # a 1xx comes before the answer
            status, version, headers = self._head(ends)
        kept = version == "HTTP/1.1" and headers.get("connection", "").lower() != "close"
        if status in (204, 304):
            return Answer(status, headers, b""), kept
        if headers.get("transfer-encoding", "").lower() == "chunked":
            return Answer(status, headers, self._chunks(ends)), kept
        if "content-length" in headers:
            return Answer(status, headers, self._take(_size(headers["content-length"], 10), ends)), kept
        return Answer(status, headers, self._rest(ends)), False

    def _head(self, ends: float) -> tuple[int, str, dict[str, str]]:
        first, *lines = self._until(b"\r\n\r\n", ends).decode("latin-1").split("\r\n")
        version, _, rest = first.partition(" ")
        if not version.startswith("HTTP/1.") or not rest[:3].isdigit():
            raise ValueError("no HTTP answer")
        headers = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers[name.lower()] = value.strip()
        return int(rest[:3]), version, headers

    def _chunks(self, ends: float) -> bytes:
        parts: list[bytes] = []
        total = 0
        while size := _size(self._until(b"\r\n", ends).partition(b";")[0].decode("latin-1"), 16):
            total += size
            _size(str(total), 10)
            parts.append(self._take(size, ends))
            self._take(2, ends)
        while self._until(b"\r\n", ends):  # trailers
            pass
        return b"".join(parts)

    def _until(self, mark: bytes, ends: float) -> bytes:
        while (at := self._data.find(mark)) < 0:
            if len(self._data) > MAX_HEAD_BYTES:
                raise ValueError("a head without an end")
            self._data += self._receive(ends)
        found, self._data = self._data[:at], self._data[at + len(mark) :]
        return found

    def _take(self, count: int, ends: float) -> bytes:
        parts, have = [self._data], len(self._data)
        while have < count:
            parts.append(self._receive(ends))
            have += len(parts[-1])
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self._data = data[count:]
        return data[:count] if self._data else data

    def _rest(self, ends: float) -> bytes:
        with suppress(EOFError):
            while len(self._data) <= MAX_BODY_BYTES:
                self._data += self._receive(ends)
        _size(str(len(self._data)), 10)
        return self._data

    def _receive(self, ends: float) -> bytes:
        self._socket.settimeout(_left(ends))
        data = self._socket.recv(_READ)
        if not data:
            raise EOFError("the answer ends early")
        return data


def _size(text: str, base: int) -> int:
    size = int(text, base)
    if not 0 <= size <= MAX_BODY_BYTES:
        raise ValueError(f"an answer of {size} bytes")
    return size


def _left(ends: float) -> float:
    left = ends - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


@cache
def _tls() -> Any:
    import ssl

    return ssl.create_default_context()
