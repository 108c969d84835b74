"""Answers of OpenSearch 2.19 to what it does not accept: bodies as the engine writes them (seen on a real one)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

NODE = "loopback"


class EngineError(Exception):
    """An answer other than success, with its body."""

    def __init__(self, status: int, body: dict[str, Any]) -> None:
        super().__init__(str(body.get("error")))
        self.status, self.body = status, body


def failure(
    kind: str,
    reason: str,
    status: int = 400,
    *,
    caused_by: dict[str, Any] | None = None,
    facts: Mapping[str, Any] | None = None,
) -> EngineError:
    """An error that no shard was asked about."""
    cause: dict[str, Any] = {"type": kind, "reason": reason, **(facts or {})}
    error: dict[str, Any] = {"root_cause": [cause], **cause}
    if caused_by is not None:
        error["caused_by"] = caused_by
    return EngineError(status, {"error": error, "status": status})


def shard_failure(index: str, uuid: str, reason: str) -> EngineError:
    """A query that the shard refused: `search_phase_execution_exception` around it."""
    told = f"failed to create query: {reason}"
    cause = {"type": "query_shard_exception", "reason": told, "index": index, "index_uuid": uuid}
    inner = {**cause, "caused_by": {"type": "illegal_argument_exception", "reason": reason}}
    error: dict[str, Any] = {
        "root_cause": [cause],
        "type": "search_phase_execution_exception",
        "reason": "all shards failed",
        "phase": "query",
        "grouped": True,
        "failed_shards": [{"shard": 0, "index": index, "node": NODE, "reason": inner}],
    }
    return EngineError(400, {"error": error, "status": 400})


def window_too_large(index: str, window: int, limit: int) -> EngineError:
    reason = (
        f"Result window is too large, from + size must be less than or equal to: [{limit}] but was [{window}]. "
        "See the scroll api for a more efficient way to request large data sets. This limit can be set by changing "
        "the [index.max_result_window] index level setting."
    )
    cause = {"type": "illegal_argument_exception", "reason": reason}
    error: dict[str, Any] = {
        "root_cause": [cause],
        "type": "search_phase_execution_exception",
        "reason": "all shards failed",
        "phase": "query",
        "grouped": True,
        "failed_shards": [{"shard": 0, "index": index, "node": NODE, "reason": cause}],
        "caused_by": {**cause, "caused_by": cause},
    }
    return EngineError(400, {"error": error, "status": 400})


def index_not_found(name: str) -> EngineError:
    facts = {"index": name, "resource.id": name, "resource.type": "index_or_alias", "index_uuid": "_na_"}
    return failure("index_not_found_exception", f"no such index [{name}]", 404, facts=facts)


def invalid_index_name(name: str, why: str) -> EngineError:
    reason = f"Invalid index name [{name}], {why}"
    return failure("invalid_index_name_exception", reason, facts={"index": name, "index_uuid": "_na_"})


def illegal_argument(reason: str) -> EngineError:
    return failure("illegal_argument_exception", reason)


def parsing(reason: str) -> EngineError:
    return failure("parsing_exception", reason, facts={"line": 1, "col": 1})


def field_error(field: str, kind: str, key: str, preview: Any, cause: tuple[str, str]) -> dict[str, Any]:
    """The error of one bulk item whose field cannot be read."""
    return {
        "type": "mapper_parsing_exception",
        "reason": f"failed to parse field [{field}] of type [{kind}] in document with id '{key}'. Preview of field's value: '{preview}'",
        "caused_by": {"type": cause[0], "reason": cause[1]},
    }
