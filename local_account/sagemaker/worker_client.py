"""HTTP to one worker over kept-alive connections, as cheap as it goes: one write, one parse, no headers looked at but one."""

from __future__ import annotations

import asyncio
import time

import httptools

RESPONSE_LIMIT_S = 60.0  # SageMaker gives a container 60 seconds


class WorkerGone(Exception):
    """The worker closed the connection or takes none."""


class _Connection(asyncio.Protocol):
    def __init__(self) -> None:
        self.transport: asyncio.Transport | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._answer: asyncio.Future[tuple[int, str, bytes]] | None = None
        self._content_type, self._body = "", bytearray()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]

    @property
    def open(self) -> bool:
        return self.transport is not None and not self.transport.is_closing()

    def ask(self, data: bytes) -> asyncio.Future[tuple[int, str, bytes]]:
        if self.transport is None:
            raise WorkerGone("not connected")
        self._answer = asyncio.get_running_loop().create_future()
        self._content_type, self._body = "application/octet-stream", bytearray()
        self.transport.write(data)
        return self._answer

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._fail(f"it does not speak HTTP: {error}")
            if self.transport is not None:
                self.transport.abort()

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"content-type":
            self._content_type = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_result((self._parser.get_status_code(), self._content_type, bytes(self._body)))

    def connection_lost(self, error: Exception | None) -> None:
        self._fail("it closed the connection")

    def _fail(self, reason: str) -> None:
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(WorkerGone(reason))


class WorkerClient:
    """A pool of connections to one port."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._idle: list[_Connection] = []

    async def invoke(self, body: bytes, content_type: str, accept: str) -> tuple[int, str, bytes]:
        """Status, content type and body of an answer.

        Raises
        ------
        WorkerGone
            At once if nobody listens, or when the worker dies over the request.
        TimeoutError
            If it takes longer than `RESPONSE_LIMIT_S`.
        """
        head = (
            f"POST /invocations HTTP/1.1\r\nhost: worker\r\ncontent-type: {content_type}\r\naccept: {accept}\r\n"
            f"content-length: {len(body)}\r\n\r\n"
        )
        return await self._ask(head.encode("latin-1", "replace") + body, RESPONSE_LIMIT_S)

    async def ping(self) -> bool:
        try:
            status, _, _ = await self._ask(b"GET /ping HTTP/1.1\r\nhost: worker\r\n\r\n", 2.0)
        except (WorkerGone, TimeoutError):
            return False
        return status == 200

    def close(self) -> None:
        for connection in self._idle:
            if connection.transport is not None:
                connection.transport.abort()
        self._idle.clear()

    async def _ask(self, data: bytes, limit_s: float) -> tuple[int, str, bytes]:
        deadline = time.monotonic() + limit_s
        connection = await self._take()
        try:
            async with asyncio.timeout(deadline - time.monotonic()):
                answer = await connection.ask(data)
        except BaseException:
            if connection.transport is not None:
                connection.transport.abort()  # a late answer must not be taken for the next one's
            raise
        self._idle.append(connection)
        return answer

    async def _take(self) -> _Connection:
        while self._idle:
            if (connection := self._idle.pop()).open:
                return connection
        try:
            _, made = await asyncio.get_running_loop().create_connection(_Connection, "127.0.0.1", self._port)
        except OSError as error:
            raise WorkerGone(f"it takes no connection: {error}") from error
        return made
