"""One worker as its server sees it: started, pinged until it serves, started again when it dies, ended after its last call."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_account.processes import end, spawn
from local_account.sagemaker.faults import Fault
from local_account.sagemaker.worker_client import WorkerClient, WorkerGone

_PROGRAM = Path(__file__).with_name("variant_worker.py")
_DEATHS_BEFORE_FAILED = 2  # a worker that cannot start is tried once more, as a container is
_BACKOFF_S = (0.0, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0)
_STEADY_S = 30.0  # a worker that served this long begins with no backoff again
_GRACE_S = 5.0
_LOG_BATCH = 200

Tell = Callable[[dict[str, Any]], None]


@dataclass(frozen=True, slots=True)
class WorkerSpec:
    """What the account says of a worker."""

    id: str  # blue-3: variant and generation
    variant: str
    model_dir: str
    env: dict[str, str]
    ready_limit_s: float


class VariantProcess:
    def __init__(self, spec: WorkerSpec, tell: Tell) -> None:
        self.spec, self._tell = spec, tell
        self._process: subprocess.Popen[bytes] | None = None
        self._client: WorkerClient | None = None
        self._stopping = False
        self._under_way = 0
        self.fault: Fault | None = None
        self._keeper = asyncio.create_task(self._keep())

    async def invoke(self, body: bytes, content_type: str, accept: str) -> tuple[int, str, bytes]:
        """As `WorkerClient.invoke`; WorkerGone at once while the worker is being started again."""
        if self._client is None:
            raise WorkerGone("the model server is being restarted")
        self._under_way += 1
        try:
            if self.fault is not None:
                return await self.fault.meet(functools.partial(self._client.invoke, body, content_type, accept))
            return await self._client.invoke(body, content_type, accept)
        finally:
            self._under_way -= 1

    def kill(self) -> None:
        """End the process at once; it is started again like one that died by itself."""
        if self._process is not None:
            self._process.kill()

    async def retire(self, drain_s: float) -> None:
        """End the worker once its last call is answered."""
        deadline = time.monotonic() + drain_s
        while self._under_way and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        self._stopping = True
        self._keeper.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._keeper
        if self._client is not None:
            self._client.close()
        if self._process is not None:
            await asyncio.to_thread(end, self._process, _GRACE_S)

    async def _keep(self) -> None:
        """Start, wait until it serves, wait until it dies, and so on."""
        deaths, served_before, deadline = 0, False, time.monotonic() + self.spec.ready_limit_s
        while not self._stopping:
            await asyncio.sleep(_BACKOFF_S[min(deaths, len(_BACKOFF_S) - 1)])
            started = time.monotonic()
            died = self._start()
            if await self._serves(died, None if served_before else deadline):
                if not served_before:
                    self._tell({"event": "ready", "id": self.spec.id})
                served_before = True
                await died
            self._client = None
            code = await self._reap()
            deaths = 1 if time.monotonic() - started > _STEADY_S else deaths + 1
            if not served_before and (deaths >= _DEATHS_BEFORE_FAILED or time.monotonic() >= deadline):
                self._tell({"event": "failed", "id": self.spec.id})
                return
            self._tell(
                {
                    "event": "log",
                    "id": self.spec.id,
                    "lines": [f"the model server exited with code {code}; it is started again"],
                }
            )

    def _start(self) -> asyncio.Future[None]:
        """Start the process on a port of its own; the future is done when its output ends."""
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        with listener:
            listener.bind(("127.0.0.1", 0))
            port: int = listener.getsockname()[1]
            env = {**self.spec.env, "SAGEMAKER_BIND_TO_PORT": str(port)}
            argv: list[str | Path] = [sys.executable, "-P", _PROGRAM, self.spec.model_dir, str(listener.fileno())]
            # On the loop itself: a start that is cancelled half-way would lose sight of its process.
            self._process = spawn(
                argv,
                env=env,
                cwd=self.spec.model_dir,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(listener.fileno(),),
            )
        self._candidate = WorkerClient(port)
        return asyncio.ensure_future(self._read_log(self._process))

    async def _serves(self, died: asyncio.Future[None], deadline: float | None) -> bool:
        """Ping until it answers; False if it dies or its time is over first."""
        while not died.done() and (deadline is None or time.monotonic() < deadline):
            if await self._candidate.ping():
                self._client = self._candidate
                return True
            await asyncio.sleep(0.03)
        return False

    async def _reap(self) -> int:
        if self._process is None:
            return 0
        return await asyncio.to_thread(end, self._process, 0.0)

    async def _read_log(self, process: subprocess.Popen[bytes]) -> None:
        reader = asyncio.StreamReader(limit=1 << 20)
        loop = asyncio.get_running_loop()
        await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), process.stdout)
        while data := await reader.read(1 << 16):
            lines = [line for line in data.decode("utf-8", "replace").splitlines() if line.strip()]
            for first in range(0, len(lines), _LOG_BATCH):
                self._tell({"event": "log", "id": self.spec.id, "lines": lines[first : first + _LOG_BATCH]})
