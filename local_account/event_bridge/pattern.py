"""Event patterns as Amazon's event-ruler reads them: what EventBridge, and so a rule in template.yaml, would match.

A pattern is compiled once into alternatives (`$or` multiplies them); each alternative is a list of (path, tests) in the
order of the paths. An event is flattened into fields: a path, a leaf value, and where in which arrays it lies. An
alternative matches if every path finds a field one of its tests accepts, and the chosen fields do not sit in
different elements of one array.

References
----------
github.com/aws/event-ruler, README "Ruler semantics" and "array consistency"; the answers of version 1.8.1 are in
`tests/unit/event_bridge`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from local_account.event_bridge.pattern_tests import InvalidPattern, Leaf, LeafTest, compile_test

__all__ = ["InvalidPattern", "Pattern"]

Membership = dict[int, int]  # array number -> element the field lies in


@dataclass(frozen=True, slots=True)
class Field:
    leaf: Leaf
    membership: Membership


@dataclass(frozen=True, slots=True)
class PathTests:
    """What one path asks for: any of `tests`, or, with `may_be_absent`, that the event has no such field."""

    path: str
    tests: tuple[LeafTest, ...]
    may_be_absent: bool


class Pattern:
    """A compiled pattern.

    Parameters
    ----------
    pattern : mapping
        The JSON object of a rule's EventPattern.

    Raises
    ------
    InvalidPattern
        With the reason EventBridge gives.

    Examples
    --------
    >>> Pattern({"source": [{"prefix": "aws."}]}).matches({"source": "aws.sagemaker"})
    True
    """

    def __init__(self, pattern: Mapping[str, Any]) -> None:
        self._alternatives = [sorted(paths, key=lambda p: p.path) for paths in _compile(pattern, "")]

    def matches(self, event: Mapping[str, Any]) -> bool:
        fields: dict[str, list[Field]] = {}
        _flatten(event, "", {}, fields, _Counter())
        return any(_matches(paths, fields, {}) for paths in self._alternatives)


def _matches(paths: list[PathTests], fields: Mapping[str, list[Field]], membership: Membership) -> bool:
    if not paths:
        return True
    wanted, rest = paths[0], paths[1:]
    consistent = [f for f in fields.get(wanted.path, ()) if _consistent(f.membership, membership)]
    if wanted.may_be_absent and not consistent and _matches(rest, fields, membership):
        return True
    return any(
        _matches(rest, fields, {**membership, **f.membership})
        for f in consistent
        if any(test(f.leaf) for test in wanted.tests)
    )


def _consistent(one: Membership, other: Membership) -> bool:
    return all(other.get(array, index) == index for array, index in one.items())


class _Counter:
    """Numbers the arrays of one event."""

    def __init__(self) -> None:
        self.value = 0

    def next(self) -> int:
        self.value += 1
        return self.value


def _flatten(value: Any, path: str, membership: Membership, fields: dict[str, list[Field]], arrays: _Counter) -> None:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            _flatten(inner, f"{path}.{key}" if path else key, membership, fields, arrays)
    elif isinstance(value, list):
        array = arrays.next()
        for index, inner in enumerate(value):
            _flatten(inner, path, {**membership, array: index}, fields, arrays)
    else:
        fields.setdefault(path, []).append(Field(value, membership))


def _compile(pattern: Any, path: str) -> list[list[PathTests]]:
    if not pattern:
        raise InvalidPattern("Empty objects are not allowed")
    parts = [_compile_member(key, value, path) for key, value in pattern.items()]
    return [[p for part in chosen for p in part] for chosen in product(*parts)]


def _compile_member(key: str, value: Any, path: str) -> list[list[PathTests]]:
    if key == "$or" and _is_relation(value):
        return [alternative for branch in value for alternative in _compile(branch, path)]
    here = f"{path}.{key}" if path else key
    if isinstance(value, Mapping):
        return _compile(value, here)
    if not isinstance(value, list):
        raise InvalidPattern(f'"{key}" must be an object or an array')
    if not value:
        raise InvalidPattern("Empty arrays are not allowed")
    return [[_path_tests(here, value)]]


def _is_relation(value: Any) -> bool:
    """`$or` is the operator only over two or more objects that name fields; else it is a field of that name."""
    return isinstance(value, list) and len(value) >= 2 and all(isinstance(v, Mapping) for v in value)


def _path_tests(path: str, values: list[Any]) -> PathTests:
    absent = [v for v in values if isinstance(v, Mapping) and v.get("exists") is False and len(v) == 1]
    tests: Iterator[Callable[[Leaf], bool]] = (compile_test(v) for v in values if v not in absent)
    return PathTests(path, tuple(tests), bool(absent))
