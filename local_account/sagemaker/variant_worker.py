"""The container of one variant: `code/inference.py` behind HTTP `/ping` and `/invocations`.

    python -P variant_worker.py MODEL_DIR PORT_FD

Runs as a program of its own, on nothing but the standard library, httptools and uvloop, so that a model's code meets no module of ours.
One event loop speaks HTTP, one thread infers: a request never waits for anything but those before it.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import os
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any

import httptools
import uvloop

_REASONS = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    415: "Unsupported Media Type",
    500: "Internal Server Error",
}
Answered = tuple[int, str, bytes]  # status, content type, body


class BadRequest(ValueError):
    """The caller's fault; the message is for the caller."""


class Model:
    """The four functions of SageMaker's script mode, with its defaults for those a script leaves out."""

    def __init__(self, module: Any, model_dir: str) -> None:
        self._input: Callable[[bytes, str], Any] = getattr(module, "input_fn", _decode)
        self._predict: Callable[[Any, Any], Any] = module.predict_fn
        self._output: Callable[[Any, str], Any] = getattr(module, "output_fn", _encode)
        self._model = module.model_fn(model_dir)

    def answer(self, body: bytes, content_type: str, accept: str) -> Answered:
        """What the script makes of a request. Its ValueError about input or accept is the caller's fault: 400."""
        try:
            data = self._input(body, content_type)
        except ValueError as error:
            raise BadRequest(str(error)) from error
        prediction = self._predict(data, self._model)
        try:
            answer = self._output(prediction, accept)
        except ValueError as error:
            raise BadRequest(str(error)) from error
        if isinstance(answer, tuple):
            answer, accept = answer
        return 200, accept, answer.encode() if isinstance(answer, str) else bytes(answer)


def _decode(body: bytes, content_type: str) -> Any:
    return json.loads(body) if content_type.startswith("application/json") else body.decode()


def _encode(prediction: Any, accept: str) -> tuple[str, str]:
    return json.dumps(prediction), "application/json"


class Inference(threading.Thread):
    """The one thread that infers."""

    def __init__(self, model: Model, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(name="inference", daemon=True)
        self._model, self._loop = model, loop
        self._waiting: SimpleQueue[tuple[Http, bytes, str, str]] = SimpleQueue()

    def put(self, http: Http, body: bytes, content_type: str, accept: str) -> None:
        self._waiting.put((http, body, content_type, accept))

    def run(self) -> None:
        while True:
            http, body, content_type, accept = self._waiting.get()
            self._loop.call_soon_threadsafe(http.reply, *self._answer(body, content_type, accept))

    def _answer(self, body: bytes, content_type: str, accept: str) -> Answered:
        try:
            return self._model.answer(body, content_type, accept)
        except BadRequest as error:
            return 400, "text/plain", str(error).encode()
        except Exception as error:  # noqa: BLE001 - a script's error is an answer, and its traceback a log
            traceback.print_exc()
            status = getattr(error, "status_code", 500)
            return (
                (status if isinstance(status, int) else 500),
                "text/plain",
                f"{type(error).__name__}: {error}".encode(),
            )


class Http(asyncio.Protocol):
    """One kept-alive connection. Its peer sends a request only after the answer to the last one."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference
        self._parser = httptools.HttpRequestParser(self)
        self._transport: asyncio.Transport | None = None
        self._url, self._body, self._headers = b"", bytearray(), dict[bytes, str]()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self.reply(400, "text/plain", b"this is no HTTP/1.1 request")
            if self._transport is not None:
                self._transport.close()

    def on_message_begin(self) -> None:
        self._url, self._body, self._headers = b"", bytearray(), {}

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        self._headers[name.lower()] = value.decode("latin-1")

    def on_body(self, body: bytes) -> None:
        self._body += body

    def on_message_complete(self) -> None:
        if self._url == b"/ping":
            self.reply(200, "text/plain", b"")
        elif self._url == b"/invocations":
            accept = self._headers.get(b"accept", "application/json")
            content_type = self._headers.get(b"content-type", "application/json")
            self._inference.put(
                self, bytes(self._body), content_type, "application/json" if accept == "*/*" else accept
            )
        else:
            self.reply(404, "text/plain", b"there is /ping and /invocations")

    def reply(self, status: int, content_type: str, body: bytes) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        safe = content_type.replace("\r", " ").replace("\n", " ")
        head = f"HTTP/1.1 {status} {_REASONS.get(status, 'Status')}\r\ncontent-type: {safe}\r\ncontent-length: {len(body)}\r\n\r\n"
        self._transport.write(head.encode("latin-1", "replace") + body)


async def serve(model_dir: str, listener: socket.socket) -> None:
    """Load the model, then listen until SIGTERM: whoever connects before waits, and nobody is refused."""
    module = importlib.import_module(os.environ.get("SAGEMAKER_PROGRAM", "inference.py").removesuffix(".py"))
    loop = asyncio.get_running_loop()
    inference = Inference(Model(module, model_dir), loop)
    inference.start()
    stopping = asyncio.Event()
    loop.add_signal_handler(signal.SIGTERM, stopping.set)
    await loop.create_server(lambda: Http(inference), sock=listener)
    print(f"serving {model_dir}", flush=True)  # noqa: T201 - the container's log
    await stopping.wait()


def main() -> None:
    model_dir, descriptor = sys.argv[1], int(sys.argv[2])
    uvloop.run(serve(model_dir, socket.socket(fileno=descriptor)))


if __name__ == "__main__":
    main()
