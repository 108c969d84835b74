"""One execution environment: a process under `awslambdaric`, which serves one invocation at a time."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from local_account.account import REGION, Account
from local_account.functions.platform_lines import Report, end_lines, start_line
from local_account.functions.runtime_api import Heard, RuntimeApi
from local_account.processes import end, spawn

RESPONSE_LIMIT = 6_291_556  # bytes a function may return
INIT_S = 10.0  # what a module's import may take beyond the function's own timeout


@dataclass(frozen=True, slots=True)
class Launch:
    """All that starting a version takes. `function` is the configuration as GetFunctionConfiguration answers it."""

    function: dict[str, Any]
    code: Path
    layers: tuple[Path, ...]

    @property
    def name(self) -> str:
        return self.function["FunctionName"]

    @property
    def version(self) -> str:
        return self.function["Version"]

    @property
    def timeout_s(self) -> int:
        return self.function["Timeout"]

    @property
    def logs_json(self) -> bool:
        return bool(self.function["LoggingConfig"]["LogFormat"] == "JSON")

    @property
    def log_group(self) -> str:
        return self.function["LoggingConfig"]["LogGroup"]


@dataclass(frozen=True, slots=True)
class Invocation:
    request_id: str
    event: bytes
    arn: str  # as it was called, with the alias or version
    trace_id: str
    client_context: str = ""  # JSON


@dataclass(slots=True)
class Outcome:
    """What became of one invocation."""

    payload: bytes
    failed: bool  # the payload then says how
    lines: list[str]  # START, what the function wrote, END, REPORT
    duration_ms: float
    log_stream: str


class ExecutionEnvironment:
    """Start, init, invoke, end. Never used by two threads at once; not `alive` once it cannot serve again."""

    def __init__(self, account: Account, launch: Launch, scratch: Path, *, provisioned: bool = False) -> None:
        self.launch, self.alive = launch, True
        self._clock = account.clock
        self.started = self.last_used = time.monotonic()
        self.log_stream = f"{account.clock.now():%Y/%m/%d}/[{launch.version}]{uuid.uuid4().hex}"
        self._scratch = scratch / uuid.uuid4().hex
        self._scratch.mkdir(parents=True)
        self._init: Heard | None = None  # what init left to be told; None once it was
        self._init_ms = 0.0
        self._provisioned = provisioned
        self._api = RuntimeApi()
        self._process = self._start(account)
        self._memory = psutil.Process(self._process.pid)

    def init(self) -> None:
        """Run the module's import. If it fails, the first invocation answers with how."""
        self._init = self._api.wait_ready(self.started + INIT_S + self.launch.timeout_s)
        self._init_ms = (time.monotonic() - self.started) * 1000

    def usable(self) -> bool:
        """False once the process is gone, whoever ended it."""
        return self.alive and self._process.poll() is None

    def invoke(self, call: Invocation) -> Outcome:
        """Serve one invocation; a process that failed to start, ended or overran its time is dead afterwards."""
        init, self._init = self._init, None
        lines = [] if init is None else _text(init.output)
        lines.append(start_line(call.request_id, self.launch.version, self.launch.logs_json, self._clock.now()))
        began = time.monotonic()
        if init is not None and (init.call is None or init.call.what != "next"):
            heard = init
            init.output.clear()
            if init.call is not None:
                self._api.accept_init_error(init.call)
        else:
            timeout_s = self.launch.timeout_s
            headers = _headers(call, int((time.time() + timeout_s) * 1000))
            heard = self._api.exchange(headers, call.event, call.request_id, began + timeout_s)
        duration_ms = (time.monotonic() - began) * 1000
        failed, payload = self._result(heard, call.request_id)
        lines += _text(heard.output)
        timed_out = heard.call is None and not heard.ended
        report = Report(
            request_id=call.request_id,
            version=self.launch.version,
            memory_mb=self.launch.function["MemorySize"],
            used_mb=self._resident_mb(),
            duration_ms=duration_ms,
            init_ms=self._init_ms if init is not None and not self._provisioned else None,
            status="timeout" if timed_out else "error" if failed else "success",
            timeout_s=self.launch.timeout_s,
        )
        lines += end_lines(report, self.launch.logs_json, self._clock.now())
        self.last_used = time.monotonic()
        return Outcome(payload, failed, lines, duration_ms, self.log_stream)

    def end(self) -> None:
        """End the process and whatever it started."""
        self.alive = False
        end(self._process, grace_s=0.3)
        self._api.close()
        shutil.rmtree(self._scratch, ignore_errors=True)

    def kill(self) -> None:
        """End the process from another thread; whoever waits for its answer learns that it has ended."""
        self._process.kill()

    def _start(self, account: Account) -> subprocess.Popen[bytes]:
        ours, theirs = os.pipe()
        self._api.read_output_from(ours)
        try:
            return spawn(
                [sys.executable, "-m", "awslambdaric", self.launch.function["Handler"]],
                env=self._variables(account),
                cwd=self.launch.code,
                stdout=theirs,
                stderr=theirs,
            )
        finally:
            os.close(theirs)

    def _variables(self, account: Account) -> dict[str, str]:
        function, logging = self.launch.function, self.launch.function["LoggingConfig"]
        credentials = account.credentials_for(function["Role"], function["FunctionName"])
        return {
            **account.child_environment(credentials),
            **function["Environment"]["Variables"],
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EXECUTION_ENV": f"AWS_Lambda_{function['Runtime']}",
            "AWS_LAMBDA_FUNCTION_NAME": function["FunctionName"],
            "AWS_LAMBDA_FUNCTION_VERSION": function["Version"],
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": str(function["MemorySize"]),
            "AWS_LAMBDA_INITIALIZATION_TYPE": "provisioned-concurrency" if self._provisioned else "on-demand",
            "AWS_LAMBDA_LOG_FORMAT": logging["LogFormat"],
            **({"AWS_LAMBDA_LOG_LEVEL": logging["ApplicationLogLevel"]} if "ApplicationLogLevel" in logging else {}),
            "AWS_LAMBDA_LOG_GROUP_NAME": self.launch.log_group,
            "AWS_LAMBDA_LOG_STREAM_NAME": self.log_stream,
            "AWS_LAMBDA_RUNTIME_API": self._api.address,
            "LAMBDA_TASK_ROOT": str(self.launch.code),
            "PYTHONPATH": os.pathsep.join(map(str, (self.launch.code, *self.launch.layers))),
            "PYTHONDONTWRITEBYTECODE": "1",  # the package was compiled when it was unpacked
            "TMPDIR": str(self._scratch),
            "TZ": ":UTC",
            "_HANDLER": function["Handler"],
        }

    def _result(self, heard: Heard, request_id: str) -> tuple[bool, bytes]:
        """(failed, payload); whatever is no answer of the function ends the environment."""
        call = heard.call
        if call is not None and call.what == "response":
            if len(call.body) <= RESPONSE_LIMIT:
                return False, call.body
            too_large = f"Response payload size exceeded maximum allowed payload size ({RESPONSE_LIMIT} bytes)."
            return True, _error("Function.ResponseSizeTooLarge", too_large)
        if call is not None and call.what == "error":
            return True, call.body
        self.alive = False
        if call is not None:
            return True, call.body
        if not heard.ended:
            self._process.kill()
            timed_out = f"RequestId: {request_id} Error: Task timed out after {self.launch.timeout_s:.2f} seconds"
            return True, _error("Sandbox.Timedout", timed_out)
        code = end(self._process, grace_s=0.3)
        how = f"signal: {signal.Signals(-code).name}" if code < 0 else f"exit status {code}"
        return True, _error("Runtime.ExitError", f"RequestId: {request_id} Error: Runtime exited with error: {how}")

    def _resident_mb(self) -> int:
        try:
            return self._memory.memory_info().rss >> 20
        except psutil.Error:
            return 0


def _headers(call: Invocation, deadline_ms: int) -> dict[str, str]:
    headers = {
        "Content-Type": "application/json",
        "Lambda-Runtime-Aws-Request-Id": call.request_id,
        "Lambda-Runtime-Deadline-Ms": str(deadline_ms),
        "Lambda-Runtime-Invoked-Function-Arn": call.arn,
        "Lambda-Runtime-Trace-Id": call.trace_id,
    }
    if call.client_context:
        headers["Lambda-Runtime-Client-Context"] = call.client_context
    return headers


def _text(output: bytearray) -> list[str]:
    """Lines of what a function wrote; the runtime's own records keep their carriage returns, as in CloudWatch."""
    return [line for line in output.decode(errors="replace").split("\n") if line]


def _error(kind: str, message: str) -> bytes:
    return json.dumps({"errorType": kind, "errorMessage": message}).encode()
