"""The process of one endpoint: routes calls to its workers, captures them, and obeys the account on its standard input.

    python -m local_account.sagemaker.endpoint_server SPOOL            (the token of its door in ENDPOINT_TOKEN)

Commands, one JSON object a line: `start` a worker, `route` calls to workers, `retire` a worker, `spoil` its calls (faults.py), `kill` it. When the input ends the account is
gone or wants an end: captures are written, workers ended, and the process leaves. Events go to standard output the same way:
`listening`, `ready`, `failed`, `routed`, `retired`, `log`.
"""

from __future__ import annotations

import asyncio
import hmac
import itertools
import json
import os
import random
import sys
import time
from pathlib import Path
from typing import Any

import uvloop

from local_account.sagemaker import frames
from local_account.sagemaker.capture import FLUSH_EVERY_S, Capture, Exchange
from local_account.sagemaker.faults import Fault
from local_account.sagemaker.variant_process import VariantProcess, WorkerSpec
from local_account.sagemaker.worker_client import RESPONSE_LIMIT_S, WorkerGone

_DRAIN_S = RESPONSE_LIMIT_S + 1


def tell(event: dict[str, Any]) -> None:
    os.write(1, json.dumps(event).encode() + b"\n")


class EndpointServer:
    def __init__(self, spool: Path) -> None:
        self._spool = spool
        self._workers: dict[str, VariantProcess] = {}
        self._by_variant: dict[str, VariantProcess] = {}
        self._variants: list[str] = []
        self._cumulative: list[float] = []
        self._captures: list[Capture] = []  # the last is the one in force; earlier ones are written out and dropped
        self._tasks: set[asyncio.Task[None]] = set()

    def command(self, words: dict[str, Any]) -> None:
        match words["do"]:
            case "start":
                spec = WorkerSpec(**words["worker"])
                self._workers[spec.id] = VariantProcess(spec, tell)
            case "route":
                self._route(words)
            case "retire":
                self._background(self._retire(words["id"]))
            case "spoil" | "kill" if (worker := self._workers.get(words["id"])) is not None:
                if words["do"] == "kill":
                    worker.kill()
                else:
                    worker.fault = Fault(**words["fault"]) if words["fault"] else None

    async def answer(self, head: frames.Head, body: bytes) -> tuple[frames.Head, bytes]:
        """One invocation: the answer's head says variant, status and how long the model took."""
        variant = head.get("variant") or self._drawn()
        worker = self._by_variant.get(variant)
        if worker is None:
            return {"unknown_variant": variant}, b""
        began = time.perf_counter_ns()
        try:
            status, content_type, answer = await worker.invoke(body, head["content_type"], head["accept"])
        except WorkerGone as error:
            status, content_type, answer = 503, "text/plain", str(error).encode()
        except TimeoutError:
            status, content_type, answer = 0, "text/plain", b""
        latency_us = (time.perf_counter_ns() - began) // 1000
        if 200 <= status < 300 and self._captures:
            names = (head.get("inference_id"), head.get("custom_attributes"))
            self._captures[-1].keep(
                Exchange(head["at"], variant, *names, head["content_type"], body, content_type, answer)
            )
        return {"variant": variant, "status": status, "content_type": content_type, "latency_us": latency_us}, answer

    async def flush_now_and_then(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_EVERY_S)
            await self.flush()

    async def flush(self) -> None:
        """Write out what was captured; the work is done on another thread, the loop only hands it over."""
        for capture in self._captures:
            if rows := capture.take():
                await asyncio.to_thread(capture.write, rows)
        del self._captures[:-1]

    async def close(self) -> None:
        await asyncio.gather(*(worker.retire(drain_s=2.0) for worker in self._workers.values()))
        await self.flush()

    def _route(self, words: dict[str, Any]) -> None:
        """Take up a new table of variants at once, for the next call on."""
        rows = words["variants"]
        self._by_variant = {row["variant"]: self._workers[row["id"]] for row in rows}
        self._variants = [row["variant"] for row in rows]
        self._cumulative = list(itertools.accumulate(row["weight"] for row in rows))
        capture = words.get("capture")
        if capture is not None:
            self._captures.append(Capture(capture, self._spool / words["config"]))
        elif self._captures:
            self._captures.append(
                Capture({"CaptureOptions": [], "InitialSamplingPercentage": 0}, self._spool / words["config"])
            )
        tell({"event": "routed", "number": words["number"]})

    def _drawn(self) -> str:
        if not self._variants:
            return ""
        if self._cumulative[-1] <= 0:
            return random.choice(self._variants)  # noqa: S311 - routing
        return random.choices(self._variants, cum_weights=self._cumulative)[0]  # noqa: S311 - routing

    async def _retire(self, worker: str) -> None:
        process = self._workers.pop(worker, None)
        if process is not None:
            await process.retire(_DRAIN_S)
        tell({"event": "retired", "id": worker})

    def _background(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


class Door(asyncio.Protocol):
    """One connection of the account: the first frame holds the token, every further one is a call."""

    def __init__(self, server: EndpointServer, token: str) -> None:
        self._server, self._token = server, token
        self._known = False
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None
        self._call: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        while self._transport is not None and len(self._buffer) >= frames.LENGTHS.size:
            try:
                head, body = frames.lengths(self._buffer[: frames.LENGTHS.size])
            except ConnectionError:
                self._transport.abort()
                return
            start, end = frames.LENGTHS.size + head, frames.LENGTHS.size + head + body
            if len(self._buffer) < end:
                return
            words, content = json.loads(self._buffer[frames.LENGTHS.size : start]), bytes(self._buffer[start:end])
            del self._buffer[:end]
            self._frame(words, content)

    def _frame(self, words: frames.Head, body: bytes) -> None:
        if self._known:
            self._call = asyncio.get_running_loop().create_task(self._answer(words, body))
        elif hmac.compare_digest(str(words.get("token")), self._token):
            self._known = True
        elif self._transport is not None:
            self._transport.abort()

    async def _answer(self, words: frames.Head, body: bytes) -> None:
        head, answer = await self._server.answer(words, body)
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(frames.pack(head, answer))


async def serve(spool: Path, token: str) -> None:
    loop = asyncio.get_running_loop()
    server = EndpointServer(spool)
    door = await loop.create_server(lambda: Door(server, token), "127.0.0.1", 0)
    commands = asyncio.StreamReader(limit=1 << 24)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    flusher = asyncio.create_task(server.flush_now_and_then())
    tell({"event": "listening", "port": door.sockets[0].getsockname()[1]})
    while line := await commands.readline():
        server.command(json.loads(line))
    door.close()
    flusher.cancel()
    await server.close()


def main() -> None:
    uvloop.run(serve(Path(sys.argv[1]), os.environ["ENDPOINT_TOKEN"]))


if __name__ == "__main__":
    main()
