"""What a job's processes say: line by line into CloudWatch Logs in batches, metrics taken out by their regexes."""

from __future__ import annotations

import contextlib
import re
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import IO, Any

from local_account.account import Account
from local_account.sagemaker.errors import invalid
from local_account.sagemaker.room import Answer

_BATCH_S = 0.5
_BATCH_LINES = 200
_LONGEST_LINE = 256 * 1024
_TAIL = 40


class MetricReader:
    """The last value of each metric of MetricDefinitions, as FinalMetricDataList gives it."""

    def __init__(
        self,
        account: Account,
        job: str,
        definitions: Sequence[Answer],
        heard: Callable[[str, float], None] | None = None,
    ) -> None:
        self._account, self._job, self._heard = account, job, heard
        try:
            self._regexes = [(d["Name"], re.compile(d["Regex"])) for d in definitions]
        except re.error as error:
            raise invalid(f"A MetricDefinitions regex cannot be compiled: {error}") from None
        self._last: dict[str, tuple[float, float]] = {}

    def read(self, line: str) -> None:
        for name, regex in self._regexes:
            for match in regex.finditer(line):
                with contextlib.suppress(ValueError, IndexError, TypeError):
                    value = float(match.group(1))
                    self._last[name] = (value, self._account.clock.epoch())
                    if self._heard is not None:
                        self._heard(name, value)
                    self._account.count(
                        "/aws/sagemaker/TrainingJobs", name, value, "None", {"TrainingJobName": self._job}
                    )

    def final(self) -> list[Answer]:
        """Values that are a number; NaN and infinity have no place in a JSON answer."""
        finite = ((name, value, at) for name, (value, at) in self._last.items() if value - value == 0)
        return [{"MetricName": name, "Value": value, "Timestamp": at} for name, value, at in finite]


class LogPump:
    """Reads one process's output until it ends. `tail` keeps the last lines for the failure reason."""

    def __init__(
        self, account: Account, group: str, stream: str, pipe: IO[bytes], metrics: MetricReader | None = None
    ) -> None:
        self._account, self._group, self._stream, self._pipe, self._metrics = account, group, stream, pipe, metrics
        self.tail: deque[str] = deque(maxlen=_TAIL)
        self._batch: list[str] = []
        self._lock = threading.Lock()
        self._sent = time.monotonic()
        self._reader = threading.Thread(target=self._read, name=f"log {stream}", daemon=True)
        self._reader.start()

    def _read(self) -> None:
        with self._pipe:
            for raw in iter(lambda: self._pipe.readline(_LONGEST_LINE), b""):
                line = raw.decode("utf-8", "replace").rstrip("\r\n")
                self.tail.append(line)
                if self._metrics is not None:
                    self._metrics.read(line)
                with self._lock:
                    self._batch.append(line or " ")  # CloudWatch Logs takes no empty message
                    full = len(self._batch) >= _BATCH_LINES
                if full:
                    self.flush()

    def flush_if_due(self) -> None:
        if time.monotonic() - self._sent >= _BATCH_S:
            self.flush()

    def flush(self) -> None:
        with self._lock:
            batch, self._batch = self._batch, []
            self._sent = time.monotonic()
            if batch:
                self._account.log(self._group, self._stream, batch)

    def close(self, patience_s: float = 2.0) -> None:
        """Wait for the last lines; a grandchild that keeps the pipe open is not waited for longer."""
        self._reader.join(patience_s)
        self.flush()


def metric_reader(
    account: Account, doc: dict[str, Any], name: str, heard: Callable[[str, float], None] | None = None
) -> MetricReader:
    return MetricReader(account, name, doc.get("AlgorithmSpecification", {}).get("MetricDefinitions", []), heard)
