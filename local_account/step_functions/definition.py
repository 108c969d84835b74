"""Machine definitions: read from `*.asl.yaml` or JSON text, with DefinitionSubstitutions put in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

PLACEHOLDER = re.compile(r"\$\{([A-Za-z0-9]+)\}")


class _Loader(yaml.SafeLoader):
    """YAML whose times stay text: a Timestamp is compared by the machine, not by the reader."""


_Loader.yaml_implicit_resolvers = {
    letter: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for letter, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


class MissingSubstitution(ValueError):
    """A `${Name}` has no value."""

    def __init__(self, names: list[str]) -> None:
        super().__init__(f"no DefinitionSubstitutions for {', '.join(names)}")
        self.names = names


def parse_text(text: str) -> dict[str, Any]:
    """JSON or YAML text of a machine.

    Raises
    ------
    ValueError
        If it is neither, or no object.
    """
    try:
        definition = yaml.load(text, Loader=_Loader)  # noqa: S506 - a SafeLoader with one resolver less
    except yaml.YAMLError as reason:
        raise ValueError(f"the definition is neither JSON nor YAML: {reason}") from reason
    if not isinstance(definition, dict):
        raise ValueError("the definition must be an object")
    return definition


def load(file: Path, substitutions: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A machine file, its `${Names}` replaced in the text, as CloudFormation does it; None leaves them."""
    text = file.read_text()
    return parse_text(text if substitutions is None else substitute_text(text, substitutions))


def substitute_text(text: str, substitutions: Mapping[str, str]) -> str:
    missing = sorted(set(PLACEHOLDER.findall(text)) - set(substitutions))
    if missing:
        raise MissingSubstitution(missing)
    return PLACEHOLDER.sub(lambda found: str(substitutions[found[1]]), text)


def substitute(value: Any, substitutions: Mapping[str, str]) -> Any:
    """The same in a definition already read: a value that is one placeholder is read as YAML reads the bare word."""
    if isinstance(value, Mapping):
        return {key: substitute(inner, substitutions) for key, inner in value.items()}
    if isinstance(value, list):
        return [substitute(inner, substitutions) for inner in value]
    if not isinstance(value, str):
        return value
    text = substitute_text(value, substitutions)
    if PLACEHOLDER.fullmatch(value):
        read = yaml.load(text, Loader=_Loader)  # noqa: S506 - as above
        return read if isinstance(read, int | float) else text
    return text


def placeholders(definition: Any) -> set[str]:
    """Names of every `${Name}` in a definition."""
    return {name for text in _texts(definition) for name in PLACEHOLDER.findall(text)}


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


def scopes(definition: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(place, scope) of the machine and of every Parallel branch and Map processor in it, outer ones first."""
    yield place, definition
    for name, state in definition.get("States", {}).items():
        here = f"{place}/States/{name}"
        if not isinstance(state, Mapping):
            continue
        for at, inner in enumerate(state.get("Branches", ())):
            yield from scopes(inner, f"{here}/Branches[{at}]")
        if isinstance(state.get("ItemProcessor"), Mapping):
            yield from scopes(state["ItemProcessor"], f"{here}/ItemProcessor")


def states(definition: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """(name, state) of every state of every scope."""
    for _place, scope in scopes(definition):
        yield from scope.get("States", {}).items()
