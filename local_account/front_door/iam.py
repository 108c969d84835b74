"""Identity policies, evaluated: an explicit Deny wins, then any Allow, else no.

Source: IAM User Guide, "Policy evaluation logic" and "IAM JSON policy elements: Condition operators".
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from typing import Any, Literal

Decision = Literal["allow", "explicit deny", "implicit deny"]
Context = Mapping[str, str | Sequence[str]]  # condition keys in lower case


@dataclass(frozen=True, slots=True)
class Demand:
    """One right that a request needs: an action on a resource, and the facts its conditions may ask for."""

    action: str  # "dynamodb:GetItem"
    resource: str  # an ARN, or "*" for an action without resource types
    context: Context = field(default_factory=dict)


def decide(statements: Iterable[Statement], demand: Demand) -> Decision:
    """What all statements of a principal say together about one demand."""
    allowed = False
    for statement in statements:
        if statement.matches(demand):
            if statement.denies:
                return "explicit deny"
            allowed = True
    return "allow" if allowed else "implicit deny"


class Statement:
    """One statement of a policy document, its patterns compiled."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.denies = document["Effect"] == "Deny"
        self._actions = _listed(document, "Action", lambda text: _glob(text, ignore_case=True))
        self._resources = _listed(document, "Resource", _glob)
        self._conditions = [
            _Condition(operator, key, [str(value) for value in _list(values)])
            for operator, by_key in document.get("Condition", {}).items()
            for key, values in by_key.items()
        ]

    def matches(self, demand: Demand) -> bool:
        actions, not_actions = self._actions
        resources, not_resources = self._resources
        return (
            any(pattern(demand.action) for pattern in actions) != not_actions
            and any(pattern(demand.resource) for pattern in resources) != not_resources
            and all(condition.holds(demand.context, unknown=self.denies) for condition in self._conditions)
        )


def statements_of(document: Mapping[str, Any]) -> list[Statement]:
    """The statements of a policy document, which may hold one without a list around it."""
    return [Statement(statement) for statement in _list(document.get("Statement", []))]


@dataclass(frozen=True, slots=True)
class _Condition:
    operator: str  # "ForAllValues:StringLikeIfExists"
    key: str
    wanted: list[str]

    def holds(self, context: Context, *, unknown: bool) -> bool:
        """`unknown` is the answer for an operator nobody here knows: a Deny stands, an Allow does not."""
        quantifier, _, operator = self.operator.rpartition(":")
        given = context.get(self.key.lower())
        if operator == "Null":
            return (given is None) == (self.wanted[0].lower() == "true")
        if_exists = operator.endswith("IfExists")
        operator = operator.removesuffix("IfExists")
        negated = "Not" in operator
        compare = _OPERATORS.get(operator.replace("Not", "").replace("IgnoreCase", ""))
        if compare is None:
            return unknown
        if given is None or (quantifier and not given):
            return if_exists or quantifier == "ForAllValues" or (negated and not quantifier)
        fold = operator.endswith("IgnoreCase")
        wanted = [text.lower() for text in self.wanted] if fold else self.wanted
        values = [text.lower() if fold else text for text in ([given] if isinstance(given, str) else given)]
        matched = [any(compare(value, text) for text in wanted) != negated for value in values]
        return all(matched) if quantifier == "ForAllValues" or (negated and not quantifier) else any(matched)


@lru_cache(maxsize=8192)
def _glob(pattern: str, ignore_case: bool = False) -> Callable[[str], bool]:
    """IAM's wildcards: `*` any run, `?` one character; `${*}`, `${?}`, `${$}` those characters themselves."""
    if pattern == "*":
        return lambda text: True
    pieces = re.split(r"(\$\{[*?$]\}|[*?])", pattern)
    expression = "".join(
        ".*"
        if piece == "*"
        else "."
        if piece == "?"
        else re.escape(piece[2])
        if piece[:2] == "${"
        else re.escape(piece)
        for piece in pieces
        if piece
    )
    compiled = re.compile(expression, (re.IGNORECASE if ignore_case else 0) | re.DOTALL)
    return lambda text: compiled.fullmatch(text) is not None


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    return lambda value, wanted: compare(float(value), float(wanted))


def _date(compare: Callable[[datetime, datetime], bool]) -> Callable[[str, str], bool]:
    return lambda value, wanted: compare(datetime.fromisoformat(value), datetime.fromisoformat(wanted))


def _arn(value: str, wanted: str) -> bool:
    """Each of the six parts of an ARN by itself, so that a star does not reach into the next part."""
    values, patterns = value.split(":", 5), wanted.split(":", 5)
    return len(values) == len(patterns) and all(_glob(p)(v) for v, p in zip(values, patterns, strict=True))


# Without "Not" and "IgnoreCase", which are handled for all of them alike.
_OPERATORS: dict[str, Callable[[str, str], bool]] = {
    "StringEquals": lambda value, wanted: value == wanted,
    "StringLike": lambda value, wanted: _glob(wanted)(value),
    "ArnEquals": _arn,
    "ArnLike": _arn,
    "Bool": lambda value, wanted: value.lower() == wanted.lower(),
    "NumericEquals": _number(lambda a, b: a == b),
    "NumericLessThan": _number(lambda a, b: a < b),
    "NumericLessThanEquals": _number(lambda a, b: a <= b),
    "NumericGreaterThan": _number(lambda a, b: a > b),
    "NumericGreaterThanEquals": _number(lambda a, b: a >= b),
    "DateEquals": _date(lambda a, b: a == b),
    "DateLessThan": _date(lambda a, b: a < b),
    "DateLessThanEquals": _date(lambda a, b: a <= b),
    "DateGreaterThan": _date(lambda a, b: a > b),
    "DateGreaterThanEquals": _date(lambda a, b: a >= b),
}


def _list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _listed(
    document: Mapping[str, Any], name: str, compiled: Callable[[str], Callable[[str], bool]]
) -> tuple[list[Callable[[str], bool]], bool]:
    """Patterns of Action or Resource, and whether they came as NotAction or NotResource."""
    negated = f"Not{name}" in document
    patterns = _list(document.get(f"Not{name}" if negated else name, []))
    return [compiled(pattern) for pattern in patterns], negated
