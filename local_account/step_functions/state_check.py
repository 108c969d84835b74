"""What can be said about one state without running it: its fields, its Retry and Catch, the service it calls."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from typing import Any

from local_account.step_functions.definition import PLACEHOLDER
from local_account.step_functions.errors import ALL, STATES_ERRORS, StatesError
from local_account.step_functions.expressions import is_expression
from local_account.step_functions.resources import Resource
from local_account.step_functions.sdk_shapes import argument_problems, error_is_known

Found = tuple[str, str, str, bool]  # code, place below the state, sentence, whether AWS refuses it

TERMINAL = ("Succeed", "Fail")
_COMMON = {"Type", "Comment", "QueryLanguage"}
_FLOW = {"Next", "End", "Output", "Assign"}
_CATCHING = {"Retry", "Catch", "Arguments"}
FIELDS: dict[str, set[str]] = {
    "Pass": _COMMON | _FLOW,
    "Wait": _COMMON | _FLOW | {"Seconds", "Timestamp"},
    "Choice": _COMMON | {"Choices", "Default", "Output", "Assign"},
    "Succeed": _COMMON | {"Output"},
    "Fail": _COMMON | {"Error", "Cause"},
    "Task": _COMMON | _FLOW | _CATCHING | {"Resource", "TimeoutSeconds", "HeartbeatSeconds", "Credentials"},
    "Parallel": _COMMON | _FLOW | _CATCHING | {"Branches"},
    "Map": _COMMON | _FLOW | {"Retry", "Catch", "Items", "ItemSelector", "ItemProcessor", "MaxConcurrency"},
}
_RETRIER = {
    "ErrorEquals",
    "IntervalSeconds",
    "MaxAttempts",
    "BackoffRate",
    "MaxDelaySeconds",
    "JitterStrategy",
    "Comment",
}
_CATCHER = {"ErrorEquals", "Next", "Output", "Assign", "Comment"}
_RULE = {"Condition", "Next", "Output", "Assign", "Comment"}


def state_problems(state: Mapping[str, Any], known_errors: Collection[str]) -> Iterator[Found]:
    kind = state["Type"]
    if kind not in FIELDS:
        yield "INVALID_STATE_TYPE", "/Type", f"{kind} is no type of state", True
        return
    for field in state.keys() - FIELDS[kind]:
        yield "INVALID_FIELD", f"/{field}", f"a {kind} state of JSONata has no such field", True
    if kind not in (*TERMINAL, "Choice") and ("Next" in state) == (state.get("End") is True):
        yield "MISSING_TRANSITION", "", "needs either Next or End: true", True
    yield from _SPECIAL.get(kind, lambda _state: iter(()))(state)
    yield from _handlers(state, known_errors)


def _choice(state: Mapping[str, Any]) -> Iterator[Found]:
    rules = state.get("Choices")
    if not isinstance(rules, list) or not rules:
        yield "MISSING_CHOICES", "/Choices", "needs at least one rule", True
        return
    for at, rule in enumerate(rules):
        if not {"Condition", "Next"} <= rule.keys() <= _RULE:
            yield "INVALID_CHOICE_RULE", f"/Choices[{at}]", f"a rule has Condition and Next, of {sorted(_RULE)}", True


def _wait(state: Mapping[str, Any]) -> Iterator[Found]:
    if ("Seconds" in state) == ("Timestamp" in state):
        yield "INVALID_WAIT", "", "needs either Seconds or Timestamp", True


def _parallel(state: Mapping[str, Any]) -> Iterator[Found]:
    if not isinstance(state.get("Branches"), list) or not state["Branches"]:
        yield "MISSING_BRANCHES", "/Branches", "needs at least one branch", True


def _map(state: Mapping[str, Any]) -> Iterator[Found]:
    processor = state.get("ItemProcessor")
    if not isinstance(processor, Mapping):
        yield "MISSING_ITEM_PROCESSOR", "/ItemProcessor", "a Map needs one", True
    elif processor.get("ProcessorConfig", {}).get("Mode", "INLINE") != "INLINE":
        yield "UNSUPPORTED_MODE", "/ItemProcessor", "the local account plays inline Maps only", True


def _task(state: Mapping[str, Any]) -> Iterator[Found]:
    if "TimeoutSeconds" not in state:
        yield "MISSING_TIMEOUT", "", "has no TimeoutSeconds, and AWS has no default: it could hang for a year", False
    text = state.get("Resource")
    if not isinstance(text, str):
        yield "MISSING_RESOURCE", "/Resource", "a Task needs one", True
        return
    if PLACEHOLDER.search(text):
        return
    try:
        resource = Resource.parse(text)
    except StatesError as refused:
        yield "INVALID_RESOURCE", "/Resource", refused.cause, True
        return
    arguments = state.get("Arguments")
    if isinstance(arguments, Mapping):
        for said in argument_problems(resource, arguments):
            yield "INVALID_ARGUMENTS", "/Arguments", said, True
    heartbeat, timeout = state.get("HeartbeatSeconds"), state.get("TimeoutSeconds")
    if isinstance(heartbeat, int) and isinstance(timeout, int) and heartbeat >= timeout:
        yield "INVALID_HEARTBEAT", "/HeartbeatSeconds", "must be smaller than TimeoutSeconds", True


def _handlers(state: Mapping[str, Any], known_errors: Collection[str]) -> Iterator[Found]:
    for field, allowed in (("Retry", _RETRIER), ("Catch", _CATCHER)):
        handlers = state.get(field, [])
        for at, handler in enumerate(handlers):
            place = f"/{field}[{at}]"
            for extra in handler.keys() - allowed:
                yield "INVALID_FIELD", f"{place}/{extra}", f"{field} has no such field", True
            names = handler.get("ErrorEquals")
            if not isinstance(names, list) or not names:
                yield "MISSING_ERROR_EQUALS", place, "needs ErrorEquals", True
                continue
            if ALL in names and (len(names) > 1 or at < len(handlers) - 1):
                yield "INVALID_ERROR_EQUALS", place, "States.ALL must stand alone and last", True
            for name in names:
                if not (name in STATES_ERRORS or name in known_errors or error_is_known(name)):
                    yield "UNKNOWN_ERROR", place, f"nothing raises {name}", name.startswith("States.")
    yield from _retriers(state.get("Retry", []))
    for at, catcher in enumerate(state.get("Catch", [])):
        if "Next" not in catcher:
            yield "MISSING_TRANSITION", f"/Catch[{at}]", "needs Next", True


_BOUNDS = {"IntervalSeconds": (1, 99_999_999), "MaxAttempts": (0, 99_999_999), "BackoffRate": (1.0, float("inf"))}


def _retriers(retriers: list[Mapping[str, Any]]) -> Iterator[Found]:
    for at, retrier in enumerate(retriers):
        for field, (least, most) in _BOUNDS.items():
            value = retrier.get(field, least)
            if isinstance(value, str) and PLACEHOLDER.fullmatch(value):
                continue
            if is_expression(value) or not isinstance(value, int | float) or not least <= value <= most:
                yield "INVALID_RETRY", f"/Retry[{at}]/{field}", f"must be a number from {least} to {most}", True
        longest = retrier.get("MaxDelaySeconds", 31_622_400)
        if isinstance(longest, int) and longest <= retrier.get("IntervalSeconds", 1):
            yield "INVALID_RETRY", f"/Retry[{at}]/MaxDelaySeconds", "must be greater than IntervalSeconds", True
        if retrier.get("JitterStrategy", "NONE") not in ("FULL", "NONE"):
            yield "INVALID_RETRY", f"/Retry[{at}]/JitterStrategy", "is FULL or NONE", True


_SPECIAL = {"Choice": _choice, "Wait": _wait, "Parallel": _parallel, "Map": _map, "Task": _task}
