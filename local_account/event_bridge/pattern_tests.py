"""The tests a pattern may put to one leaf of an event: equality, affixes, wildcard, numeric, cidr, anything-but."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

Leaf = str | int | float | bool | None
LeafTest = Callable[[Leaf], bool]

MIXED_ANYTHING_BUT = "Inside anything but list, either all values are number or string, mixed type is not supported"
NUMBER_RANGE = 5e9  # event-ruler compares numbers within ±5e9


class InvalidPattern(ValueError):
    """The pattern is refused; the text is EventBridge's reason."""


def is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def compile_test(value: Any) -> LeafTest:
    """One element of a pattern's array as a test of a leaf."""
    if isinstance(value, list):
        raise InvalidPattern("Match value must be String, number, true, false, or null")
    if not isinstance(value, Mapping):
        return _equals(value)
    if len(value) != 1:
        raise InvalidPattern("Only one key allowed in match expression")
    ((kind, operand),) = value.items()
    if kind not in _COMPILERS:
        raise InvalidPattern(f"Unrecognized match type {kind}")
    return _COMPILERS[kind](operand)


def _equals(value: Leaf) -> LeafTest:
    if is_number(value):
        return lambda leaf: is_number(leaf) and leaf == value
    return lambda leaf: type(leaf) is type(value) and leaf == value


def _exists(operand: Any) -> LeafTest:
    if not isinstance(operand, bool):
        raise InvalidPattern("exists match pattern must be either true or false.")
    return lambda _leaf: operand


def _text(operand: Any, kind: str) -> str:
    if not isinstance(operand, str):
        raise InvalidPattern(f"{kind} match pattern must be a string")
    return operand


def fold(text: str) -> str:
    """Case folded letter by letter, as event-ruler does: `ß` stays one letter and never equals `SS`."""
    return "".join(low if len(low := c.upper().lower()) == 1 else c for c in text)


def _affix(kind: str) -> Callable[[Any], LeafTest]:
    def compile_affix(operand: Any) -> LeafTest:
        ignore_case = isinstance(operand, Mapping)
        if ignore_case:
            if list(operand) != ["equals-ignore-case"]:
                raise InvalidPattern(f"Unsupported {kind} match pattern")
            operand = operand["equals-ignore-case"]
        wanted = _text(operand, kind)
        wanted = fold(wanted) if ignore_case else wanted
        method = str.startswith if kind == "prefix" else str.endswith
        return lambda leaf: isinstance(leaf, str) and method(fold(leaf) if ignore_case else leaf, wanted)

    return compile_affix


def _equals_ignore_case(operand: Any) -> LeafTest:
    wanted = fold(_text(operand, "equals-ignore-case"))
    return lambda leaf: isinstance(leaf, str) and fold(leaf) == wanted


def _wildcard(operand: Any) -> LeafTest:
    parts = _wildcard_parts(_text(operand, "wildcard"))

    def test(leaf: Leaf) -> bool:
        if not isinstance(leaf, str):
            return False
        if len(parts) == 1:
            return leaf == parts[0]
        first, *middle, last = parts
        if len(leaf) < len(first) + len(last) or not leaf.startswith(first) or not leaf.endswith(last):
            return False
        at, end = len(first), len(leaf) - len(last)
        for part in middle:  # leftmost place each: greedy is right for wildcards without '?'
            found = leaf.find(part, at, end)
            if found < 0:
                return False
            at = found + len(part)
        return True

    return test


def _wildcard_parts(text: str) -> list[str]:
    """The literal pieces between the stars; a backslash escapes a star or a backslash and nothing else."""
    parts, at, after_star = [""], 0, False
    while at < len(text):
        char = text[at]
        if char == "\\":
            if text[at + 1 : at + 2] not in ("*", "\\"):
                raise InvalidPattern(f"Invalid escape character at pos {at}")
            parts[-1] += text[at + 1]
            at, after_star = at + 2, False
        elif char == "*":
            if after_star:
                raise InvalidPattern(f"Consecutive wildcard characters at pos {at - 1}")
            parts.append("")
            at, after_star = at + 1, True
        else:
            parts[-1] += char
            at, after_star = at + 1, False
    return parts


def _numeric(operand: Any) -> LeafTest:
    if not isinstance(operand, list) or not operand:
        raise InvalidPattern("Invalid member in numeric match: must be an array")
    conditions: list[tuple[str, float]] = []
    for at in range(0, len(operand), 2):
        sign: Any = operand[at]
        bound: Any = operand[at + 1] if at + 1 < len(operand) else None
        if sign not in _COMPARE:
            raise InvalidPattern(f"Unrecognized numeric range operator: {sign}")
        if not is_number(bound):
            raise InvalidPattern(f"Value of {sign} must be numeric")
        if abs(bound) > NUMBER_RANGE:
            raise InvalidPattern(f"Value must be between {-NUMBER_RANGE} and {NUMBER_RANGE}, inclusive")
        conditions.append((sign, bound))
    _check_range(conditions)
    return lambda leaf: is_number(leaf) and all(_COMPARE[sign](leaf, bound) for sign, bound in conditions)


def _check_range(conditions: list[tuple[str, float]]) -> None:
    """One comparison, or a lower bound and then an upper bound above it."""
    if len(conditions) == 1:
        return
    (low_sign, low), (high_sign, high) = conditions[0], conditions[1]
    if len(conditions) > 2 or not low_sign.startswith(">"):
        raise InvalidPattern("Too many elements in numeric expression")
    if not high_sign.startswith("<"):
        raise InvalidPattern(f"Bad numeric range operator: {high_sign}")
    if low >= high:
        raise InvalidPattern("Bottom must be less than top")


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": lambda a, b: a == b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


def _cidr(operand: Any) -> LeafTest:
    try:
        network = ipaddress.ip_network(_text(operand, "cidr"), strict=False)
    except ValueError as reason:
        raise InvalidPattern(f"Malformed CIDR: {operand}") from reason

    def test(leaf: Leaf) -> bool:
        if not isinstance(leaf, str):
            return False
        try:
            return ipaddress.ip_address(leaf) in network
        except ValueError:
            return False

    return test


def _anything_but(operand: Any) -> LeafTest:
    if isinstance(operand, Mapping):
        refused = _anything_but_kind(operand)
    else:
        values = operand if isinstance(operand, list) else [operand]
        texts, numbers = all(isinstance(v, str) for v in values), all(is_number(v) for v in values)
        if not values or not (texts or numbers):
            raise InvalidPattern(MIXED_ANYTHING_BUT)
        refused = [_equals(v) for v in values]
    return lambda leaf: not any(test(leaf) for test in refused)


def _anything_but_kind(operand: Mapping[str, Any]) -> list[LeafTest]:
    if len(operand) != 1:
        raise InvalidPattern("Only one key allowed in match expression")
    ((kind, inner),) = operand.items()
    if kind not in ("prefix", "suffix", "wildcard", "equals-ignore-case"):
        raise InvalidPattern(f"Unsupported anything-but pattern: {kind}")
    values = inner if isinstance(inner, list) else [inner]
    if not values or any(v == "" for v in values):
        raise InvalidPattern("Null prefix/suffix not allowed")
    return [_COMPILERS[kind](v) for v in values]


_COMPILERS: dict[str, Callable[[Any], LeafTest]] = {
    "exists": _exists,
    "prefix": _affix("prefix"),
    "suffix": _affix("suffix"),
    "equals-ignore-case": _equals_ignore_case,
    "wildcard": _wildcard,
    "numeric": _numeric,
    "cidr": _cidr,
    "anything-but": _anything_but,
}
