"""Datapoints that the account's services count for themselves, put into CloudWatch once a second."""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from local_account.front_door.local import LocalAccount

_EVERY_S = 1.0
_TARGET = "GraniteServiceVersion20100801.PutMetricData"
_DATA_PER_CALL = 500  # CloudWatch takes 1,000 metrics and 1 MB; 150 values in each
_VALUES_PER_DATUM = 150

_Key = tuple[str, str, str, tuple[tuple[str, str], ...]]  # namespace, metric, unit, dimensions


class MetricBatch:
    """`add` costs a lock and a count. Equal values of one second travel as one value with its count."""

    def __init__(self, account: LocalAccount) -> None:
        self._account = account
        self._lock = threading.Lock()
        self._values: dict[_Key, Counter[float]] = defaultdict(Counter)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="metrics", daemon=True)

    def add(self, namespace: str, metric: str, value: float, unit: str, dimensions: dict[str, str]) -> None:
        with self._lock:
            self._values[namespace, metric, unit, tuple(sorted(dimensions.items()))][value] += 1

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self.flush()

    def flush(self) -> None:
        """Put everything counted so far."""
        with self._lock:
            values, self._values = self._values, defaultdict(Counter)
        at = self._account.clock.epoch()
        by_namespace: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for (namespace, metric, unit, dimensions), counts in values.items():
            pairs = list(counts.items())
            for start in range(0, len(pairs), _VALUES_PER_DATUM):
                part = pairs[start : start + _VALUES_PER_DATUM]
                by_namespace[namespace].append(
                    {
                        "MetricName": metric,
                        "Dimensions": [{"Name": name, "Value": value} for name, value in dimensions],
                        "Timestamp": at,
                        "Values": [value for value, _ in part],
                        "Counts": [count for _, count in part],
                        "Unit": unit,
                    }
                )
        for namespace, data in by_namespace.items():
            for start in range(0, len(data), _DATA_PER_CALL):
                body = {"Namespace": namespace, "MetricData": data[start : start + _DATA_PER_CALL]}
                self._account.call("monitoring", _TARGET, body)

    def _run(self) -> None:
        while not self._stopping.wait(_EVERY_S):
            self.flush()
