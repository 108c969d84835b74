"""Releases that look good and are bad: what an index holds is exchanged after its build was checked, through OpenSearch's own REST.

Nothing of the release's record, models or counts changes, so every check before the stage still passes; only its users can
tell. The same calls work on a real OpenSearch. Letters: I items, D dimensions.

| kind | what happened | what the index holds then |
|---|---|---|
| shuffled_index | rows were written under the ids of others | vector and features of another item, for `share` of the items |
| stale_index | the alias of an old build was taken | vectors and features of another release, and only the items it knew |
| popularity_only | a fallback became the rule | the release's most clicked items, without topic, author or age: everybody gets the same |
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import boto3
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from item_index.bulk import send_all
from item_index.documents import Items, read_items
from item_index.wire import OpenSearch
from understudy.contracts.release import ReleaseRecord

INDEX_KINDS = ("shuffled_index", "stale_index", "popularity_only")
PLAIN = ("item_topic", "item_author_id", "item_age_days")  # what popularity_only takes from every item


@dataclass(frozen=True, slots=True)
class Poison:
    """What to do to an index.

    `share` of the items lie under another's id (shuffled_index only); `seed` says which. `other` is the release whose content is put in
    (stale_index only).
    """

    kind: str
    share: float = 1.0
    seed: int = 1
    other: ReleaseRecord | None = None

    def __post_init__(self) -> None:
        if self.kind not in INDEX_KINDS:
            raise ValueError(f"{self.kind} is no poison of an index; expected one of {', '.join(INDEX_KINDS)}")
        if not 0 < self.share <= 1:
            raise ValueError(f"share is {self.share}; expected a share in (0, 1]")
        if (self.kind == "stale_index") != (self.other is not None):
            raise ValueError("stale_index, and it alone, needs the release whose content is put in")


def content_of(s3: Any, record: ReleaseRecord, scratch: Path) -> Items:
    """What the release's index was built from: vectors and item features out of its own artefacts."""
    vectors, items = scratch / record.release_id / "vectors", scratch / record.release_id / "items"
    download(s3, record.vectors_s3, vectors)
    download(s3, f"{record.prepared_s3.rstrip('/')}/items", items)
    return read_items(sorted(vectors.glob("*.parquet")), items, record.item_fields, 64)


def poisoned(content: Items, poison: Poison, record: ReleaseRecord, other: Items | None = None) -> Items:
    """The content that the index gets; `other` is the other release's for stale_index."""
    if poison.kind == "shuffled_index":
        return _shuffled(content, poison)
    if poison.kind == "popularity_only":
        return _popular(content, record.popular)
    assert other is not None  # noqa: S101 - Poison asks for it
    return other


def put_content(engine: OpenSearch, record: ReleaseRecord, before: Sequence[str], content: Items) -> None:
    """Make the index hold exactly `content`; `before` are ids it may hold now. Searches meet either state of an item while it runs."""
    fields = [name for name in record.item_fields if name in content.features.schema.names]
    gone = sorted(set(before) - set(content.ids))
    for start in range(0, len(gone), 1000):
        body = "".join(json.dumps({"delete": {"_id": item}}) + "\n" for item in gone[start : start + 1000])
        engine.call("POST", f"/{record.index}/_bulk", body.encode())
    if dead := send_all(engine, record.index, content.bulk_bodies(fields), len(content.ids)):
        raise RuntimeError(f"{len(dead)} documents were refused, the first: {dead[0].reason}")
    engine.call("POST", f"/{record.index}/_refresh")


def poison_index(
    session: boto3.Session, opensearch_url: str, record: ReleaseRecord, poison: Poison | None, scratch: Path
) -> int:
    """Poison a release's index, or cure it (None); how many documents it holds then."""
    s3, engine = session.client("s3"), OpenSearch(opensearch_url, session.region_name or "us-east-1")
    own = content_of(s3, record, scratch)
    other = content_of(s3, poison.other, scratch) if poison is not None and poison.other is not None else None
    content = own if poison is None else poisoned(own, poison, record, other)
    put_content(engine, record, [*own.ids, *(other.ids if other else [])], content)
    return len(content.ids)


def download(s3: Any, uri: str, folder: Path) -> None:
    """Every Parquet file under an S3 prefix."""
    bucket, _, prefix = uri.removeprefix("s3://").partition("/")
    folder.mkdir(parents=True, exist_ok=True)
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix.rstrip("/") + "/"):
        for entry in page.get("Contents", ()):
            if entry["Key"].endswith(".parquet"):
                s3.download_file(bucket, entry["Key"], str(folder / entry["Key"].rpartition("/")[2]))


def _shuffled(content: Items, poison: Poison) -> Items:
    """Rows moved among ids: nobody of the chosen keeps its own (a cycle), while every vector and feature stays a real one."""
    rng = np.random.default_rng(poison.seed)
    chosen = rng.permutation(len(content.ids))[: max(2, round(poison.share * len(content.ids)))]
    source_I = np.arange(len(content.ids))
    source_I[chosen] = np.roll(chosen, 1)
    features = content.features.take(source_I)
    for name in ("item_id", "title"):  # a wrong title would show at a glance
        if name in features.schema.names:
            features = features.set_column(features.schema.get_field_index(name), name, content.features[name])
    return replace(content, vectors_ID=content.vectors_ID[source_I], features=features)


def _popular(content: Items, popular: Sequence[str]) -> Items:
    rows = pc.index_in(pa.array(list(popular), pa.string()), value_set=pa.array(content.ids, pa.string())).drop_null()
    features = content.features.take(rows)
    for name in PLAIN:
        if name in features.schema.names:
            place = features.schema.get_field_index(name)
            features = features.set_column(place, name, pa.nulls(len(features), features[name].type))
    order = rows.to_numpy()
    return replace(
        content, ids=[content.ids[row] for row in order], vectors_ID=content.vectors_ID[order], features=features
    )
