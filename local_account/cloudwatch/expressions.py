"""Metric math, as far as alarms here use it: numbers, ids, + - * /, comparisons, IF and FILL, over series of datapoints.

A series has one place for each period of the evaluation range, None where the metric has no datapoint. An expression is
parsed once into a tree and evaluated by walking it; Python's own evaluator never sees it.

Source: CloudWatch user guide, "Using metric math": an operation on two series gives a datapoint only where both have
one, a division by zero gives none, comparisons give 1 and 0, FILL changes nothing of a series without any datapoint.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

Series = Sequence[float | None]

_TOKEN = re.compile(r"\s*(?:(\d+(?:\.\d*)?|\.\d+)|([A-Za-z]\w*)|(<=|>=|==|!=|[-+*/()<>,]))")
_COMPARE: dict[str, Callable[[float, float], float]] = {
    "<": lambda a, b: float(a < b),
    "<=": lambda a, b: float(a <= b),
    ">": lambda a, b: float(a > b),
    ">=": lambda a, b: float(a >= b),
    "==": lambda a, b: float(a == b),
    "!=": lambda a, b: float(a != b),
}
_ADD: dict[str, Callable[[float, float], float]] = {"+": operator.add, "-": operator.sub}
_MULTIPLY: dict[str, Callable[[float, float], float]] = {"*": operator.mul, "/": operator.truediv}
_LONGEST = 2048
_DEEPEST = 50


class InvalidExpression(ValueError):
    """An expression that this account does not play; the message says what of it."""


@dataclass(frozen=True, slots=True)
class Expression:
    """A parsed expression; `names` are the ids it refers to."""

    text: str
    names: frozenset[str]
    _root: _Node

    def over(self, series: Mapping[str, Series], length: int) -> Series:
        """Its value in each of `length` periods, which all the series have. A constant has one in every period."""
        return self._root.value(series, length)


@dataclass(frozen=True, slots=True)
class _Number:
    number: float

    def value(self, _series: Mapping[str, Series], length: int) -> Series:
        return [self.number] * length


@dataclass(frozen=True, slots=True)
class _Name:
    name: str

    def value(self, series: Mapping[str, Series], _length: int) -> Series:
        return series[self.name]


@dataclass(frozen=True, slots=True)
class _Operation:
    """An operation on the datapoints of one period; None where one is missing, or it has no result."""

    of: Callable[..., float | None]
    operands: tuple[_Node, ...]

    def value(self, series: Mapping[str, Series], length: int) -> Series:
        operands = [operand.value(series, length) for operand in self.operands]
        return [self._at(row) for row in zip(*operands, strict=True)]

    def _at(self, row: Sequence[float | None]) -> float | None:
        if self.of is _choose:
            return _choose(*row)
        if any(value is None for value in row):
            return None
        try:
            return self.of(*row)
        except ZeroDivisionError:
            return None


@dataclass(frozen=True, slots=True)
class _Fill:
    """FILL(series, number) or FILL(series, REPEAT)."""

    filled: _Node
    by: _Node | None  # None repeats the datapoint before

    def value(self, series: Mapping[str, Series], length: int) -> Series:
        given = self.filled.value(series, length)
        if all(value is None for value in given):
            return given
        by = self.by.value(series, length) if self.by is not None else None
        result: list[float | None] = []
        for place, value in enumerate(given):
            if value is None:
                value = by[place] if by is not None else result[-1] if result else None
            result.append(value)
        return result


_Node = _Number | _Name | _Operation | _Fill


def _choose(condition: float | None, chosen: float | None, otherwise: float | None) -> float | None:
    if condition is None:
        return None
    return chosen if condition else otherwise


def parse(text: str) -> Expression:
    """An expression of a text.

    Raises
    ------
    InvalidExpression
        It is too long, too deep, or says something that is not played here.
    """
    if len(text) > _LONGEST:
        raise InvalidExpression(f"an expression has at most {_LONGEST} characters")
    reader = _Reader(text)
    root = reader.comparison(0)
    reader.expect_end()
    return Expression(text, frozenset(reader.names), root)


class _Reader:
    def __init__(self, text: str) -> None:
        self._tokens = _tokens(text)
        self._text = text
        self.names: set[str] = set()

    def comparison(self, depth: int) -> _Node:
        return self._chain(depth, _COMPARE, self._sum)

    def expect_end(self) -> None:
        if self._tokens:
            raise InvalidExpression(f"{self._tokens[0]!r} was not expected in {self._text!r}")

    def _sum(self, depth: int) -> _Node:
        return self._chain(depth, _ADD, self._product)

    def _product(self, depth: int) -> _Node:
        return self._chain(depth, _MULTIPLY, self._single)

    def _chain(
        self, depth: int, operators: Mapping[str, Callable[..., float]], operand: Callable[[int], _Node]
    ) -> _Node:
        left = operand(depth)
        while self._tokens and self._tokens[0] in operators:
            of = operators[self._tokens.pop(0)]
            left = _Operation(of, (left, operand(depth)))
        return left

    def _single(self, depth: int) -> _Node:
        if depth > _DEEPEST:
            raise InvalidExpression(f"an expression is at most {_DEEPEST} deep")
        if not self._tokens:
            raise InvalidExpression(f"{self._text!r} ends too early")
        word = self._tokens.pop(0)
        if word == "(":
            inner = self.comparison(depth + 1)
            self._take(")")
            return inner
        if word == "-":
            return _Operation(operator.neg, (self._single(depth + 1),))
        if word[0].isdigit() or word[0] == ".":
            return _Number(float(word))
        if word in ("IF", "FILL"):
            return self._function(word, depth + 1)
        if not re.fullmatch(r"[a-z]\w*", word):
            raise InvalidExpression(f"{word!r} is not played here: ids, numbers, + - * /, comparisons, IF, FILL are")
        self.names.add(word)
        return _Name(word)

    def _function(self, name: str, depth: int) -> _Node:
        self._take("(")
        first = self.comparison(depth)
        self._take(",")
        if name == "FILL":
            repeat = self._tokens[:1] == ["REPEAT"]
            by = None if repeat and self._tokens.pop(0) else self.comparison(depth)
            self._take(")")
            return _Fill(first, by)
        chosen = self.comparison(depth)
        self._take(",")
        otherwise = self.comparison(depth)
        self._take(")")
        return _Operation(_choose, (first, chosen, otherwise))

    def _take(self, token: str) -> None:
        if not self._tokens or self._tokens.pop(0) != token:
            raise InvalidExpression(f"{token!r} was expected in {self._text!r}")


def _tokens(text: str) -> list[str]:
    tokens: list[str] = []
    place = 0
    text = text.rstrip()
    while place < len(text):
        match = _TOKEN.match(text, place)
        if match is None:
            raise InvalidExpression(f"{text[place : place + 10]!r} of {text!r} is not played here")
        tokens.append(match[match.lastindex or 0])
        place = match.end()
    return tokens
