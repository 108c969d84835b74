"""What can be said about a machine's JSONata without running it: that it parses, and that its names exist."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jsonata.jsonata import Jsonata
from jsonata.parser import Parser

from local_account.step_functions import definition as definitions
from local_account.step_functions.expressions import FUNCTIONS, inner, is_expression, parse

INNER = ("Branches", "ItemProcessor")  # scopes of their own, visited as such


def expression_problems(definition: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """(code, place, sentence) for every expression that does not parse or names what is never assigned."""
    yield from _language(definition)
    yield from _scope(definition, "", frozenset())


def _language(definition: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    """Only JSONata is played; a state may say so where the machine does not."""
    whole = definition.get("QueryLanguage", "JSONPath")
    for place, scope in definitions.scopes(definition):
        for name, state in scope["States"].items():
            if state.get("QueryLanguage", whole) != "JSONata":
                said = "JSONPath is not played by the local account: set QueryLanguage to JSONata"
                yield "UNSUPPORTED_QUERY_LANGUAGE", f"{place}/States/{name}", said


def _scope(scope: Mapping[str, Any], place: str, outer: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    mine = {name for state in scope["States"].values() for name in _assigned(state)}
    for name in sorted(mine & outer):
        yield "INVALID_ASSIGN", place, f"assigns ${name}, which belongs to a scope around it"
    for name in sorted(n for n in mine if not n.isidentifier() or len(n) > 80 or n == "states"):
        yield "INVALID_ASSIGN", place, f"{name!r} is no name for a variable"
    known = frozenset(mine) | outer
    for name, state in scope["States"].items():
        here = f"{place}/States/{name}"
        for field, text in _strings({k: v for k, v in state.items() if k not in INNER and k != "Comment"}, here):
            yield from _expression(field, text, known)
        for at, branch in enumerate(state.get("Branches", ())):
            yield from _scope(branch, f"{here}/Branches[{at}]", known)
        if "ItemProcessor" in state:
            yield from _scope(state["ItemProcessor"], f"{here}/ItemProcessor", known)


def _assigned(state: Mapping[str, Any]) -> Iterator[str]:
    for part in (state, *state.get("Choices", ()), *state.get("Catch", ())):
        yield from part.get("Assign", ())


def _strings(value: Any, place: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inside in value.items():
            yield from _strings(inside, f"{place}/{key}")
    elif isinstance(value, list):
        for at, inside in enumerate(value):
            yield from _strings(inside, f"{place}[{at}]")
    elif isinstance(value, str):
        yield place, value


def _expression(place: str, text: str, known: frozenset[str]) -> Iterator[tuple[str, str, str]]:
    if not is_expression(text):
        if text.startswith("{%") or text.endswith("%}"):
            yield "INVALID_JSONATA_EXPRESSION", place, f"{text!r} must begin with {{% and end with %}}"
        return
    try:
        compiled = parse(inner(definitions.PLACEHOLDER.sub("x", text)))
    except ValueError as reason:
        yield "INVALID_JSONATA_EXPRESSION", place, str(reason)
        return
    for name in sorted(free_names(compiled) - known):
        yield "UNKNOWN_VARIABLE", place, f"${name} is neither assigned in this scope or around it, nor a function"


def free_names(compiled: Jsonata) -> set[str]:
    """Variables and functions that an expression uses and does not define itself."""
    used, defined = set[str](), set[str]()
    for symbol in _symbols(compiled.ast, set()):
        if symbol.type == "variable" and symbol.value:
            used.add(str(symbol.value))
        if symbol.type == "lambda":
            defined |= {str(argument.value) for argument in symbol.arguments}
        if symbol.type == "bind":
            defined.add(str(symbol.lhs.value))
    library = {name for name in (*Jsonata.static_frame.bindings, *FUNCTIONS) if name != "eval"}
    return used - defined - library - {"states", "$"}


def _symbols(value: Any, seen: set[int]) -> Iterator[Any]:
    if isinstance(value, Parser.Symbol):
        if id(value) in seen:
            return
        seen.add(id(value))
        yield value
        for inside in vars(value).values():
            yield from _symbols(inside, seen)
    elif isinstance(value, list | tuple):
        for inside in value:
            yield from _symbols(inside, seen)
