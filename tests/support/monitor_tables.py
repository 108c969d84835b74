"""Small tables of shown rows with columns that a test chooses, each row a user's own unless said."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np

from monitors.constraints import suggest_constraints
from monitors.data_quality import DataBaseline
from monitors.profile import profile_of
from monitors.shown import Shown
from monitors.statistics import statistics_of

NOON = round(datetime(2026, 3, 2, 12, tzinfo=UTC).timestamp() * 1e6)  # a Monday


def table(**columns: np.ndarray | list) -> Shown:
    """Numbers become number columns, texts category columns; `user`, `at_us`, `position`, `label`, `item` are what they are."""
    given = {
        name: columns.pop(name) for name in ("user", "at_us", "position", "label", "item", "request") if name in columns
    }
    raw = {
        name: np.asarray(values, object if isinstance(values[0], str) else np.float64)
        for name, values in columns.items()
    }
    rows = len(next(iter(raw.values())))
    kinds = tuple((name, "category" if values.dtype == object else "number") for name, values in raw.items())
    return Shown(
        columns=kinds,
        raw=raw,
        user=np.asarray(given.get("user", np.arange(rows)), np.int64),
        request=np.asarray(given.get("request", np.arange(rows)), np.int64),
        item=np.asarray(given.get("item", np.full(rows, "i")), object),
        position=np.asarray(given.get("position", np.ones(rows)), np.float64),
        at_us=np.asarray(given.get("at_us", np.full(rows, NOON)), np.int64),
        label=np.asarray(given.get("label", np.full(rows, np.nan)), np.float64),
    )


def baseline_of(shown: Shown) -> DataBaseline:
    return DataBaseline(suggest_constraints(statistics_of(shown)), profile_of(shown))
