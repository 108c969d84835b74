"""`_search` and `_count`: which rows, in which order, and how the answer is written."""

from __future__ import annotations

import fnmatch
import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from local_account.opensearch.errors import illegal_argument, parsing, shard_failure, window_too_large
from local_account.opensearch.index import Index, View
from local_account.opensearch.query import mask_of

K_LIMIT = 10_000
_KNOWN = frozenset(
    [
        "query",
        "size",
        "from",
        "sort",
        "search_after",
        "_source",
        "track_total_hits",
        "timeout",
        "min_score",
        "version",
        "profile",
    ]
)


@dataclass(slots=True)
class Found:
    """Matching rows in answer order. `scores` None where a sort replaced them; `sort` has the values of each hit then."""

    total: int
    rows: np.ndarray
    scores: np.ndarray | None
    sort: list[list[Any]] | None = None


def search(index: Index, body: dict[str, Any]) -> bytes:
    """Answer of `_search`, serialised.

    Raises
    ------
    EngineError
        400 with the engine's own words.
    """
    began = time.perf_counter()
    if unknown := body.keys() - _KNOWN:
        raise parsing(f"Unknown key for a VALUE in [{min(unknown)}].")
    size, start = int(body.get("size", 10)), int(body.get("from", 0))
    if size < 0 or start < 0:
        raise illegal_argument(f"[size] and [from] parameters cannot be negative, found [{size}] and [{start}]")
    query = body.get("query", {"match_all": {}})
    knn = _read_knn(query["knn"]) if isinstance(query, dict) and "knn" in query else None
    window = int(index.record["settings"].get("max_result_window", 10_000))
    if size + start > window:
        raise window_too_large(index.name, size + start, window)
    view = index.searchable()
    found = _match(index, view, query, body, start + size) if knn is None else _knn(index, view, *knn)
    sources = _sources(index, found.rows[start : start + size], body.get("_source", True))
    return _answer(index, found, sources, start, size, int((time.perf_counter() - began) * 1000))


def count(index: Index, body: dict[str, Any]) -> int:
    view = index.searchable()
    if "query" not in body:
        return view.count
    return int(np.count_nonzero(mask_of(body["query"], index, view) & view.live))


def _read_knn(clause: Any) -> tuple[str, dict[str, Any]]:
    """(field, body) of a knn clause; the engine looks at k before anything else."""
    if not isinstance(clause, dict) or len(clause) != 1:
        raise parsing("[knn] query malformed, one field is expected")
    ((name, body),) = clause.items()
    k = body.get("k") if isinstance(body, dict) else None
    if not isinstance(k, int) or not 0 < k <= K_LIMIT:
        raise illegal_argument(f"[knn] requires k to be in the range (0, {K_LIMIT}]")
    return name, body


def _knn(index: Index, view: View, name: str, body: dict[str, Any]) -> Found:
    mask = None if view.count == view.n else view.live
    query = _query_vector(index, name, body.get("vector"))
    if "filter" in body:
        mask = mask_of(body["filter"], index, view) & view.live
    present = index.present(view.n)
    if not present.all():
        mask = present & (view.live if mask is None else mask)
    assert index.graph is not None  # noqa: S101  _query_vector has checked the field
    rows, products = index.graph.search(query, body["k"], view.matrix, mask)
    return Found(len(rows), rows, _score(products))


def _query_vector(index: Index, name: str, value: Any) -> np.ndarray:
    field = index.mapping.vector
    if field is None or field.name != name:
        raise shard_failure(index.name, index.uuid, f"Field '{name}' is not knn_vector type.")
    try:
        query = np.array(value, np.float32)
    except (TypeError, ValueError):
        raise parsing("[knn] vector must be an array of numbers") from None
    if query.shape != (field.dimension,):
        reason = f"Query vector has invalid dimension: {query.size}. Dimension should be: {field.dimension}"
        raise shard_failure(index.name, index.uuid, reason)
    return query


def _score(products: np.ndarray) -> np.ndarray:
    """Lucene's score of an inner product: 1 + p, or 1 / (1 - p) below zero, so that it is never negative."""
    negative = np.minimum(products, 0)
    return np.where(products >= 0, 1 + products, 1 / (1 - negative)).astype(np.float32)


def _match(index: Index, view: View, query: dict[str, Any], body: dict[str, Any], wanted: int) -> Found:
    if isinstance(query, dict) and "script_score" in query:
        return _exact(index, view, query["script_score"], wanted)
    mask = mask_of(query, index, view) & view.live
    rows = np.flatnonzero(mask)
    if "sort" in body:
        return _sorted(index, rows, body, wanted)
    scored = isinstance(query, dict) and not ("bool" in query and not {"must", "should"} & query["bool"].keys())
    return Found(len(rows), rows, np.full(len(rows), 1.0 if scored else 0.0, np.float32))


