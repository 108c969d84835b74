"""What moto stores for PutMetricData, read as it grows, and kept in ten-second datapoints for the metrics with an alarm.

moto's list also holds what embedded metric logs, endpoints and the account's own services were counted by, and after a
restart what it held before.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import AbstractContextManager
from datetime import UTC, datetime
from typing import Any, Protocol

from local_account.cloudwatch.datapoints import SLOT_S, Datapoint, Metric


class Source(Protocol):
    """moto's storage: a list that only grows, safe to read while `reading()` is held."""

    def reading(self) -> AbstractContextManager[None]: ...

    def data(self) -> list[Any]: ...


class MetricStore:
    """Datapoints of the metrics that somebody wants; safe to share between threads."""

    def __init__(self, source: Source) -> None:
        self._source = source
        self._lock = threading.Lock()
        self._wanted: dict[Metric, bool] = {}  # with their single values, for percentiles?
        self._kept: dict[Metric, dict[tuple[int, str], Datapoint]] = {}
        self._read = 0  # of the source's list
        self._since = 0.0

    def read(self, wanted: Mapping[Metric, bool], since: float) -> dict[Metric, list[Datapoint]]:
        """Datapoints from `since` on of the metrics `wanted`; True where their percentiles are asked for.

        A metric that was not asked for before is looked for in everything that is stored; what is older than `since` is
        forgotten.
        """
        with self._lock, self._source.reading():
            data = self._source.data()
            new = any(wanted[metric] > self._wanted.get(metric, -1) for metric in wanted)
            if new or since < self._since or len(data) < self._read:
                self._read = 0
            if not self._read:
                self._wanted = dict(wanted)
                self._kept = {metric: {} for metric in wanted}
            self._take(data[self._read :], since)
            self._read, self._since = len(data), since
            for kept in self._kept.values():
                for slot in [slot for slot in kept if slot[0] < since - SLOT_S]:
                    del kept[slot]
            return {metric: list(self._kept[metric].values()) for metric in wanted}

    def _take(self, data: list[Any], since: float) -> None:
        names = {(metric.namespace, metric.name) for metric in self._wanted}
        made: tuple[Any, Metric | None] = (None, None)  # values of one PutMetricData share their dimensions
        for datum in data:
            if (datum.namespace, datum.name) not in names:
                continue
            if made[0] is not datum.dimensions or made[1] is None or made[1].name != datum.name:
                pairs = [(dimension.name, dimension.value) for dimension in datum.dimensions]
                made = datum.dimensions, Metric.of(datum.namespace, datum.name, pairs)
            metric = made[1]
            if metric not in self._kept or metric.namespace != datum.namespace:
                continue
            at = _epoch(datum.timestamp)
            if at >= since - SLOT_S:
                self._add(metric, int(at // SLOT_S) * SLOT_S, datum)

    def _add(self, metric: Metric, at: int, datum: Any) -> None:
        unit = datum.unit or "None"
        datapoint = self._kept[metric].setdefault((at, unit), Datapoint(at, unit))
        if hasattr(datum, "value"):
            datapoint.add(float(datum.value), keep=self._wanted[metric])
        else:
            datapoint.add_set(datum.sample_count, datum.sum, datum.min, datum.max)


def _epoch(timestamp: datetime) -> float:
    """moto's times are UTC, with or without saying so."""
    return timestamp.replace(tzinfo=timestamp.tzinfo or UTC).timestamp()
