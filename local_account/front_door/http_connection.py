"""One kept-alive HTTP/1.1 connection, read and answered by one thread."""

from __future__ import annotations

import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus

import httptools

from local_account.front_door.call import Call
from local_account.wire import Response

_READ = 1 << 18
_ONE_WRITE = 1 << 16  # a larger body is written by itself and not copied behind its head
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_UNREADABLE = (
    b"HTTP/1.1 400 Bad Request\r\ncontent-type: text/plain\r\ncontent-length: 29\r\nconnection: close\r\n\r\n"
    b"this is no HTTP/1.1 request.\n"
)
_STATUS_LINES = {status.value: f"HTTP/1.1 {status.value} {status.phrase}\r\n" for status in HTTPStatus}


class Connection:
    """`serve` until the peer, an error, the idle limit of the socket or `take_no_more` ends it."""

    def __init__(self, sock: socket.socket, answer: Callable[[Call], Response]) -> None:
        self._socket, self._answer = sock, answer
        self._parser = httptools.HttpRequestParser(self)
        self._url = b""
        self._headers: dict[str, str] = {}
        self._body: list[bytes] = []
        self._in_head = True
        self._whole: deque[tuple[Call, bool]] = deque()  # requests, and whether the connection is kept after them
        self._lock = threading.Lock()
        self._busy = self._last = False

    def serve(self) -> None:
        with self._socket, suppress(OSError):  # a peer that went away, or was silent for too long
            while (data := self._socket.recv(_READ)) and self._read(data):
                pass

    def take_no_more(self) -> None:
        """Answer what is under way, then close."""
        with self._lock:
            self._last = True
            if not self._busy:
                self.abort()

    def abort(self) -> None:
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def _read(self, data: bytes) -> bool:
        """Feed the parser and answer what is whole; False ends the connection."""
        upgrade = False
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade:  # an offer of HTTP/2: the request is answered, the offer is not taken
            upgrade = True
        except httptools.HttpParserError:
            self._socket.sendall(_UNREADABLE)
            return False
        while self._whole:
            call, kept = self._whole.popleft()
            with self._lock:
                if self._last:
                    return False
                self._busy = True
            kept = kept and not upgrade
            self._write(self._answer(call), call.method == "HEAD", kept)
            with self._lock:
                self._busy = False
                kept = kept and not self._last
            if not kept:
                return False
        return True

    def _write(self, response: Response, head_only: bool, kept: bool) -> None:
        lines = [_STATUS_LINES.get(response.status) or f"HTTP/1.1 {response.status} Status\r\n"]
        lines += [f"{name}: {value}\r\n" for name, value in response.headers.items()]
        if "content-length" not in response.headers:
            lines.append(f"content-length: {len(response.body)}\r\n")
        lines.append("\r\n" if kept else "connection: close\r\n\r\n")
        head = "".join(lines).encode("latin-1", "replace")
        if head_only:
            self._socket.sendall(head)
        elif len(response.body) <= _ONE_WRITE:
            self._socket.sendall(head + response.body)
        else:
            self._socket.sendall(head)
            self._socket.sendall(response.body)

    def on_message_begin(self) -> None:
        self._url, self._headers, self._body, self._in_head = b"", {}, [], True

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, raw_name: bytes, raw_value: bytes) -> None:
        if self._in_head:  # what follows a chunked body is a trailer, and nobody signed it
            name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1")
            self._headers[name] = f"{self._headers[name]},{value}" if name in self._headers else value

    def on_headers_complete(self) -> None:
        self._in_head = False
        if self._headers.get("expect", "").lower() == "100-continue":
            self._socket.sendall(_CONTINUE)

    def on_body(self, body: bytes) -> None:
        self._body.append(body)

    def on_message_complete(self) -> None:
        url = httptools.parse_url(self._url)
        path, query = (url.path or b"/").decode("latin-1"), (url.query or b"").decode("latin-1")
        body = self._body[0] if len(self._body) == 1 else b"".join(self._body)
        call = Call(self._parser.get_method().decode("latin-1"), path, query, self._headers, body)
        self._whole.append((call, self._parser.should_keep_alive()))
