"""The groups that bias is looked at by: age band, city, new and old users."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from evaluation.segments import AGE_BANDS
from features.job import JobFailed
from monitors.shown import Shown

AGE, CITY, CLICKS = "user_age", "user_city", "user_clicks_30d"
TOP_CITIES = 8  # compared by name; users of the others count among "all others" of each


def facets_of(shown: Shown, known: Mapping[str, np.ndarray] | None = None) -> dict[str, np.ndarray]:
    """Facet -> (N,) group of each row, "" where it is not known.

    Parameters
    ----------
    known : mapping, optional
        Columns (N,) that are better known than what was captured (`read_users`): a broken feature is no change of people.
    """
    columns = {**shown.raw, **(known or {})}
    found = {}
    if AGE in columns:
        found["age_band"] = age_bands(columns[AGE])
    if CITY in columns:
        found["city"] = _common(columns[CITY])
    if CLICKS in columns:
        found["tenure"] = np.where(np.nan_to_num(columns[CLICKS]) > 0, "old", "new").astype(object)
    return found


def age_bands(ages: np.ndarray) -> np.ndarray:
    """Examples
    --------
    >>> age_bands(np.array([17.0, 18.0, 90.0, np.nan])).tolist()
    ['0-17', '18-24', '55+', '']
    """
    labels = [f"{low}-{high}" if high < 200 else f"{low}+" for low, high in AGE_BANDS]
    places = np.minimum(np.searchsorted([high for _, high in AGE_BANDS], ages), len(labels) - 1)
    return np.where(np.isnan(ages), "", np.array(labels, object)[places])


def _common(values: np.ndarray) -> np.ndarray:
    distinct, counts = np.unique(values.astype(str), return_counts=True)
    top = [value for value in distinct[np.argsort(-counts, kind="stable")] if value][:TOP_CITIES]
    return np.where(np.isin(values.astype(str), top) | (values == ""), values, "other")


def read_users(folder: Path, user_ids: Sequence[str]) -> dict[str, np.ndarray]:
    """Age, city and clicks of these users, one row each, from a prepared folder's `users/`; missing where not known.

    Raises
    ------
    JobFailed
        If the folder holds no Parquet file with these columns.
    """
    files = sorted(folder.rglob("*.parquet"))
    if not files:
        raise JobFailed(f"--users {folder.name} holds no Parquet file")
    try:
        table = pa.concat_tables(pq.read_table(file, columns=["user_id", AGE, CITY, CLICKS]) for file in files)
    except (pa.ArrowInvalid, KeyError) as error:
        raise JobFailed(f"--users {folder.name} is no prepared users table: {error}") from error
    place = {user: index for index, user in enumerate(table["user_id"].to_pylist())}
    rows = np.array([place.get(user, -1) for user in user_ids], np.int64)
    age, clicks = (np.append(table[name].cast(pa.float64()).to_numpy(), np.nan) for name in (AGE, CLICKS))
    city = np.array([*(value or "" for value in table[CITY].to_pylist()), ""], object)
    return {AGE: age[rows], CITY: city[rows], CLICKS: clicks[rows]}
