"""From events to a prepared folder: the part of prepare_data that is DuckDB alone. Local files in, local files out."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import duckdb

from features import duck, outputs, samples, sources
from features.declaration import DECLARATION_FILE, FeatureSet
from features.job import JobFailed, progress
from features.sources import Window, boundary

SHARD_ROWS = 6_000_000  # events of one shard of users: what one pass holds


@dataclass(slots=True)
class Prepared:
    """What was written."""

    counts: dict[str, int] = field(default_factory=dict)
    base_rate: float = 0.0
    duplicates: int = 0  # event ids that the lake holds more than once; used once
    online: list[Path] = field(default_factory=list)  # users' online features, Parquet
    offline: dict[str, list[Path]] = field(default_factory=dict)  # offline table -> its rows of this feature_time


def prepare(
    files: Mapping[str, Sequence[Path]],
    declared: FeatureSet,
    window: Window,
    folder: Path,
    scratch: Path,
    shard_rows: int = SHARD_ROWS,
) -> Prepared:
    """Write every part of the prepared folder but its manifest.

    Parameters
    ----------
    files : mapping
        Canonical Parquet files of ``events``, ``users``, ``items``.
    folder, scratch : Path
        Output, and a place for what is only needed underway; both may be empty.

    Raises
    ------
    JobFailed
        When the window holds no impressions, one class only, or no positives to learn from or to measure by.
    """
    if not files["events"]:
        raise JobFailed(_nothing(window))
    database = duck.connect(scratch)
    done = Prepared(offline={"user_features": [], "item_features": []})
    done.duplicates = sources.make_events(database, files["events"], window)
    total = duck.count(database, "SELECT count(*) FROM every_event")
    impressions = f"SELECT count(*) FROM every_event WHERE event_type = 'impression' AND event_day >= {window.start}"
    if duck.count(database, impressions) == 0:
        raise JobFailed(_nothing(window))
    for entity in ("user", "item"):
        named = f"SELECT DISTINCT {entity}_id FROM every_event"
        sources.make_versions(database, entity, files[f"{entity}s"], window, named)
    progress(f"{total:,} events; item features at every day")
    samples.make_item_rows(database, declared, window)
    done.counts["items"] = outputs.copy(
        database, outputs.items_sql(declared, window), folder / "items" / "part-0000.parquet"
    )
    outputs.write_popular(database, window, folder / "popular.json")
    items = f"FROM item_rows WHERE day = {window.end}"
    _offline(database, declared, "item", items, window, scratch / "item_features.parquet", done)
    shards = -(-total // shard_rows)
    for shard, relation in enumerate(_shards(database, scratch, shards)):
        _prepare_shard(database, declared, window, folder, scratch, done, shard, shards, relation)
    database.close()
    shutil.copy(DECLARATION_FILE, folder / "features.yaml")
    _check(folder, done)
    return done


def _prepare_shard(
    database: duckdb.DuckDBPyConnection,
    declared: FeatureSet,
    window: Window,
    folder: Path,
    scratch: Path,
    done: Prepared,
    shard: int,
    shards: int,
    relation: str,
) -> None:
    database.execute(f"CREATE OR REPLACE TEMP TABLE events AS FROM {relation}")
    samples.make_user_rows(database, declared, window, _shard_filter(shards, shard))
    samples.make_impressions(database, window)
    samples.make_affinities(database, declared)
    for output, rows in outputs.write_shard(database, declared, window, folder, shard).items():
        done.counts[output] = done.counts.get(output, 0) + rows
    users = outputs.users_sql(declared, window)
    _offline(database, declared, "user", users, window, scratch / f"user_features-{shard}.parquet", done)
    done.online.append(scratch / f"online-{shard}.parquet")
    outputs.copy(database, outputs.online_sql(declared, window), done.online[-1])
    progress(f"users {shard + 1} of {shards}: {done.counts['ranking_train']:,} impressions for training so far")


def _offline(
    database: duckdb.DuckDBPyConnection,
    declared: FeatureSet,
    entity: str,
    rows: str,
    window: Window,
    file: Path,
    done: Prepared,
) -> None:
    if outputs.copy(database, outputs.offline_sql(declared, entity, rows, window), file):
        done.offline[f"{entity}_features"].append(file)


def _shard_filter(shards: int, shard: int) -> str:
    return "true" if shards == 1 else f"hash(user_id) % {shards} = {shard}"


def _shards(database: duckdb.DuckDBPyConnection, scratch: Path, shards: int) -> list[str]:
    """Relations, one a shard of users. More than one are written to disk in a single pass over the events first."""
    if shards == 1:
        return ["every_event"]
    folder = scratch / "shards"
    database.execute(
        f"""COPY (SELECT *, hash(user_id) % {shards} AS shard FROM every_event) TO {duck.quoted(folder)}
        (FORMAT parquet, PARTITION_BY (shard))"""
    )
    progress(f"events split by user into {shards} shards")
    files = [sorted((folder / f"shard={shard}").glob("*.parquet")) for shard in range(shards)]
    nobody = "(SELECT * FROM every_event LIMIT 0)"  # a shard whose users have no events still has their profiles
    return [duck.parquet(found) if found else nobody for found in files]


def _check(folder: Path, done: Prepared) -> None:
    """What no model can be trained or measured with is said here, in one sentence each."""
    database = duckdb.connect()
    for split in ("train", "validation", "holdout"):
        relation = duck.parquet([folder / "ranking" / split / "*.parquet"])
        row = database.execute(f"SELECT count(*), coalesce(sum(label), 0) FROM {relation}").fetchone()
        assert row is not None  # noqa: S101  an aggregate always gives a row
        rows, clicks = int(row[0]), int(row[1])
        if rows == 0:
            raise JobFailed(f"the {split} days hold no impressions; import data or move --as-of")
        if clicks in (0, rows):
            raise JobFailed(f"the {split} days hold one class only: {clicks:,} of {rows:,} impressions were clicked")
        if done.counts[f"recall_{split}"] == 0:
            raise JobFailed(f"the {split} days hold no click, like or follow")
        if split == "train":
            done.base_rate = clicks / rows
    database.close()


def _nothing(window: Window) -> str:
    return (
        f"the lake holds no impressions between {boundary(window.start).date()} and {boundary(window.end).date()} "
        "(known by then); import data or move --as-of"
    )
