"""Processing job: a release's item index, built, verified, warmed, and only then named.

In   --vectors (embed_items), --prepared (items, history), the engine at --opensearch-url
Out  index items-<release_id>; --output/dead_letters.jsonl; manifest facts index, count, recall_at_100,
     recall_at_100_filtered, index_query, tower_id, dead_letters, documents_per_s
"""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.dataset as ds

from features.declaration import load
from features.job import JobFailed, job_parser, metric, progress, run
from features.manifest import read_manifest, write_manifest
from features.shards import read_shards
from item_index.bulk import send_all
from item_index.documents import DeadLetter, Items, read_items
from item_index.recall import GOAL, QUERIES, Recall, fifteen_percent, measure, sample_queries
from item_index.schema import ENGINES, NAME, index_body, index_name, is_finished
from item_index.wire import OpenSearch, OpenSearchError

MAX_DEAD_SHARE = 0.001


def main(arguments: argparse.Namespace) -> str:
    """Build one index. Run again after any failure it starts over; run again after success it finds its work done."""
    try:
        return build(arguments, OpenSearch(arguments.opensearch_url, arguments.region))
    except OpenSearchError as error:
        raise JobFailed(str(error)) from error


def build(arguments: argparse.Namespace, engine: OpenSearch) -> str:
    """The order of things: read, send, count, merge, measure, warm, mark as verified, clear away what is left over."""
    embedded = read_shards(arguments.vectors, "embed_items", agree=("tower_id", "dimension"))
    read_manifest(arguments.prepared, "prepare_data")
    fields = load(arguments.prepared / "features.yaml").item_fields
    index, dimension = index_name(arguments.release_id), int(embedded.facts["dimension"])
    items = read_items(embedded.files, arguments.prepared / "items", fields, dimension)
    progress(f"{len(items.ids)} items with features of {embedded.count} vectors, {len(items.dead)} put aside")
    arguments.output.mkdir(parents=True, exist_ok=True)
    dead = list(items.dead)
    _check_share(dead, items, arguments.output)
    meta = {"release_id": arguments.release_id, "tower_id": embedded.facts["tower_id"]}
    documents_per_s = 0.0
    if not _is_there(engine, index, meta, len(items.ids)):
        started = time.monotonic()
        _make(engine, index, index_body(fields, dimension, arguments.engine, meta))
        refused = send_all(engine, index, items.bulk_bodies(fields), len(items.ids))
        documents_per_s = len(items.ids) / (time.monotonic() - started)
        dead += refused
        _check_share(dead, items, arguments.output)
        items = _without(items, {letter.item_id for letter in refused})
        _settle(engine, index, len(items.ids))
    facts = _verify(engine, index, items, arguments.prepared)
    engine.call("GET", f"/_plugins/_knn/warmup/{index}")
    engine.call("PUT", f"/{index}/_mapping", {"_meta": {**meta, "count": len(items.ids), "verified": True, **facts}})
    removed = clear_away(engine, keep={index, *filter(None, arguments.keep.split(","))})
    facts |= {
        "index": index,
        "count": len(items.ids),
        "tower_id": embedded.facts["tower_id"],
        "dead_letters": len(dead),
    }
    facts |= {"documents_per_s": round(documents_per_s, 1), "removed": removed}
    write_manifest(arguments.output, "index_items", facts)
    metric(documents_per_s=documents_per_s, dead_letters=len(dead), documents=len(items.ids))
    return f"{index}: {len(items.ids)} documents, {len(dead)} dead letters, recall@100 {facts['recall_at_100']:.4f}"


def _check_share(dead: list[DeadLetter], items: Items, output: Path) -> None:
    """Write the dead letters down; too many of them are a fault of the data, not of single items."""
    (output / "dead_letters.jsonl").write_text("".join(letter.line() for letter in dead), encoding="utf-8")
    total = len(items.ids) + len(items.dead)
    if not items.ids:
        raise JobFailed(f"none of {total} items can be indexed; the first: {dead[0].reason if dead else 'no items'}")
    if len(dead) > MAX_DEAD_SHARE * total:
        first = dead[0]
        raise JobFailed(
            f"{len(dead)} of {total} items cannot be indexed, more than {MAX_DEAD_SHARE:.1%}; "
            f"the first: {first.item_id!r}, {first.reason}"
        )


def _is_there(engine: OpenSearch, index: str, meta: dict[str, Any], expected: int) -> bool:
    there = engine.call("GET", f"/{index}/_mapping", missing_ok=True)
    if index not in there or not is_finished(there[index]["mappings"], meta):
        return False
    whole = engine.call("GET", f"/{index}/_count")["count"] == expected
    progress(f"{index} is there already" + ("" if whole else ", but not whole"))
    return bool(whole)


