"""Actions of a bulk, what becomes of them, and whether a document is one the mapping takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import orjson

from local_account.opensearch.columns import check_number
from local_account.opensearch.errors import field_error
from local_account.opensearch.mapping import NUMBERS, Mapping


@dataclass(slots=True)
class Operation:
    """One action of a bulk on this index."""

    action: str  # index | create | update | delete
    key: str
    document: dict[str, Any] = field(default_factory=dict)
    raw: bytes = b""  # the document as it was sent


@dataclass(slots=True)
class Done:
    """What became of an operation: its status, and a result or an error."""

    status: int
    result: str = ""
    version: int = 0
    sequence: int = 0
    error: dict[str, Any] | None = None


def check(
    mapping: Mapping, key: str, document: dict[str, Any], raw: bytes
) -> tuple[bytes, list[float] | None, dict[str, Any] | None]:
    """(source to keep, vector, error) of a document."""
    if (error := mapping.meet(document)) is not None:
        return b"", None, error
    vector = None
    if mapping.vector is not None and document.get(mapping.vector.name) is not None:
        vector, error = mapping.read_vector(key, document[mapping.vector.name])
        if error is not None:
            return b"", None, error
    for name, kind in mapping.types.items():
        value = document.get(name)
        if value is None or type(value) is float or (type(value) is str and kind not in NUMBERS):
            continue
        if kind in NUMBERS and (error := check_number(name, kind, key, value)) is not None:
            return b"", None, error
        if isinstance(value, dict):
            cause = ("illegal_state_exception", "Can't get text on a START_OBJECT at 1:1")
            return b"", None, field_error(name, kind, key, "{...}", cause)
    if mapping.excludes & document.keys():
        raw = orjson.dumps({name: value for name, value in document.items() if name not in mapping.excludes})
    return raw, vector, None
