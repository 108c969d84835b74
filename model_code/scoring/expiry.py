"""Yesterday's lists stay for a week, for who reads or compares them; then their snapshots and files go.

The table is replaced every day, so all that it ever held would be kept for good. Files are found by looking under the table's
location for what no snapshot names, not remembered from a snapshot that went: whatever dies in the middle, of this or of an
export that came to nothing, is found the next day.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from features.lake import Lake
from features.lake_files import s3_client, split_uri

if TYPE_CHECKING:
    from pyiceberg.table import Table

KEPT = timedelta(days=7)
KEYS_A_CALL = 1000  # of DeleteObjects


def expire(lake: Lake, name: str, now: datetime) -> tuple[int, int]:
    """Forget snapshots older than `KEPT` and delete files as old that nothing names; how many of each went.

    The current snapshot stays however old it is. A reader who holds an older one has a week to finish.

    Raises
    ------
    CommitFailedException
        Another writer came first. The next day does it.
    """
    table, before = lake.table(name), now - KEPT
    current = table.current_snapshot()
    old = [
        snapshot.snapshot_id
        for snapshot in table.snapshots()
        if snapshot.timestamp_ms < before.timestamp() * 1000 and snapshot != current
    ]
    if old:
        table.maintenance.expire_snapshots().by_ids(old).commit()
    bucket, prefix = split_uri(table.location())
    named = {split_uri(uri)[1] for uri in _named(table)}
    unnamed = [key for key in _older(bucket, f"{prefix}/", before) if key not in named]
    for start in range(0, len(unnamed), KEYS_A_CALL):
        objects = [{"Key": key} for key in unnamed[start : start + KEYS_A_CALL]]
        s3_client().delete_objects(Bucket=bucket, Delete={"Objects": objects, "Quiet": True})
    return len(old), len(unnamed)


def _named(table: Table) -> set[str]:
    """Every file that the table's metadata leads to, its own earlier versions included."""
    found = {table.metadata_location, *(entry.metadata_file for entry in table.metadata.metadata_log)}
    for snapshot in table.snapshots():
        found.add(snapshot.manifest_list)
        for manifest in snapshot.manifests(table.io):
            found.add(manifest.manifest_path)
            found |= {entry.data_file.file_path for entry in manifest.fetch_manifest_entry(table.io)}
    return found


def _older(bucket: str, prefix: str, before: datetime) -> list[str]:
    """Keys under a prefix that were written before."""
    pages: Any = s3_client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [row["Key"] for page in pages for row in page.get("Contents", []) if row["LastModified"] < before]
