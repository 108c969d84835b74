"""An item index as the engine is told to make it (docs/seams.md, Item index), and what of its `_meta` says of its state."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

NAME = re.compile(r"^items-[a-z0-9-]{1,24}$")
KEYWORDS = ("item_topic", "item_author_id")
ENGINES = ("faiss", "lucene")


def index_name(release_id: str) -> str:
    """`items-<release_id>`; ValueError for what is no release id."""
    name = f"items-{release_id}"
    if not NAME.match(name):
        raise ValueError(f"{release_id!r} is no release id: 1-24 of a-z, 0-9 and -")
    return name


def index_body(fields: Sequence[str], dimension: int, engine: str, meta: Mapping[str, Any]) -> dict[str, Any]:
    """Settings and mappings. No refresh while documents come in; the graph's parameters are those of the seams."""
    properties: dict[str, Any] = {
        "vector": {
            "type": "knn_vector",
            "dimension": dimension,
            "method": {
                "name": "hnsw",
                "engine": engine,
                "space_type": "innerproduct",
                "parameters": {"m": 16, "ef_construction": 128},
            },
        },
    }
    for field in fields:
        if field == "item_id" or field in KEYWORDS:
            properties[field] = {"type": "keyword"}
        elif field == "title":
            properties[field] = {"type": "text", "index": False}
        else:
            properties[field] = {"type": "float"}
    return {
        "settings": {"index": {"knn": True, "number_of_shards": 1, "refresh_interval": "-1"}},
        "mappings": {
            "dynamic": "strict",
            "_source": {"excludes": ["vector"]},
            "_meta": dict(meta),
            "properties": properties,
        },
    }


def is_finished(mapping: Mapping[str, Any], meta: Mapping[str, Any]) -> bool:
    """Whether an index that is there already was built of the same vectors and passed its checks."""
    there = mapping.get("_meta") or {}
    return bool(there.get("verified")) and all(there.get(key) == value for key, value in meta.items())
