"""What users were served and what they did, as tables: the lake's `served/` and `feedback/` logs of a range of time, in DuckDB.

served     request_id, user_id, release, version, asked_at              one row a request; `release` is the one it was assigned to
feedback   request_id, user_id, release, version, asked_at, what, item_id, late   one row a (request, what, item): in time, or only late

A line that cannot be read is left out here; the aggregator has put it with the dead letters.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.site import Site

if TYPE_CHECKING:  # --help must not wait for it
    import duckdb

PARALLEL_TRANSFERS = 8
_SERVED = ("request_id", "user_id", "assigned_release_id", "traffic_version", "event_time")
_FEEDBACK = ("request_id", "user_id", "assigned_release_id", "traffic_version", "event_type", "item_id", "known_at")
# The time in a request id, a ULID: ten letters of Crockford's base 32 are its milliseconds (domain.tokens.request_time_ms).
_REQUESTED_MS = """CAST(list_sum(list_transform(range(1, 11), lambda n:
    (strpos('0123456789ABCDEFGHJKMNPQRSTVWXYZ', substr(request_id, n, 1)) - 1) * CAST(32 ** (10 - n) AS BIGINT))) AS BIGINT)"""


@dataclass(frozen=True)
class LiveLog:
    """An open log; `folder` is a scratch folder that goes with it."""

    database: duckdb.DuckDBPyConnection
    folder: Path

    def rows(self, sql: str, *given: Any) -> list[tuple[Any, ...]]:
        return self.database.execute(sql, list(given)).fetchall()


@contextmanager
def live_log(site: Site, since: datetime, click_window: timedelta = timedelta(hours=24)) -> Iterator[LiveLog]:
    """The logs of requests made from `since` on, fetched for as long as the context lasts."""
    from features import duck

    with tempfile.TemporaryDirectory(prefix="understudy-log-") as scratch:
        folder = Path(scratch)
        served = fetch_log(site, "served", since, folder)
        feedback = fetch_log(site, "feedback", since, folder)
        database = duck.connect(folder)
        try:
            database.execute(_served_table(served, since))
            database.execute(_feedback_table(feedback, since, click_window))
            yield LiveLog(database, folder)
        finally:
            database.close()


def fetch_log(site: Site, log: str, since: datetime, folder: Path) -> list[Path]:
    """Every object that was delivered on or after the day of `since`: a line is never delivered before its request."""
    s3, bucket = site.client("s3"), site.outputs["LakeBucket"]
    day, last, keys = since.astimezone(UTC).date(), datetime.now(UTC).date(), []
    while day <= last:
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{log}/{day:%Y/%m/%d}/")
        keys += [item["Key"] for page in pages for item in page.get("Contents", [])]
        day += timedelta(days=1)
    files = [folder / f"{log}-{number}.jsonl" for number in range(len(keys))]
    with ThreadPoolExecutor(PARALLEL_TRANSFERS) as pool:
        list(pool.map(lambda key, file: s3.download_file(bucket, key, str(file)), keys, files))
    return files


def _served_table(files: list[Path], since: datetime) -> str:
    return f"""CREATE TABLE served AS
    SELECT DISTINCT ON (request_id) request_id, user_id, assigned_release_id AS release,
        TRY_CAST(traffic_version AS INTEGER) AS version, TRY_CAST(event_time AS TIMESTAMPTZ) AS asked_at
    FROM {_lines(files, _SERVED)} WHERE request_id IS NOT NULL AND TRY_CAST(event_time AS TIMESTAMPTZ) >= {_moment(since)}"""  # noqa: S608  file names are quoted


def _feedback_table(files: list[Path], since: datetime, click_window: timedelta) -> str:
    """In time wins over late: an event told twice is late only if it was late both times."""
    late_ms = click_window // timedelta(milliseconds=1)
    return f"""CREATE TABLE feedback AS
    SELECT request_id, user_id, assigned_release_id AS release, TRY_CAST(traffic_version AS INTEGER) AS version,
        make_timestamptz(requested_ms * 1000) AS asked_at, event_type AS what, item_id,
        bool_and(epoch_ms(TRY_CAST(known_at AS TIMESTAMPTZ)) - requested_ms > {late_ms}) AS late
    FROM (SELECT *, {_REQUESTED_MS} AS requested_ms FROM {_lines(files, _FEEDBACK)} WHERE length(request_id) = 26)
    WHERE TRY_CAST(known_at AS TIMESTAMPTZ) IS NOT NULL AND requested_ms >= {int(since.timestamp() * 1000)}
    GROUP BY ALL"""  # noqa: S608  file names are quoted


def _lines(files: list[Path], columns: tuple[str, ...]) -> str:
    if not files:
        return "(SELECT " + ", ".join(f"NULL::VARCHAR AS {column}" for column in columns) + " WHERE false)"
    from features import duck

    names, typed = ", ".join(duck.quoted(file) for file in files), ", ".join(f"{name}: 'VARCHAR'" for name in columns)
    return f"read_json([{names}], format = 'newline_delimited', columns = {{{typed}}}, ignore_errors = true)"


def _moment(at: datetime) -> str:
    from features import duck

    return duck.moment(at)