def _make(engine: OpenSearch, index: str, body: dict[str, Any]) -> None:
    """A new index; one that an aborted build left behind goes first. Traffic never names one that was not verified."""
    engine.call("DELETE", f"/{index}", missing_ok=True)
    try:
        engine.call("PUT", f"/{index}", body)
    except OpenSearchError as error:  # a repeated attempt whose first answer was lost finds its own index
        if "resource_already_exists_exception" not in str(error):
            raise
    progress(f"{index} made")


def _settle(engine: OpenSearch, index: str, expected: int) -> None:
    """Make everything searchable, in one segment, and count it."""
    engine.call("POST", f"/{index}/_refresh")
    count = engine.call("GET", f"/{index}/_count")["count"]
    if count != expected:
        raise JobFailed(f"{index} holds {count} documents, {expected} were acknowledged")
    engine.call("POST", f"/{index}/_forcemerge?max_num_segments=1")
    engine.call("PUT", f"/{index}/_settings", {"index": {"refresh_interval": "1s"}})
    engine.call("POST", f"/{index}/_refresh")
    progress(f"{count} documents searchable")


def _verify(engine: OpenSearch, index: str, items: Items, prepared: Path) -> dict[str, Any]:
    rng = np.random.default_rng(0)
    queries_QD = sample_queries(items.vectors_ID, _histories(prepared / "history", items, rng), rng)
    only = fifteen_percent(items, rng)
    share = float(only.mask_I.mean())
    plain, filtered = measure(engine, index, items, queries_QD), measure(engine, index, items, queries_QD, only)
    metric(recall_at_100=plain.value, recall_at_100_filtered=filtered.value)
    progress(
        f"recall@100 {plain.value:.4f} with a beam of {plain.factor} k; {filtered.value:.4f} with one of "
        f"{filtered.factor} k under a filter by {only.field} that keeps {share:.1%}"
    )
    _demand(index, "without a filter", plain)
    _demand(index, f"under a filter that keeps {share:.1%} of the items", filtered)
    return {
        "recall_at_100": plain.value,
        "recall_at_100_filtered": filtered.value,
        "index_query": {"factor": plain.factor, "factor_filtered": filtered.factor},
        "filter": {"field": only.field, "share": round(share, 4)},
    }


def _demand(index: str, how: str, recall: Recall) -> None:
    if recall.value < GOAL:
        raise JobFailed(
            f"{index} finds {recall.value:.4f} of the 100 nearest items {how}, less than {GOAL}, "
            f"even with a beam of {recall.factor} k"
        )


def _histories(folder: Path, items: Items, rng: np.random.Generator) -> list[np.ndarray]:
    """Rows of the items that some users chose, for `QUERIES` users at random; fewer where there are fewer."""
    if not any(folder.glob("*.parquet")):
        return []
    table = ds.dataset(folder, format="parquet").head(200_000, columns=["user_id", "item_id"])
    rows = {item: row for row, item in enumerate(items.ids)}
    chosen: dict[str, list[int]] = {}
    for user, item in zip(table["user_id"].to_pylist(), table["item_id"].to_pylist(), strict=True):
        if item in rows:
            chosen.setdefault(user, []).append(rows[item])
    users = sorted(chosen)
    return [np.array(chosen[users[at]]) for at in rng.permutation(len(users))[:QUERIES]]


def _without(items: Items, refused: set[str]) -> Items:
    if not refused:
        return items
    keep = np.array([item not in refused for item in items.ids])
    ids = [item for item in items.ids if item not in refused]
    return Items(ids, items.vectors_ID[keep], items.features.filter(keep), items.dead)


def clear_away(engine: OpenSearch, keep: set[str]) -> list[str]:
    """Delete item indices that nobody named: of releases that left, and of builds that were aborted."""
    there = sorted(name for name in engine.call("GET", "/items-*/_mapping", missing_ok=True) if NAME.match(name))
    removed = [name for name in there if name not in keep]
    for name in removed:
        engine.call("DELETE", f"/{name}", missing_ok=True)
        progress(f"{name} deleted: no release on stage or kept warm needs it")
    return removed


def parser() -> argparse.ArgumentParser:
    made = job_parser("Build, verify and warm a release's item index.")
    made.add_argument("--vectors", type=Path, required=True, help="embed_items' output")
    made.add_argument("--prepared", type=Path, required=True, help="prepare_data's output")
    made.add_argument("--release-id", required=True)
    made.add_argument("--opensearch-url", required=True)
    made.add_argument("--region", default="us-east-1", help="of the signature")
    made.add_argument("--engine", choices=ENGINES, default="faiss")
    made.add_argument("--keep", default="", help="indices that must stay, comma separated")
    made.add_argument("--output", type=Path, required=True)
    return made


if __name__ == "__main__":
    sys.exit(run(parser(), main))
