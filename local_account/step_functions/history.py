"""History events in the shape of GetExecutionHistory, and the JSON text that passes between states."""

from __future__ import annotations

import json
from typing import Any

MAX_EVENTS = 25_000
MAX_PAYLOAD_BYTES = 262_144
MAX_CAUSE = 32_768


def text(value: Any) -> str:
    """JSON as Step Functions writes it: compact, letters as they are."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def too_large(payload: str) -> bool:
    return len(payload) > MAX_PAYLOAD_BYTES // 4 and len(payload.encode()) > MAX_PAYLOAD_BYTES


def details_key(event_type: str) -> str:
    if event_type.endswith("StateEntered"):
        return "stateEnteredEventDetails"
    if event_type.endswith("StateExited"):
        return "stateExitedEventDetails"
    if event_type.startswith("MapIteration"):
        return f"mapIteration{event_type.removeprefix('MapIteration')}EventDetails"
    return f"{event_type[0].lower()}{event_type[1:]}EventDetails"


DATA_FIELDS = frozenset(
    ["input", "output", "parameters", "inputDetails", "outputDetails", "assignedVariables", "assignedVariablesDetails"]
)


def without_data(told: dict[str, Any]) -> dict[str, Any]:
    """An event without what its states were given and gave."""
    key = details_key(told["type"])
    if key not in told:
        return told
    return told | {key: {name: value for name, value in told[key].items() if name not in DATA_FIELDS}}


def event(event_type: str, details: dict[str, Any] | None = None) -> dict[str, Any]:
    """An event without its place in the history: the journal gives it id and time."""
    return {"type": event_type} if details is None else {"type": event_type, details_key(event_type): details}


def entered(kind: str, name: str, payload: Any) -> dict[str, Any]:
    return event(f"{kind}StateEntered", {"name": name, "input": text(payload), "inputDetails": {"truncated": False}})


def exited(kind: str, name: str, payload: Any, assigned: dict[str, Any]) -> dict[str, Any]:
    details: dict[str, Any] = {"name": name, "output": text(payload), "outputDetails": {"truncated": False}}
    if assigned:
        details["assignedVariables"] = {variable: text(value) for variable, value in assigned.items()}
        details["assignedVariablesDetails"] = {"truncated": False}
    return event(f"{kind}StateExited", details)
