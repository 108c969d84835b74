"""What Lambda itself writes to a function's log around each invocation, as text or as JSON."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class Report:
    """Figures of one invocation. `init_ms` is None unless the environment was started for it."""

    request_id: str
    version: str
    memory_mb: int
    used_mb: int
    duration_ms: float
    init_ms: float | None
    status: str  # success | error | timeout
    timeout_s: int

    @property
    def billed_ms(self) -> int:
        return math.ceil(self.duration_ms + (self.init_ms or 0.0))


def start_line(request_id: str, version: str, as_json: bool, now: datetime) -> str:
    if as_json:
        return _record("platform.start", {"requestId": request_id, "version": version}, now)
    return f"START RequestId: {request_id} Version: {version}"


def end_lines(report: Report, as_json: bool, now: datetime) -> list[str]:
    """What follows the function's own output."""
    if as_json:
        metrics: dict[str, Any] = {
            "durationMs": round(report.duration_ms, 3),
            "billedDurationMs": report.billed_ms,
            "memorySizeMB": report.memory_mb,
            "maxMemoryUsedMB": report.used_mb,
        }
        if report.init_ms is not None:
            metrics["initDurationMs"] = round(report.init_ms, 3)
        return [
            _record(
                "platform.report", {"requestId": report.request_id, "metrics": metrics, "status": report.status}, now
            )
        ]
    lines = [f"END RequestId: {report.request_id}"]
    if report.status == "timeout":
        told = f"{_iso(now)} {report.request_id} Task timed out after {report.timeout_s:.2f} seconds"
        lines.insert(0, told)
    parts = [
        f"REPORT RequestId: {report.request_id}",
        f"Duration: {report.duration_ms:.2f} ms",
        f"Billed Duration: {report.billed_ms} ms",
        f"Memory Size: {report.memory_mb} MB",
        f"Max Memory Used: {report.used_mb} MB",
    ]
    if report.init_ms is not None:
        parts.append(f"Init Duration: {report.init_ms:.2f} ms")
    return [*lines, "\t".join(parts) + "\t"]


def _record(kind: str, record: dict[str, Any], now: datetime) -> str:
    return json.dumps({"time": _iso(now), "type": kind, "record": record}, separators=(",", ":"))


def _iso(now: datetime) -> str:
    return now.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
