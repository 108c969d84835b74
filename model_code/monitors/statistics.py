"""statistics.json of data quality: what each column looks like, in Model Monitor's format."""

from __future__ import annotations

from typing import Any

import numpy as np

from monitors.formats import DATA_VERSION, FRACTIONAL, INTEGRAL, STRING, UNKNOWN
from monitors.kll import kll
from monitors.shown import Shown, present

CATEGORIES = 1000  # buckets of a text column, the most frequent


def statistics_of(shown: Shown) -> dict[str, Any]:
    """The whole document; columns in manifest order."""
    return {
        "version": DATA_VERSION,
        "dataset": {"item_count": len(shown)},
        "features": [feature_statistics(name, kind, shown.raw[name]) for name, kind in shown.columns],
    }


def feature_statistics(name: str, kind: str, values: np.ndarray) -> dict[str, Any]:
    there = present(kind, values)
    common = {"num_present": int(there.sum()), "num_missing": int(len(values) - there.sum())}
    known = values[there]
    if kind == "number":
        return {
            "name": name,
            "inferred_type": inferred_type(kind, known),
            "numerical_statistics": numerical(common, known),
        }
    distinct, counts = np.unique(known.astype(str), return_counts=True)
    order = np.argsort(-counts, kind="stable")[:CATEGORIES]
    listed = [{"value": str(distinct[place]), "count": int(counts[place])} for place in order]
    text = {
        "common": common,
        "distinct_count": float(len(distinct)),
        "distribution": {"categorical": {"buckets": listed}},
    }
    return {"name": name, "inferred_type": inferred_type(kind, known), "string_statistics": text}


def numerical(common: dict[str, int], known: np.ndarray) -> dict[str, Any]:
    """`numerical_statistics`; of no value at all only what is common to every column."""
    if not len(known):
        return {"common": common}
    return {
        "common": common,
        "mean": float(known.mean()),
        "sum": float(known.sum()),
        "std_dev": float(known.std()),
        "min": float(known.min()),
        "max": float(known.max()),
        "distribution": {"kll": kll(known)},
    }


def inferred_type(kind: str, known: np.ndarray) -> str:
    """Integral, Fractional, String; Unknown of a column that holds nothing."""
    if not len(known):
        return UNKNOWN
    if kind != "number":
        return STRING
    return INTEGRAL if bool((known == np.floor(known)).all()) else FRACTIONAL
