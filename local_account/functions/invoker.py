"""Synchronous invocation: resolve, throttle, run in a pool, log, count."""

from __future__ import annotations

import os
import threading
import time
import uuid
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from local_account.account import Account
from local_account.functions.catalog import Catalog
from local_account.functions.environment import INIT_S, ExecutionEnvironment, Invocation, Outcome
from local_account.functions.logs import LogWriter
from local_account.functions.names import LATEST, FunctionName
from local_account.functions.pool import NoCapacity, Pool
from local_account.records import Records
from local_account.wire import AwsError

ENVIRONMENTS = max(
    8, 4 * (os.cpu_count() or 2)
)  # of one function version at once, unless reserved concurrency says less
WAIT_S = 60.0  # for one of them, before the call is throttled


@dataclass(slots=True)
class Result:
    request_id: str
    version: str
    outcome: Outcome


class Invoker:
    """Pools of all versions and what bounds them."""

    def __init__(self, account: Account, records: Records, catalog: Catalog, logs: LogWriter, scratch: Path) -> None:
        self._account, self._records, self._catalog = account, records, catalog
        self._logs, self._scratch = logs, scratch
        self._pools: dict[tuple[str, str], tuple[str, Pool]] = {}
        self._busy: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._maintenance = threading.Thread(target=self._maintain, name="function-pools", daemon=True)

    def start(self) -> None:
        self._maintenance.start()

    def stop(self) -> None:
        self._stopping.set()
        with self._lock:
            pools, self._pools = [pool for _, pool in self._pools.values()], {}
        for pool in pools:
            pool.kill()
        if self._maintenance.is_alive():
            self._maintenance.join()

    @property
    def stopping(self) -> bool:
        return self._stopping.is_set()

    def invoke(
        self,
        function: FunctionName,
        event: bytes,
        client_context: str = "",
        request_id: str = "",
        wait_s: float = WAIT_S,
    ) -> Result:
        """Run a function and wait for its result; `wait_s` is for an environment.

        Raises
        ------
        AwsError
            `ResourceNotFoundException` (404); `TooManyRequestsException` (429) when reserved concurrency is used up.
        """
        configuration = self._catalog.at(function)
        request_id = request_id or str(uuid.uuid4())
        trace = f"Root=1-{int(time.time()):x}-{uuid.uuid4().hex[:24]};Parent={uuid.uuid4().hex[:16]};Sampled=0"
        call = Invocation(request_id, event, function.arn, trace, client_context)
        self._enter(function)
        try:
            outcome = self._pool(configuration).invoke(call, wait_s)
        except NoCapacity:
            if self.stopping:
                raise AwsError("ServiceException", "the local account is stopping", 503) from None
            raise self._throttled(function, "Rate Exceeded.", "ConcurrentInvocationLimitExceeded") from None
        finally:
            with self._lock:
                self._busy[function.name] -= 1
        self._logs.write(configuration["LoggingConfig"]["LogGroup"], outcome.log_stream, outcome.lines)
        self._count(function, outcome)
        return Result(request_id, configuration["Version"], outcome)

    def longest_s(self, function: FunctionName) -> float:
        """Seconds after which a call has surely ended, once it has an environment: a cold one, and the function's own time."""
        timeout_s: int = self._catalog.at(function)["Timeout"]
        return INIT_S + 2 * timeout_s

    def retire(self, name: str, version: str | None = None) -> None:
        """Stop using the environments of a version, or of all versions: their code or configuration is gone."""
        with self._lock:
            keys = [key for key in self._pools if key[0] == name and version in (None, key[1])]
            pools = [self._pools.pop(key)[1] for key in keys]
        for pool in pools:
            pool.retire()

    def keep_warm(self, function: FunctionName, count: int) -> None:
        """Provisioned concurrency of the version that a function and qualifier stand for."""
        self._pool(self._catalog.at(function)).keep_warm(count)

    def warm(self, function: FunctionName) -> int:
        return self._pool(self._catalog.at(function)).warm

    def _enter(self, function: FunctionName) -> None:
        reserved = self._records.get("concurrency", function.name)
        with self._lock:
            if reserved is not None and self._busy[function.name] >= reserved:
                refused = True
            else:
                refused = False
                self._busy[function.name] += 1
        if refused:
            raise self._throttled(function, "Rate Exceeded.", "ReservedFunctionConcurrentInvocationLimitExceeded")

    def _throttled(self, function: FunctionName, message: str, reason: str) -> AwsError:
        for dimensions in _dimensions(function):
            self._account.count("AWS/Lambda", "Throttles", 1, "Count", dimensions)
        return AwsError("TooManyRequestsException", message, 429, Reason=reason, Type="User")

    def _pool(self, configuration: dict[str, Any]) -> Pool:
        key = (configuration["FunctionName"], configuration["Version"])
        old: Pool | None = None
        with self._lock:
            if self.stopping:
                raise AwsError("ServiceException", "the local account is stopping", 503)
            revision, pool = self._pools.get(key, ("", None))
            if pool is None or revision != configuration["RevisionId"]:
                old, pool = pool, self._new_pool(configuration)
                self._pools[key] = (configuration["RevisionId"], pool)
        if old is not None:
            old.retire()
        return pool

    def _new_pool(self, configuration: dict[str, Any]) -> Pool:
        launch = self._catalog.launch(configuration)

        def start(provisioned: bool) -> ExecutionEnvironment:
            return ExecutionEnvironment(self._account, launch, self._scratch, provisioned=provisioned)

        return Pool(start, ENVIRONMENTS)

    def _count(self, function: FunctionName, outcome: Outcome) -> None:
        for dimensions in _dimensions(function):
            self._account.count("AWS/Lambda", "Invocations", 1, "Count", dimensions)
            self._account.count("AWS/Lambda", "Errors", int(outcome.failed), "Count", dimensions)
            self._account.count("AWS/Lambda", "Duration", outcome.duration_ms, "Milliseconds", dimensions)

    def _maintain(self) -> None:
        while not self._stopping.wait(1.0):
            with self._lock:
                pools = [pool for _, pool in self._pools.values()]
            for pool in pools:
                pool.maintain()


def _dimensions(function: FunctionName) -> list[dict[str, str]]:
    own = {"FunctionName": function.name}
    if function.qualifier in (None, LATEST):
        return [own]
    return [own, {**own, "Resource": f"{function.name}:{function.qualifier}"}]
