"""One JSON line a log entry, and metrics in CloudWatch's embedded format (EMF): a metric is a log line, no call is made.

Written by hand because it is forty lines: powertools' Logger and Metrics cost 45 ms of every cold start and a
millisecond of every request here (docs/decisions/serving-request-path.md).
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping, Sequence
from typing import Any

LEVELS = {"DEBUG": 10, "INFO": 20, "WARNING": 30, "ERROR": 40}


def log(level: str, message: str, **fields: Any) -> None:
    """Write one line. Never hand in a user's id or data: `domain.traffic.user_hash` is what a log may say."""
    if LEVELS[level] >= LEVELS.get(os.environ.get("LOG_LEVEL", "INFO"), 20):
        service = os.environ.get("AWS_LAMBDA_FUNCTION_NAME", "local")
        _write({"level": level, "time_ms": _now_ms(), "service": service, "message": message, **fields})


def count(
    metrics: Mapping[str, tuple[float, str]],
    dimensions: Mapping[str, str] | None = None,
    sets: Sequence[Sequence[str]] | None = None,
    namespace: str | None = None,
) -> None:
    """Metrics of one dimension set, or of several, of the stack: {"Latency": (12.5, "Milliseconds")}.

    Parameters
    ----------
    metrics : mapping of name to (value, unit)
        Units as CloudWatch names them: Count, Milliseconds, Percent, None.
    dimensions : mapping, optional
        Dimension name to value.
    sets : sequence of sequences of names, optional
        Which dimensions each copy of the metric carries; default: all of them in one.
    namespace : str, optional
        Default: METRICS_NAMESPACE, the stack's own.
    """
    named = dict(dimensions or {})
    directive = {
        "Namespace": namespace or os.environ.get("METRICS_NAMESPACE", "Understudy"),
        "Dimensions": [list(each) for each in sets] if sets is not None else [list(named)],
        "Metrics": [{"Name": name, "Unit": unit} for name, (_, unit) in metrics.items()],
    }
    values = {name: value for name, (value, _) in metrics.items()}
    _write({"_aws": {"Timestamp": _now_ms(), "CloudWatchMetrics": [directive]}, **named, **values})


def _now_ms() -> int:
    return int(time.time() * 1000)


def _write(line: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(line, separators=(",", ":"), default=str) + "\n")
    sys.stdout.flush()
