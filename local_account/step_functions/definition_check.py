"""Whether a machine is whole, before anything runs: what Step Functions refuses, and what this house wants beyond.

cfn-lint passes a dangling `Next`; this does not.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from local_account.step_functions import definition as definitions
from local_account.step_functions.expression_check import expression_problems
from local_account.step_functions.state_check import TERMINAL, state_problems

MAX_NAME = 80


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing wrong. `refused` tells what AWS would refuse from what only this house does."""

    code: str
    location: str  # /States/Name/Field
    message: str
    refused: bool = True

    def __str__(self) -> str:
        return f"{self.location or '/'}: {self.message} ({self.code})"


def check(
    definition: Mapping[str, Any],
    *,
    substitutions: Collection[str] | None = None,
    known_errors: Collection[str] = (),
) -> list[Problem]:
    """All problems of a machine.

    Parameters
    ----------
    definition : mapping
        As read from its file; `${Names}` may still be in it.
    substitutions : collection of names, optional
        The DefinitionSubstitutions of the template; a `${Name}` without one is a problem, and one that is never used.
    known_errors : collection of names
        Errors that our own functions raise, beyond `States.*` and what services answer.

    Examples
    --------
    >>> [str(p) for p in check({"QueryLanguage": "JSONata", "StartAt": "A", "States": {"A": {"Type": "Succeed"}}})]
    []
    """
    problems = [Problem(*found) for found in _structure(definition)]
    if any(p.code == "SCHEMA_VALIDATION_FAILED" for p in problems):
        return problems
    for code, place, said in expression_problems(definition):
        # A variable that is nowhere assigned is AWS's error only once it is read.
        problems.append(Problem(code, place, said, refused=code != "UNKNOWN_VARIABLE"))
    for place, scope in definitions.scopes(definition):
        for name, state in scope["States"].items():
            found = state_problems(state, known_errors)
            problems += [Problem(code, f"{place}/States/{name}{at}", text, hard) for code, at, text, hard in found]
    return problems + _substitutions(definition, substitutions)


def refusals(definition: Mapping[str, Any]) -> list[Problem]:
    """What CreateStateMachine refuses."""
    return [problem for problem in check(definition) if problem.refused]


def _structure(definition: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    names: set[str] = set()
    for place, scope in definitions.scopes(definition):
        states = scope.get("States")
        if not isinstance(states, Mapping) or not states or not isinstance(scope.get("StartAt"), str):
            yield "SCHEMA_VALIDATION_FAILED", place, "needs StartAt and at least one state in States"
            continue
        for name, state in states.items():
            if not isinstance(state, Mapping) or not isinstance(state.get("Type"), str):
                yield "SCHEMA_VALIDATION_FAILED", f"{place}/States/{name}", "is no state: it has no Type"
            if len(name) > MAX_NAME:
                yield "INVALID_STATE_NAME", f"{place}/States/{name}", f"is longer than {MAX_NAME} characters"
            if name in names:
                yield "DUPLICATE_STATE_NAME", f"{place}/States/{name}", "names a second state of this machine"
            names.add(name)
        if all(isinstance(state, Mapping) for state in states.values()):
            yield from _transitions(place, scope["StartAt"], states)


def _transitions(place: str, start: str, states: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str, str]]:
    targets = {name: list(_targets(state)) for name, state in states.items()}
    if start not in states:
        yield "MISSING_TRANSITION_TARGET", f"{place}/StartAt", f"there is no state {start!r}"
    for name, found in targets.items():
        for field, target in found:
            if target not in states:
                yield "MISSING_TRANSITION_TARGET", f"{place}/States/{name}/{field}", f"there is no state {target!r}"
    reached, ahead = set[str](), [start]
    while ahead:
        name = ahead.pop()
        if name in states and name not in reached:
            reached.add(name)
            ahead += [target for _field, target in targets[name]]
    for name in states:
        if name not in reached:
            yield "UNREACHABLE_STATE", f"{place}/States/{name}", f"no path leads here from {start}"
    if not any(s.get("End") is True or s.get("Type") in TERMINAL for s in states.values()):
        yield "NO_TERMINAL_STATE", place, "has no state that ends it"


def _targets(state: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for field in ("Next", "Default"):
        if field in state:
            yield field, state[field]
    for kind in ("Choices", "Catch"):
        for at, part in enumerate(state.get(kind, ())):
            if isinstance(part, Mapping) and "Next" in part:
                yield f"{kind}[{at}]/Next", part["Next"]


def _substitutions(definition: Mapping[str, Any], given: Collection[str] | None) -> list[Problem]:
    if given is None:
        return []
    used = definitions.placeholders(definition)
    missing = [Problem("MISSING_SUBSTITUTION", "", f"${{{name}}} has no value") for name in sorted(used - set(given))]
    idle = [
        Problem("UNUSED_SUBSTITUTION", "", f"{name} is given and never used", refused=False)
        for name in sorted(set(given) - used)
    ]
    return missing + idle
