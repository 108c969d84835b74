"""The socket: one loopback port, uvicorn's parser and loop, and a pool of threads behind it.

Raw ASGI, because a framework's routing and middleware would cost more than most answers.
"""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import uvicorn

from local_account.front_door.call import Call
from local_account.wire import Response

WORKERS = 96  # 64 calls that block (a Lambda invoked, a queue polled) and room for those that do not

_Scope = dict[str, Any]
_Receive = Callable[[], Awaitable[dict[str, Any]]]
_Send = Callable[[dict[str, Any]], Awaitable[None]]


class Server:
    """Listens from `start` to `stop`; every request goes to `answer` on a worker thread."""

    def __init__(self, answer: Callable[[Call], Response], listener: socket.socket) -> None:
        self._answer = answer
        self._listener = listener
        self._workers = ThreadPoolExecutor(WORKERS, thread_name_prefix="front-door")
        config = uvicorn.Config(
            self._app,
            interface="asgi3",
            proxy_headers=False,
            http="httptools",
            loop="uvloop",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            timeout_keep_alive=120,
            timeout_graceful_shutdown=5,
        )
        self._uvicorn = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._uvicorn.run, args=([listener],), name="front-door", daemon=True)

    def start(self) -> None:
        """The socket is bound and listening already, so a client may connect at once."""
        self._thread.start()

    def stop(self) -> None:
        """Take no new requests; let those under way end, for 5 s at most."""
        self._uvicorn.should_exit = True
        if self._thread.is_alive():
            self._thread.join(10)
        self._workers.shutdown(wait=False, cancel_futures=True)
        self._listener.close()

    async def _app(self, scope: _Scope, receive: _Receive, send: _Send) -> None:
        if scope["type"] != "http":
            return
        message = await receive()
        body = message.get("body", b"")
        if message.get("more_body"):
            parts = [body]
            while message.get("more_body"):
                message = await receive()
                parts.append(message.get("body", b""))
            body = b"".join(parts)
            parts.clear()
        call = _call(scope, body)
        loop = asyncio.get_running_loop()
        response = await loop.run_in_executor(self._workers, self._answer, call)
        headers = [
            (name.encode("latin-1"), value.encode("latin-1", "replace")) for name, value in response.headers.items()
        ]
        if "content-length" not in response.headers:
            headers.append((b"content-length", str(len(response.body)).encode()))
        await send({"type": "http.response.start", "status": response.status, "headers": headers})
        await send({"type": "http.response.body", "body": response.body})


def _call(scope: _Scope, body: bytes) -> Call:
    headers: dict[str, str] = {}
    for raw_name, raw_value in scope["headers"]:
        name, value = raw_name.decode("latin-1"), raw_value.decode("latin-1")
        headers[name] = f"{headers[name]},{value}" if name in headers else value
    raw_path = scope["raw_path"].decode("latin-1").partition("?")[0]
    return Call(scope["method"], raw_path, scope["query_string"].decode("latin-1"), headers, body)
