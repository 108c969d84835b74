"""Signed HTTP/1.1 over kept-alive connections for one event loop: as little work a call as a load generator may have."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

import httptools
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest


class NoAnswer(Exception):
    """The connection was refused, or closed before an answer was whole."""


class _Connection(asyncio.Protocol):
    """One request at a time; the next one only after the last answer."""

    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self.keep = True
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[tuple[int, bytes]] | None = None
        self._body = bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    @property
    def open(self) -> bool:
        return self.keep and self.transport is not None and not self.transport.is_closing()

    def ask(self, data: bytes) -> asyncio.Future[tuple[int, bytes]]:
        if self.transport is None:
            raise NoAnswer("not connected")
        self._answer, self._body = asyncio.get_running_loop().create_future(), bytearray()
        self.transport.write(data)
        return self._answer

    def close(self) -> None:
        if self.transport is not None:
            self.transport.abort()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"no HTTP: {error}")
            self.close()

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        self.keep = bool(self._parser.should_keep_alive())
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), bytes(self._body)))

    def connection_lost(self, error: Exception | None) -> None:
        self._fail(f"the connection was closed: {error or 'by the other side'}")

    def _fail(self, reason: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(NoAnswer(reason))


class SignedApi:
    """POSTs JSON to one HTTP API, signed SigV4 for `execute-api`.

    Parameters
    ----------
    url : str
        The API's address, with its stage if it has one.
    credentials
        botocore's; read anew for each call, so that ones which expire are renewed.
    """

    def __init__(self, url: str, credentials: Any, region: str) -> None:
        parts = urlsplit(url.rstrip("/"))
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._host, self._port = parts.hostname or "", parts.port or (443 if self._tls else 80)
        self._base, self._origin, self._netloc = parts.path, f"{parts.scheme}://{parts.netloc}", parts.netloc
        self._credentials, self._region = credentials, region
        self._idle: list[_Connection] = []

    async def post(self, path: str, body: bytes, timeout_s: float) -> tuple[int, bytes]:
        """(status, body); one more attempt where a kept connection turned out to be closed, since then nobody was asked.

        Raises
        ------
        NoAnswer, TimeoutError
        """
        data = self._signed(self._base + path, body)
        async with asyncio.timeout(timeout_s):
            while self._idle:
                connection = self._idle.pop()
                if connection.open:
                    try:
                        return await self._ask(connection, data)
                    except NoAnswer:
                        break
            return await self._ask(await self._connect(), data)

    def close(self) -> None:
        for connection in self._idle:
            connection.close()
        self._idle.clear()

    async def _ask(self, connection: _Connection, data: bytes) -> tuple[int, bytes]:
        try:
            answer = await connection.ask(data)
        except BaseException:
            connection.close()  # a late answer must not be taken for the next one's
            raise
        if connection.open:
            self._idle.append(connection)
        return answer

    async def _connect(self) -> _Connection:
        loop = asyncio.get_running_loop()
        try:
            _, connection = await loop.create_connection(_Connection, self._host, self._port, ssl=self._tls)
        except OSError as error:
            raise NoAnswer(f"no connection: {error}") from error
        return connection

    def _signed(self, path: str, body: bytes) -> bytes:
        request = AWSRequest("POST", self._origin + path, data=body, headers={"content-type": "application/json"})
        SigV4Auth(self._credentials.get_frozen_credentials(), "execute-api", self._region).add_auth(request)
        headers: Mapping[str, str] = dict(request.headers.items())
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {path} HTTP/1.1\r\nhost: {self._netloc}\r\ncontent-length: {len(body)}\r\n{lines}\r\n"
        return head.encode("latin-1") + body
