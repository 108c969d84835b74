"""Served-list records: what was shown to whom, by which release, and when."""

from __future__ import annotations

import json
from collections import Counter
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from monitors.logs import Tally, lines_of
from monitors.window import Window, microseconds


@dataclass(frozen=True, slots=True)
class Served:
    """One list."""

    request_id: str
    user_id: str
    at_us: int
    items: tuple[str, ...]
    positions: tuple[int, ...]
    scores: tuple[float, ...]


@dataclass(slots=True)
class Lists:
    """The lists of one release in one window, by request id."""

    found: dict[str, Served] = field(default_factory=dict)
    others: Counter[str] = field(default_factory=Counter)  # lists of other releases in the window
    outside: int = 0
    tally: Tally = field(default_factory=Tally)


def read_served(folder: Path, release_id: str, window: Window) -> Lists:
    """Lists of a release whose request was made in the window; one that is there twice counts once."""
    lists = Lists()
    first, last = window.bounds_us
    for line in lines_of(folder, lists.tally):
        try:
            release, served = parse(json.loads(line))
        except (ValueError, KeyError, TypeError, RecursionError):
            lists.tally.unreadable += 1
            continue
        if not first <= served.at_us < last:
            lists.outside += 1
        elif release != release_id:
            lists.others[release] += 1
        elif served.request_id in lists.found:
            lists.tally.duplicates += 1
        else:
            lists.found[served.request_id] = served
    return lists


def parse(record: dict[str, Any]) -> tuple[str, Served]:
    """(release, list) of one record.

    Raises
    ------
    ValueError, KeyError, TypeError
        If it is no served-list record.
    """
    items, positions, scores = (tuple(record[name]) for name in ("items", "positions", "scores"))
    if not len(items) == len(positions) == len(scores):
        raise ValueError("items, positions and scores differ in number")
    served = Served(
        str(record["request_id"]),
        str(record["user_id"]),
        microseconds(datetime.fromisoformat(record["event_time"])),
        tuple(map(str, items)),
        tuple(map(int, positions)),
        tuple(map(float, scores)),
    )
    return str(record["release_id"]), served
