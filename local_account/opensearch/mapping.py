"""What an index knows of its fields, and the refusals a document can meet."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from local_account.opensearch.errors import failure, field_error

NUMBERS = frozenset(["float", "double", "half_float", "integer", "long", "short", "byte"])
KEYWORDS = frozenset({"keyword", "boolean"})
_STORED_ONLY = frozenset({"text"})
_NUMERIC = frozenset({float, int})  # as JSON reads numbers; a boolean's type is its own
_SPACES = frozenset({"innerproduct"})


@dataclass(frozen=True, slots=True)
class VectorField:
    name: str
    dimension: int
    m: int
    ef_construction: int


class Mapping:
    """Fields of one index. Vector, keyword, number, boolean and stored text; one vector field at most."""

    def __init__(self, declared: dict[str, Any]) -> None:
        self.body = copy.deepcopy(declared)
        self.types: dict[str, str] = {}
        self.within: dict[str, str] = {}  # sub-field, as `title.keyword` -> the field it is part of
        self.vector: VectorField | None = None
        for name, field in self.body.setdefault("properties", {}).items():
            self._declare(name, field)
        source = self.body.get("_source", {})
        self.excludes = frozenset(source.get("excludes", ()))
        self.keeps_source = source.get("enabled", True)

    @property
    def dynamic(self) -> str:
        return str(self.body.get("dynamic", "true")).lower()

    @property
    def stored(self) -> frozenset[str]:
        """Fields that a document's `_source` can hold."""
        return frozenset(self.types) - self.excludes

    def filterable(self) -> Iterator[tuple[str, str, str]]:
        """(name to ask for, field of the document it reads, type) of every field with a column."""
        for name, kind in self.types.items():
            if kind in NUMBERS or kind in KEYWORDS:
                yield name, name, kind
        for name, field in self.within.items():
            yield name, field, "keyword"

    def extend(self, properties: dict[str, Any]) -> None:
        """PUT _mapping: new fields; a known one may not change its type."""
        for name, field in properties.items():
            known = self.types.get(name)
            if known is not None and known != field.get("type", known):
                reason = f"mapper [{name}] cannot be changed from type [{known}] to [{field.get('type')}]"
                raise failure("illegal_argument_exception", reason)
            if known is None:
                self._declare(name, field)
                self.body["properties"][name] = copy.deepcopy(field)

    def meet(self, document: dict[str, Any]) -> dict[str, Any] | None:
        """The error of a document with fields the mapping does not know, or None; `dynamic: true` learns them."""
        unknown = document.keys() - self.types.keys()
        if not unknown or self.dynamic == "false":
            return None
        name = min(unknown)
        if self.dynamic == "strict":
            reason = f"mapping set to strict, dynamic introduction of [{name}] within [_doc] is not allowed"
            return {"type": "strict_dynamic_mapping_exception", "reason": reason}
        for name in sorted(unknown):
            if (field := _guess(document[name])) is not None:
                self.extend({name: field})
        return None

    def read_vector(self, key: str, value: Any) -> tuple[list[float] | None, dict[str, Any] | None]:
        """(vector, None) or (None, error) of one document."""
        field = self.vector
        assert field is not None  # noqa: S101  called for documents that name the vector field
        if not isinstance(value, list):
            given = f"Vector dimension mismatch. Expected: {field.dimension}, Given: 0"
            return None, field_error(field.name, "knn_vector", key, value, ("illegal_argument_exception", given))
        if not _NUMERIC.issuperset(map(type, value)):
            wrong = next(number for number in value if type(number) not in _NUMERIC)
            cause = ("number_format_exception", f'For input string: "{wrong}"')
            return None, field_error(field.name, "knn_vector", key, wrong, cause)
        if len(value) != field.dimension:
            given = f"Vector dimension mismatch. Expected: {field.dimension}, Given: {len(value)}"
            return None, field_error(field.name, "knn_vector", key, "null", ("illegal_argument_exception", given))
        return value, None

    def _declare(self, name: str, field: dict[str, Any]) -> None:
        kind = field.get("type", "object")
        if kind == "knn_vector":
            self._declare_vector(name, field)
        elif kind not in NUMBERS | KEYWORDS | _STORED_ONLY:
            raise _refused(f"No handler for type [{kind}] declared on field [{name}]", nested=True)
        self.types[name] = kind
        for sub, inner in field.get("fields", {}).items():
            if inner.get("type") in KEYWORDS:
                self.within[f"{name}.{sub}"] = name

    def _declare_vector(self, name: str, field: dict[str, Any]) -> None:
        if "dimension" not in field:
            raise _refused(f"Dimension value missing for vector: {name}")
        if self.vector is not None:
            raise _refused(f"the embedded engine holds one knn_vector an index: [{self.vector.name}], not [{name}] too")
        method = field.get("method", {})
        space = method.get("space_type") or field.get("space_type", "l2")
        if space not in _SPACES or method.get("name", "hnsw") != "hnsw":
            raise _refused(f"the embedded engine plays hnsw with innerproduct, not {method.get('name')} with {space}")
        given = method.get("parameters", {})
        self.vector = VectorField(name, int(field["dimension"]), given.get("m", 16), given.get("ef_construction", 128))


def _refused(reason: str, *, nested: bool = False) -> Exception:
    whole = f"Failed to parse mapping [_doc]: {reason}"
    cause = {"type": "mapper_parsing_exception" if nested else "illegal_argument_exception", "reason": reason}
    return failure("mapper_parsing_exception", whole, caused_by=cause)


def _guess(value: Any) -> dict[str, Any] | None:
    """Type that `dynamic: true` gives a new field; None for what stays in `_source` only."""
    if isinstance(value, list):
        return _guess(value[0]) if value else None
    if isinstance(value, bool):
        return {"type": "boolean"}
    if isinstance(value, int):
        return {"type": "long"}
    if isinstance(value, float):
        return {"type": "float"}
    if isinstance(value, str):
        return {"type": "text", "fields": {"keyword": {"type": "keyword", "ignore_above": 256}}}
    return None
