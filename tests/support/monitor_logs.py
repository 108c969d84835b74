"""Logs of a release's traffic as they land in the lake: captures, served lists and feedback, made from lists that are replayed."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from monitors.shown import Shown

START = datetime(2026, 3, 2, tzinfo=UTC)


@dataclass(frozen=True)
class Logs:
    """A lake's three folders, and the users' as prepared."""

    capture: Path
    served: Path
    feedback: Path


def at_times(shown: Shown, start: datetime, hours: float) -> Shown:
    """The same lists, their requests spread evenly over a time."""
    step = timedelta(hours=hours) / (int(shown.request.max()) + 1)
    base = round(start.timestamp() * 1e6)
    return replace(shown, at_us=base + shown.request * round(step / timedelta(microseconds=1)))


def with_clicks(shown: Shown, chances: np.ndarray, seed: int = 0) -> Shown:
    labels = (np.random.default_rng(seed).random(len(shown)) < chances).astype(np.float64)
    return replace(shown, label=labels)


def write_logs(
    folder: Path,
    shown: Shown,
    scores: np.ndarray,
    *,
    endpoint: str = "ranker",
    release_id: str = "r-1",
    prefix: str = "q",
    cells: Callable[[list[str]], list[str]] = list,
    decoys: int = 3,
) -> Logs:
    """Write them as the local account and `recommend` do; `decoys` candidates a call were not shown."""
    logs = Logs(folder / "capture", folder / "served", folder / "feedback")
    captures: dict[str, list[str]] = {}
    served, feedback = [], []
    for request in range(int(shown.request.max()) + 1):
        rows = np.flatnonzero(shown.request == request)
        at = datetime.fromtimestamp(int(shown.at_us[rows[0]]) / 1e6, UTC)
        request_id, user_id = f"{prefix}{request:06d}", f"u{int(shown.user[rows[0]]):05d}"
        captures.setdefault(at.strftime("%Y/%m/%d/%H"), []).append(
            json.dumps(_capture(shown, rows, scores, request_id, at, cells, decoys))
        )
        order = rows[np.argsort(shown.position[rows], kind="stable")]
        served.append(_served(shown, order, scores, request_id, user_id, at, release_id))
        feedback += _feedback(shown, order, request_id, user_id, at)
    for hour, lines in captures.items():
        _write(logs.capture / endpoint / "blue" / hour / "00-00-000-x.jsonl", lines)
    _write(logs.served / "2026" / "served-1", [json.dumps(record) for record in served])
    _write(logs.feedback / "2026" / "feedback-1", [json.dumps(event) for event in feedback])
    return logs


def _capture(
    shown: Shown, rows: np.ndarray, scores: np.ndarray, request_id: str, at: datetime, cells: Any, decoys: int
) -> dict[str, Any]:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    places = [*rows.tolist(), *rows[:decoys].tolist()]
    for row in places:
        writer.writerow(cells([_cell(shown.raw[name][row]) for name in shown.names]))
    answered = [float(scores[row]) for row in rows] + [float(scores[row]) / 7 for row in rows[:decoys]]
    answer = json.dumps({"ranker_id": "k", "scores": answered})
    return {
        "captureData": {
            "endpointInput": {
                "observedContentType": "text/csv",
                "mode": "INPUT",
                "data": out.getvalue(),
                "encoding": "CSV",
            },
            "endpointOutput": {
                "observedContentType": "application/json",
                "mode": "OUTPUT",
                "data": answer,
                "encoding": "JSON",
            },
        },
        "eventMetadata": {
            "eventId": f"e-{request_id}",
            "inferenceTime": f"{at:%Y-%m-%dT%H:%M:%SZ}",
            "inferenceId": request_id,
        },
        "eventVersion": "0",
    }


def _served(
    shown: Shown, order: np.ndarray, scores: np.ndarray, request_id: str, user_id: str, at: datetime, release_id: str
) -> dict[str, Any]:
    return {
        "request_id": request_id,
        "event_time": at.isoformat(),
        "user_id": user_id,
        "release_id": release_id,
        "items": [str(item) for item in shown.item[order]],
        "positions": [int(place) for place in shown.position[order]],
        "scores": [round(float(score), 6) for score in scores[order]],
        "degraded": [],
    }


def _feedback(shown: Shown, order: np.ndarray, request_id: str, user_id: str, at: datetime) -> list[dict[str, Any]]:
    events = []
    for row in order:
        for kind in ("impression", *(["click"] if shown.label[row] > 0 else [])):
            events.append(
                {
                    "event_id": f"{request_id}:{kind}-{shown.item[row]}",
                    "event_type": kind,
                    "event_time": at.isoformat(),
                    "known_at": at.isoformat(),
                    "user_id": user_id,
                    "item_id": str(shown.item[row]),
                    "request_id": request_id,
                    "position": int(shown.position[row]),
                }
            )
    return events


def _cell(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "" if np.isnan(value) else repr(float(value))


def _write(file: Path, lines: list[str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
