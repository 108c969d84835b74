"""Served lists, feedback, and the log objects they land in, for tests of the aggregator."""

from __future__ import annotations

import gzip
import io
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from understudy.contracts.outcomes import ObjectCreated
from understudy.domain.outcomes import Fact, Row, sums
from understudy.domain.tokens import new_request_id

NOW = datetime(2026, 3, 1, 6, 0, tzinfo=UTC)


def request_id(number: int, at: datetime = NOW - timedelta(hours=1, minutes=30)) -> str:
    return new_request_id(int(at.timestamp() * 1000), number.to_bytes(10, "big"))


def served(number: int, **changes: Any) -> dict[str, Any]:
    """The served-list record of request `number`; its bucket is number mod 3, so that rows are shared."""
    fields = {
        "request_id": request_id(number),
        "release_id": "r-1",
        "assigned_release_id": "r-1",
        "arm": "champion",
        "bucket": number % 3,
        "traffic_version": 7,
        "items": ["i-0", "i-1"],
        "latency_ms": 12.5,
        "assigned_latency_ms": 11.5,
        "degraded": [],
        "error": None,
    }
    return fields | changes


def feedback(number: int, kind: str, item: str, copy: int = 0, **changes: Any) -> dict[str, Any]:
    """A canonical event; `copy` tells two events apart that mean the same."""
    fields = {
        "event_id": f"{request_id(number)}:{kind}-{item}-{copy}",
        "event_type": kind,
        "item_id": item,
        "request_id": request_id(number),
        "release_id": "r-1",
        "assigned_release_id": "r-1",
        "bucket": number % 3,
        "traffic_version": 7,
        "known_at": NOW.isoformat(),
    }
    return fields | changes


def created(key: str, etag: str = "e") -> ObjectCreated:
    detail = {"bucket": {"name": "lake"}, "object": {"key": key, "etag": etag}}
    return ObjectCreated.model_validate({"source": "aws.s3", "detail": detail})


@dataclass
class Bucket:
    """`get_object` of S3."""

    objects: dict[str, bytes] = field(default_factory=dict)

    def put(self, key: str, lines: Iterable[Mapping[str, Any] | str], *, zipped: bool = False) -> str:
        text = "".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines)
        self.objects[key] = gzip.compress(text.encode()) if zipped else text.encode()
        return key

    def get_object(self, *, Bucket: str, Key: str) -> dict[str, Any]:
        return {"Body": io.BytesIO(self.objects[Key])}


class Crash(Exception):
    """The function's process ended here."""


@dataclass
class MemoryOutcomes:
    """`OutcomeStore` in memory: a transaction is whole or not there. Crashes before or after chosen writes."""

    markers: set[tuple[str, str]] = field(default_factory=set)
    rows: dict[Row, dict[str, float]] = field(default_factory=dict)
    done: set[str] = field(default_factory=set)
    crashes: set[tuple[int, str]] = field(default_factory=set)  # (number of the write, "before" or "after")
    writes: int = 0

    def add(self, facts: list[Fact], now: datetime) -> list[Fact]:
        self._step("before")
        fresh = [fact for fact in facts if fact.marker not in self.markers]
        self.markers |= {fact.marker for fact in fresh}
        for row, adds in sums(fresh).items():
            counts = self.rows.setdefault(row, {})
            for name, value in adds.items():
                counts[name] = round(counts.get(name, 0) + value, 6)
        self._step("after")
        return [fact for fact in facts if fact not in fresh]

    def is_done(self, log_object: str) -> bool:
        return log_object in self.done

    def mark_done(self, log_object: str, now: datetime) -> None:
        self._step("before")
        self.done.add(log_object)
        self._step("after")

    def _step(self, when: str) -> None:
        self.writes += when == "before"
        if (self.writes, when) in self.crashes:
            raise Crash


@dataclass
class MemoryShown:
    """Sketches by (partition, log object)."""

    sketches: dict[tuple[str, str], bytes] = field(default_factory=dict)

    def put(self, sketches: Mapping[str, bytearray], log_object: str, now: datetime) -> None:
        self.sketches |= {(rows, log_object): bytes(sketch) for rows, sketch in sketches.items()}


@dataclass
class Letters:
    """A dead-letter queue."""

    sent: list[tuple[str, str, str]] = field(default_factory=list)

    def send(self, where: str, reason: str, line: str) -> None:
        self.sent.append((where, reason, line))