def _exact(index: Index, view: View, body: dict[str, Any], wanted: int) -> Found:
    """k-NN by score script: every row that the inner query matches, exactly."""
    script = body.get("script", {})
    params = script.get("params", {})
    if (script.get("source"), script.get("lang"), params.get("space_type")) != ("knn_score", "knn", "innerproduct"):
        raise illegal_argument("the embedded engine knows one script: knn_score with space_type innerproduct")
    query = _query_vector(index, params.get("field", ""), params.get("query_value"))
    mask = mask_of(body.get("query", {"match_all": {}}), index, view) & view.live & index.present(view.n)
    rows = np.flatnonzero(mask)
    products = view.matrix[rows] @ query
    order = np.lexsort((rows, -products))[:wanted]
    return Found(len(rows), rows[order], _score(products[order]))


def _sorted(index: Index, rows: np.ndarray, body: dict[str, Any], wanted: int) -> Found:
    keys = [_sort_key(entry) for entry in (body["sort"] if isinstance(body["sort"], list) else [body["sort"]])]
    columns = [_sort_values(index, name, rows) for name, _ in keys]
    values = list(zip(*columns, strict=True)) if len(rows) else []
    order = list(range(len(values)))
    for place in reversed(range(len(keys))):
        descending = keys[place][1]
        have = [row for row in order if values[row][place] is not None]
        have.sort(key=lambda row, at=place: values[row][at], reverse=descending)  # type: ignore[misc]
        order = have + [row for row in order if values[row][place] is None]
    if (after := body.get("search_after")) is not None:
        if len(after) != len(keys):
            raise illegal_argument(f"search_after has {len(after)} value(s) but sort has {len(keys)}.")
        order = [row for row in order if _is_after(values[row], after, keys)]
    order = order[:wanted]
    return Found(len(rows), rows[order], None, [list(values[row]) for row in order])


def _sort_key(entry: Any) -> tuple[str, bool]:
    if isinstance(entry, str):
        return entry, entry == "_score"
    ((name, how),) = entry.items()
    return name, (how if isinstance(how, str) else how.get("order", "asc")) == "desc"


def _sort_values(index: Index, name: str, rows: np.ndarray) -> list[Any]:
    if name == "_doc":
        return rows.tolist()
    if name == "_id":
        return [index.key(row) for row in rows.tolist()]
    column = index.columns.get(name)
    if column is None:
        raise shard_failure(index.name, index.uuid, f"No mapping found for [{name}] in order to sort on")
    return column.sort_keys(rows)


def _is_after(values: tuple[Any, ...], after: list[Any], keys: list[tuple[str, bool]]) -> bool:
    for value, bound, (_, descending) in zip(values, after, keys, strict=True):
        if value == bound:
            continue
        if value is None or bound is None:
            return value is None
        return bool(value < bound if descending else value > bound)
    return False


def _sources(index: Index, rows: np.ndarray, wanted: Any) -> list[bytes] | None:
    """Sources of the hits; None when they are not wanted. Whole ones are copied as they were serialised."""
    if wanted is False or wanted == "false":
        return None
    whole = index.sources(rows)
    if wanted is True or wanted == "true":
        return whole
    includes, excludes = _source_filter(wanted)
    if not excludes and index.mapping.dynamic == "strict" and index.mapping.stored <= set(includes):
        return whole
    if not excludes and not any("*" in name for name in includes):
        return [
            orjson.dumps({name: source[name] for name in includes if name in source})
            for source in map(orjson.loads, whole)
        ]
    return [
        orjson.dumps(
            {
                name: value
                for name, value in orjson.loads(source).items()
                if (not includes or _matches(name, includes)) and not _matches(name, excludes)
            }
        )
        for source in whole
    ]


def _source_filter(wanted: Any) -> tuple[list[str], list[str]]:
    def names(value: Any) -> list[str]:
        return [value] if isinstance(value, str) else list(value)

    if isinstance(wanted, dict):
        return names(wanted.get("includes", wanted.get("include", []))), names(
            wanted.get("excludes", wanted.get("exclude", []))
        )
    return names(wanted), []


def _matches(name: str, patterns: list[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _answer(index: Index, found: Found, sources: list[bytes] | None, start: int, size: int, took: int) -> bytes:
    rows = found.rows[start : start + size]
    scores = [b"null"] * len(rows)
    highest = b"null"
    if found.scores is not None and len(rows):
        written = orjson.dumps(found.scores[start : start + size], option=orjson.OPT_SERIALIZE_NUMPY)
        scores = written[1:-1].split(b",")
        highest = orjson.dumps(found.scores[:1], option=orjson.OPT_SERIALIZE_NUMPY)[1:-1]
    head = b'{"_index":' + orjson.dumps(index.name) + b',"_id":'
    hits = []
    for place, row in enumerate(rows.tolist()):
        hit = head + orjson.dumps(index.key(row)) + b',"_score":' + scores[place]
        if sources is not None:
            hit += b',"_source":' + sources[place]
        if found.sort is not None:
            hit += b',"sort":' + orjson.dumps(found.sort[start + place])
        hits.append(hit + b"}")
    return (
        b'{"took":%d,"timed_out":false,"_shards":{"total":1,"successful":1,"skipped":0,"failed":0},"hits":'
        b'{"total":{"value":%d,"relation":"eq"},"max_score":%b,"hits":[%b]}}'
        % (took, found.total, highest, b",".join(hits))
    )
