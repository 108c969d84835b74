"""Metrics to CloudWatch, and as metrics.json for who reads files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from monitors.findings import Metric

DATA_A_CALL = 500  # CloudWatch takes 1,000 and 1 MB


def metric_data(metrics: Sequence[Metric], endpoint: str, schedule: str, resolution: int = 60) -> list[dict[str, Any]]:
    """PutMetricData's form. No timestamp: an alarm looks at the last minutes, whenever the window was.

    Parameters
    ----------
    resolution : int
        In seconds: 1 (for alarms with periods of 10 or 30 s) or 60, CloudWatch's default.
    """
    common = {"Endpoint": endpoint, "MonitoringSchedule": schedule}
    return [_datum(metric, common, resolution) for metric in metrics if math.isfinite(metric.value)]


def _datum(metric: Metric, common: dict[str, str], resolution: int) -> dict[str, Any]:
    dimensions = [{"Name": name, "Value": value} for name, value in {**common, **metric.dimensions}.items()]
    datum: dict[str, Any] = {"MetricName": metric.name, "Dimensions": dimensions, "Unit": "None"}
    if resolution < 60:
        datum["StorageResolution"] = resolution
    if metric.spread is None:
        return datum | {"Value": metric.value}
    count, total, least, greatest = metric.spread
    values = {"SampleCount": count, "Sum": total, "Minimum": least, "Maximum": greatest}
    return datum | {"StatisticValues": values}


def put_metrics(client: Any, namespace: str, data: Sequence[dict[str, Any]]) -> None:
    """Send them all; an error is the caller's to tell."""
    for start in range(0, len(data), DATA_A_CALL):
        client.put_metric_data(Namespace=namespace, MetricData=list(data[start : start + DATA_A_CALL]))
