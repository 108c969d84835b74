"""The export table: all lists of one day and one release, put in the place of yesterday's in one commit, or not at all."""

from __future__ import annotations

import random
import time
import uuid
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from pyiceberg.exceptions import CommitFailedException
from pyiceberg.expressions import AlwaysTrue

from features.job import JobFailed
from features.lake import Lake
from features.lake_files import s3_client, split_uri

if TYPE_CHECKING:
    from pyiceberg.table import Table

TABLE = "recommendations"
COMMIT_ATTEMPTS = 8
AT, DIGEST = "scored-for", "lists-sha256"  # of the snapshot that holds the lists


def replace_lists(lake: Lake, lists: Path, rows: int, at: datetime, digest: str) -> int:
    """Make the table hold exactly the rows of a Parquet file; the snapshot's id.

    The same lists are committed once, however often they are brought.

    Parameters
    ----------
    rows : int
        As many as the table must hold once it is committed.
    digest : str
        sha256 of the file.

    Raises
    ------
    JobFailed
        If the table would hold another number of rows, holds lists of a later day, or other writers came first every
        time. The table keeps the snapshot it had.
    """
    table, uri = lake.table(TABLE), ""
    for attempt in range(COMMIT_ATTEMPTS):
        if (there := _committed(table, at, digest)) is not None:
            return there
        uri = uri or _upload(table, lists)
        try:
            return _commit(table, uri, rows, {AT: at.isoformat(), DIGEST: digest})
        except CommitFailedException:
            time.sleep(random.uniform(0, 0.1 * 2**attempt))  # noqa: S311  jitter, not a secret
            table = lake.table(TABLE)
    raise JobFailed(f"{TABLE}: {COMMIT_ATTEMPTS} commits were refused, each time another writer came first")


def _committed(table: Table, at: datetime, digest: str) -> int | None:
    """The snapshot that holds these lists already; refuses to go back in time."""
    snapshot = table.current_snapshot()
    if snapshot is None or snapshot.summary is None:
        return None
    facts = snapshot.summary.additional_properties
    if facts.get(DIGEST) == digest:
        return snapshot.snapshot_id
    if AT in facts and datetime.fromisoformat(facts[AT]) > at:
        raise JobFailed(f"{TABLE} holds lists for {facts[AT]} already; those for {at.isoformat()} came too late")
    return None


def _upload(table: Table, lists: Path) -> str:
    uri = f"{table.location()}/data/{uuid.uuid4().hex}/{lists.name}"
    bucket, key = split_uri(uri)
    s3_client().upload_file(str(lists), bucket, key)
    return uri


def _commit(table: Table, uri: str, rows: int, properties: dict[str, str]) -> int:
    with table.transaction() as change:  # an error inside leaves the table as it was
        if table.current_snapshot() is not None:
            change.delete(AlwaysTrue())
        change.add_files([uri], properties, check_duplicate_files=False)
        staged = change.table_metadata.current_snapshot()
        held = int(staged.summary["total-records"] or 0) if staged is not None and staged.summary is not None else 0
        if held != rows:
            raise JobFailed(
                f"{TABLE} would hold {held} rows, the lists have {rows}: nothing was committed, it keeps what it had"
            )
    snapshot = table.current_snapshot()
    assert snapshot is not None  # noqa: S101  just committed
    return snapshot.snapshot_id
