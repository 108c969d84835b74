"""A window's rows from its logs: which candidates of each captured call were shown, to whom, and what became of them."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from features.job import JobFailed
from monitors.captures import Call, index_captures, read_calls, sample
from monitors.formats import NO_DATA
from monitors.labels import Labels, read_labels
from monitors.served import Lists, Served, read_served
from monitors.shown import Column, Shown, numbered
from monitors.window import Window

MAX_REQUESTS = 5000  # 50,000 shown rows: 1 % of effect is beyond noise long before
DIGITS = 6  # of a score in a served-list record


@dataclass(frozen=True, slots=True)
class Joined:
    """Rows, the user of each, and what was read."""

    shown: Shown
    user_ids: list[str]  # of each row
    notes: list[str]


@dataclass(frozen=True, slots=True)
class Source:
    """Where a window's logs lie."""

    capture: Path
    served: Path
    ground_truth: Path | None = None
    max_requests: int = MAX_REQUESTS


def join_window(source: Source, window: Window, release_id: str, columns: Sequence[Column]) -> Joined:
    """Rows shown by one release in one window; of more than `max_requests` requests a fixed sample.

    Raises
    ------
    JobFailed
        "Job inputs had no data" and why, if nothing is left.
    """
    lists = read_served(source.served, release_id, window)
    if not lists.found:
        raise JobFailed(f"{NO_DATA}: {_why_no_lists(lists, release_id)}")
    index = index_captures(source.capture, lists.found)
    chosen = sample(index.places, source.max_requests)
    rows = _Rows(columns)
    for call in read_calls(index, chosen):
        rows.add(lists.found[call.request_id], call)
    if not rows.cells:
        raise JobFailed(f"{NO_DATA}: none of {len(lists.found):,} lists of {release_id} has a captured call")
    labels = Labels()
    if source.ground_truth is not None:
        labels = read_labels(source.ground_truth, {one: set(lists.found[one].items) for one in chosen})
    notes = [
        f"{len(chosen):,} of {len(lists.found):,} requests looked at; {len(lists.found) - len(index.places):,} without a captured call",
        lists.tally.sentence("served lists"),
        index.tally.sentence("captures"),
    ]
    if source.ground_truth is not None:
        notes += [labels.tally.sentence("labels"), f"{labels.unknown_items:,} labels of items that were not shown"]
    if rows.unmatched:
        notes.append(f"{rows.unmatched:,} shown items have no captured row")
    return Joined(rows.table(labels), rows.user_ids, notes)


def _why_no_lists(lists: Lists, release_id: str) -> str:
    others = ", ".join(f"{count:,} of {name}" for name, count in lists.others.most_common(3))
    return f"no list of {release_id} in the window" + (f", {others}" if others else "")


class _Rows:
    """Shown rows, one after the other."""

    def __init__(self, columns: Sequence[Column]) -> None:
        self.columns = tuple(columns)
        self.cells: list[list[str]] = []
        self.user_ids: list[str] = []
        self.keys: list[tuple[str, str]] = []
        self.positions: list[int] = []
        self.times: list[int] = []
        self.unmatched = 0

    def add(self, served: Served, call: Call) -> None:
        """The rows of a call that were shown, by their score; of equal ones the earlier candidate was shown first."""
        by_score: defaultdict[float, list[int]] = defaultdict(list)
        for place in range(len(call.scores) - 1, -1, -1):
            by_score[round(call.scores[place], DIGITS)].append(place)
        for item, position, score in zip(served.items, served.positions, served.scores, strict=True):
            places = by_score.get(score)
            if not places:
                self.unmatched += 1
                continue
            self.cells.append(call.rows[places.pop()])
            self.user_ids.append(served.user_id)
            self.keys.append((served.request_id, item))
            self.positions.append(position)
            self.times.append(served.at_us)

    def table(self, labels: Labels) -> Shown:
        width = Counter(map(len, self.cells)).most_common(1)[0][0]
        raw, unreadable = {}, {}
        for place, (name, kind) in enumerate(self.columns):
            texts = [row[place] if place < len(row) else "" for row in self.cells]
            if kind == "number":
                raw[name], unreadable[name] = numbers(texts)
            else:
                raw[name] = np.array(texts, object)
        return Shown(
            columns=self.columns,
            raw=raw,
            user=numbered(self.user_ids),
            request=numbered([request_id for request_id, _ in self.keys]),
            item=np.array([item for _, item in self.keys], object),
            position=np.array(self.positions, np.float64),
            at_us=np.array(self.times, np.int64),
            label=np.array([labels.of.get(key, math.nan) for key in self.keys]),
            unreadable=unreadable,
            cells=width,
        )


def numbers(texts: Sequence[str]) -> tuple[np.ndarray, int]:
    """Finite numbers, NaN for an empty cell or what is none, and how many were none.

    Examples
    --------
    >>> numbers(["1.5", "", "x", "inf"])
    (array([1.5, nan, nan, nan]), 2)
    """
    values, bad = np.full(len(texts), np.nan), 0
    for place, text in enumerate(texts):
        if text:
            try:
                values[place] = float(text)
            except ValueError:
                bad += 1
    infinite = np.isinf(values)
    values[infinite] = np.nan
    return values, bad + int(infinite.sum())
