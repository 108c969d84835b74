"""The query language as far as it filters: a query becomes a mask over rows."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from local_account.opensearch.columns import KeywordColumn
from local_account.opensearch.errors import failure, illegal_argument, parsing
from local_account.opensearch.index import Index, View


def mask_of(query: dict[str, Any], index: Index, view: View) -> np.ndarray:
    """Rows of the view that a query matches, dead ones included.

    Raises
    ------
    EngineError
        400 `parsing_exception` for a query the engine does not know or that is not well-formed.
    """
    if not isinstance(query, dict) or len(query) != 1:
        raise parsing("[bool] malformed query, expected one query clause")
    ((kind, body),) = query.items()
    handler = _KINDS.get(kind)
    if handler is None:
        reason = f"unknown query [{kind}]"
        cause = {"type": "named_object_not_found_exception", "reason": f"[1:1] unknown field [{kind}]"}
        raise failure("parsing_exception", reason, facts={"line": 1, "col": 1}, caused_by=cause)
    if not isinstance(body, dict):
        raise parsing(f"[{kind}] query malformed, no start_object after query name")
    return handler(body, index, view)


def _match_all(_body: dict[str, Any], _index: Index, view: View) -> np.ndarray:
    return np.ones(view.n, np.bool_)


def _match_none(_body: dict[str, Any], _index: Index, view: View) -> np.ndarray:
    return np.zeros(view.n, np.bool_)


def _bool(body: dict[str, Any], index: Index, view: View) -> np.ndarray:
    unknown = body.keys() - {
        "must",
        "filter",
        "must_not",
        "should",
        "minimum_should_match",
        "boost",
        "adjust_pure_negative",
    }
    if unknown:
        raise parsing(f"[bool] query does not support [{min(unknown)}]")
    mask = np.ones(view.n, np.bool_)
    for part in ("must", "filter"):
        for clause in _clauses(body, part):
            mask &= mask_of(clause, index, view)
    for clause in _clauses(body, "must_not"):
        mask &= ~mask_of(clause, index, view)
    should = _clauses(body, "should")
    needed = body.get("minimum_should_match", 0 if "must" in body or "filter" in body else 1)
    if should and int(needed) > 0:
        matched = np.zeros(view.n, np.int32)
        for clause in should:
            matched += mask_of(clause, index, view)
        mask &= matched >= int(needed)
    return mask


def _clauses(body: dict[str, Any], part: str) -> list[dict[str, Any]]:
    clauses = body.get(part, [])
    return clauses if isinstance(clauses, list) else [clauses]


def _term(body: dict[str, Any], index: Index, view: View) -> np.ndarray:
    field, value = _one(body, "term")
    return _terms({field: [value["value"] if isinstance(value, dict) else value]}, index, view)


def _terms(body: dict[str, Any], index: Index, view: View) -> np.ndarray:
    field, values = _one({name: value for name, value in body.items() if name != "boost"}, "terms")
    if not isinstance(values, list):
        raise parsing(f"[terms] query does not support [{field}]")
    if field == "_id":
        return _ids({"values": values}, index, view)
    mask = np.zeros(view.n, np.bool_)
    column = index.columns.get(field)
    if column is None:
        _searchable(field, index)
        return mask
    try:
        mask[column.rows(values, view.n)] = True
    except (TypeError, ValueError) as error:
        raise illegal_argument(f"failed to create query: {error}") from None
    return mask


def _ids(body: dict[str, Any], index: Index, view: View) -> np.ndarray:
    mask = np.zeros(view.n, np.bool_)
    mask[index.rows_of([str(value) for value in body.get("values", [])], view.n)] = True
    return mask


def _range(body: dict[str, Any], index: Index, view: View) -> np.ndarray:
    field, bounds = _one(body, "range")
    column = index.columns.get(field)
    if column is None:
        _searchable(field, index)
        return np.zeros(view.n, np.bool_)
    if isinstance(column, KeywordColumn):
        raise illegal_argument(f"the embedded engine ranges over numbers; [{field}] is a keyword")
    if unknown := bounds.keys() - {"gt", "gte", "lt", "lte", "boost"}:
        raise parsing(f"[range] query does not support [{min(unknown)}]")
    try:
        return column.between(bounds, view.n)
    except (TypeError, ValueError) as error:
        raise illegal_argument(f"failed to create query: {error}") from None


def _exists(body: dict[str, Any], index: Index, view: View) -> np.ndarray:
    field = body.get("field")
    if not isinstance(field, str):
        raise parsing("[exists] must be provided with a [field]")
    if index.mapping.vector is not None and field == index.mapping.vector.name:
        return index.present(view.n).copy()
    column = index.columns.get(field)
    return np.zeros(view.n, np.bool_) if column is None else column.exists(view.n)


def _one(body: dict[str, Any], kind: str) -> tuple[str, Any]:
    if len(body) != 1:
        raise parsing(f"[{kind}] query doesn't support multiple fields or none: {sorted(body)}")
    ((field, value),) = body.items()
    return field, value


def _searchable(field: str, index: Index) -> None:
    """A field without a column matches nothing, unless it is stored text, which cannot be asked at all."""
    if index.mapping.types.get(field) == "text":
        raise illegal_argument(f"Cannot search on field [{field}] since it is not indexed.")


_KINDS: dict[str, Callable[[dict[str, Any], Index, View], np.ndarray]] = {
    "match_all": _match_all,
    "match_none": _match_none,
    "bool": _bool,
    "term": _term,
    "terms": _terms,
    "ids": _ids,
    "range": _range,
    "exists": _exists,
}
