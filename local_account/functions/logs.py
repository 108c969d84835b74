"""What functions wrote, on its way to CloudWatch: lines in batches, embedded metrics as datapoints."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from local_account.account import Account

_EVERY_S = 1.0
_logger = logging.getLogger(__name__)


class LogWriter:
    """Lines of all functions, written every second by one thread, so that no invocation waits for CloudWatch."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._waiting: defaultdict[tuple[str, str], list[str]] = defaultdict(list)
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="function-logs", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def write(self, group: str, stream: str, lines: Iterable[str]) -> None:
        with self._lock:
            self._waiting[group, stream].extend(lines)

    def flush(self) -> None:
        """Everything written so far is in CloudWatch when this returns."""
        with self._writing:
            with self._lock:
                batches, self._waiting = self._waiting, defaultdict(list)
            for (group, stream), lines in batches.items():
                for line in lines:
                    if line.startswith("{") and '"_aws"' in line:
                        for namespace, name, value, unit, dimensions in embedded_metrics(line):
                            self._account.count(namespace, name, value, unit, dimensions)
                self._account.log(group, stream, lines)

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY_S):
            try:
                self.flush()
            except Exception:  # one refused batch must not end the logs of every function
                _logger.exception("a batch of function logs was not written")


def embedded_metrics(line: str) -> Iterator[tuple[str, str, float, str, dict[str, str]]]:
    """Datapoints in a line of CloudWatch's embedded metric format: one per metric, dimension set and value.

    A line that is not of the format gives none, as in CloudWatch, which then keeps it as a plain log event.

    Examples
    --------
    >>> line = '{"_aws": {"CloudWatchMetrics": [{"Namespace": "N", "Dimensions": [["a"]],'
    >>> line += '"Metrics": [{"Name": "m", "Unit": "Count"}]}]}, "a": "x", "m": 2}'
    >>> list(embedded_metrics(line))
    [('N', 'm', 2.0, 'Count', {'a': 'x'})]

    References
    ----------
    https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html
    """
    with contextlib.suppress(orjson.JSONDecodeError, KeyError, TypeError, AttributeError, ValueError):
        record: dict[str, Any] = orjson.loads(line)
        found = []
        for directive in record["_aws"]["CloudWatchMetrics"]:
            for metric in directive["Metrics"]:
                values = record[metric["Name"]]
                for names in directive.get("Dimensions") or [[]]:
                    dimensions = {name: str(record[name]) for name in names}
                    for value in values if isinstance(values, list) else [values]:
                        unit = metric.get("Unit", "None")
                        found.append((directive["Namespace"], metric["Name"], float(value), unit, dimensions))
        yield from found
