"""The baseline's distributions by hour of the week: counts over fixed bins, so that a window meets the same hours of the baseline.

Letters: B bins, S = 168 hours of the week, N rows. A number's bins alternate between the gaps and the values of its edges, so a
value with a large share (0 clicks) is a bin of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from monitors.noise import effective
from monitors.shown import Shown, present
from monitors.window import HOURS_OF_WEEK, hours_of_week

EDGES, VALUES = 64, 200  # bins of a number; values of a category that are told apart, the rest is one
ENOUGH_REQUESTS = 300.0  # below this the same hours of the baseline are too few, and wider ones are taken
BINS_FILE, PROFILE_FILE = "bins.json", "profile.parquet"


@dataclass(frozen=True, slots=True)
class Bins:
    """How one column's values fall into bins."""

    kind: str
    edges: np.ndarray  # of a number, ascending and distinct
    values: tuple[str, ...] = ()  # of a category; the last bin is every other value

    @property
    def count(self) -> int:
        return 2 * len(self.edges) + 1 if self.kind == "number" else len(self.values) + 1

    def of(self, values: np.ndarray) -> np.ndarray:
        """Bin of each present value.

        Examples
        --------
        >>> Bins("number", np.array([0.0, 5.0])).of(np.array([-1.0, 0.0, 3.0, 5.0, 9.0])).tolist()
        [0, 1, 2, 3, 4]
        """
        if self.kind == "number":
            return np.searchsorted(self.edges, values, "left") + np.searchsorted(self.edges, values, "right")
        place = {value: index for index, value in enumerate(self.values)}
        distinct, inverse = np.unique(values.astype(str), return_inverse=True)
        return np.array([place.get(str(value), len(place)) for value in distinct], np.int64)[inverse]


def bins_of(kind: str, values: np.ndarray) -> Bins:
    """Bins from the baseline's present values: quantiles of a number, the most frequent values of a category."""
    if kind == "number":
        quantiles = np.quantile(values, np.linspace(0, 1, EDGES), method="inverted_cdf") if len(values) else []
        return Bins(kind, np.unique(np.asarray(quantiles, np.float64)))
    distinct, counts = np.unique(values.astype(str), return_counts=True)
    return Bins(kind, np.empty(0), tuple(distinct[np.argsort(-counts, kind="stable")][:VALUES].tolist()))


@dataclass(frozen=True, slots=True)
class Reference:
    """What the baseline says of one column for the hours of a window."""

    shares_B: np.ndarray
    observations: float  # effective


@dataclass(frozen=True, slots=True)
class Profile:
    """A baseline's counts."""

    bins: Mapping[str, Bins]
    counts_SB: Mapping[str, np.ndarray]
    requests_S: np.ndarray
    observations: float  # effective, by user, of the whole baseline

    def hours(self, at_us: np.ndarray) -> tuple[np.ndarray, float]:
        """Weights of the baseline's hours that make its mix of hours the window's, and the requests they are worth.

        The finest of: the same hours of the week; the same quarter of the day on a working day or weekend; all hours.
        """
        now_S = np.bincount(hours_of_week(at_us), minlength=HOURS_OF_WEEK) / max(len(at_us), 1)
        for group_S in (np.arange(HOURS_OF_WEEK), _parts_of_the_week(), np.zeros(HOURS_OF_WEEK, np.int64)):
            wanted, known = np.bincount(group_S, now_S), np.bincount(group_S, self.requests_S)
            if (known[wanted > 0] == 0).any():
                continue
            worth = 1 / float((wanted[wanted > 0] ** 2 / known[wanted > 0]).sum())
            if worth >= ENOUGH_REQUESTS or not group_S.any():
                return np.divide(wanted, known, out=np.zeros_like(wanted), where=known > 0)[group_S], worth
        raise ValueError("the baseline's profile holds no request")

    def reference(self, name: str, weight_S: np.ndarray, worth: float) -> Reference:
        counts_B = weight_S @ self.counts_SB[name]
        return Reference(counts_B / max(counts_B.sum(), 1e-300), min(worth, self.observations))


def _parts_of_the_week() -> np.ndarray:
    hours = np.arange(HOURS_OF_WEEK)
    return (hours // 24 >= 5) * 4 + hours % 24 // 6


def profile_of(shown: Shown) -> Profile:
    """Count a baseline's rows."""
    slot_N = hours_of_week(shown.at_us)
    bins, counts = {}, {}
    for name, kind in shown.columns:
        there = present(kind, shown.raw[name])
        bins[name] = bins_of(kind, shown.raw[name][there])
        joint = slot_N[there] * bins[name].count + bins[name].of(shown.raw[name][there])
        size = HOURS_OF_WEEK * bins[name].count
        counts[name] = np.bincount(joint, minlength=size).reshape(HOURS_OF_WEEK, -1).astype(np.float64)
    first = np.unique(shown.request, return_index=True)[1]
    requests = np.bincount(slot_N[first], minlength=HOURS_OF_WEEK).astype(np.float64)
    return Profile(bins, counts, requests, effective(shown.user))


def write_profile(profile: Profile, folder: Path) -> None:
    """bins.json and profile.parquet (column, hour of the week, bin, count; only counts above 0)."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {
        "observations": profile.observations,
        "requests": profile.requests_S.tolist(),
        "columns": {
            name: {"kind": bins.kind, "edges": bins.edges.tolist(), "values": list(bins.values)}
            for name, bins in profile.bins.items()
        },
    }
    (folder / BINS_FILE).write_text(json.dumps(document, ensure_ascii=False) + "\n", encoding="utf-8")
    parts = []
    for name, counts in profile.counts_SB.items():
        hour, place = np.nonzero(counts)
        names = pa.array([name] * len(hour), pa.string())
        parts.append(pa.table({"column": names, "hour": hour, "bin": place, "count": counts[hour, place]}))
    pq.write_table(pa.concat_tables(parts), folder / PROFILE_FILE)


def read_profile(folder: Path) -> Profile:
    """The inverse of `write_profile`."""
    document: dict[str, Any] = json.loads((folder / BINS_FILE).read_text(encoding="utf-8"))
    bins = {
        name: Bins(entry["kind"], np.asarray(entry["edges"], np.float64), tuple(entry["values"]))
        for name, entry in document["columns"].items()
    }
    counts = {name: np.zeros((HOURS_OF_WEEK, one.count)) for name, one in bins.items()}
    table = pq.read_table(folder / PROFILE_FILE)
    columns = np.asarray(table["column"].to_pylist(), object)
    hour, place, count = (table[name].to_numpy() for name in ("hour", "bin", "count"))
    for name, filled in counts.items():
        mine = columns == name
        filled[hour[mine], place[mine]] = count[mine]
    return Profile(bins, counts, np.asarray(document["requests"], np.float64), float(document["observations"]))
