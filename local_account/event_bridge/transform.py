"""What a target gets of an event: all of it, a part (InputPath), a constant (Input), or a template (InputTransformer)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from local_account.event_bridge.events import Event, wire_time

_STEP = re.compile(r"\.([A-Za-z0-9_-]+)|\[(\d+)\]|\['([^']+)'\]")
_PLACEHOLDER = re.compile(r"<([A-Za-z0-9_.-]+)>")
MISSING = object()


def target_input(target: Mapping[str, Any], event: Event, rule_arn: str, now: float) -> str:
    """The text a target receives."""
    if "Input" in target:
        return str(target["Input"])
    if "InputPath" in target:
        found = look_up(event, target["InputPath"])
        return _json(None if found is MISSING else found)
    if "InputTransformer" in target:
        return _transformed(target["InputTransformer"], event, rule_arn, now)
    return _json(event)


def look_up(value: Any, path: str) -> Any:
    """`$.detail.items[0]` of a JSON value, MISSING where there is none.

    Raises
    ------
    ValueError
        For a path that is none of this small language.
    """
    if not path.startswith("$"):
        raise ValueError(f"{path} must begin with $")
    at = 1
    while at < len(path):
        step = _STEP.match(path, at)
        if step is None:
            raise ValueError(f"{path} cannot be read at {path[at:]!r}")
        key: str | int = int(step[2]) if step[2] is not None else step[1] or step[3]
        try:
            value = value[key]
        except (KeyError, IndexError, TypeError):
            return MISSING
        at = step.end()
    return value


def _transformed(transformer: Mapping[str, Any], event: Event, rule_arn: str, now: float) -> str:
    """The template with its `<names>`: a value as JSON where it stands free, as bare text inside a JSON string."""
    values = {name: look_up(event, path) for name, path in transformer.get("InputPathsMap", {}).items()}
    values |= {
        "aws.events.rule-arn": rule_arn,
        "aws.events.rule-name": rule_arn.rpartition("/")[2],
        "aws.events.event": {key: inside for key, inside in event.items() if key != "detail"},
        "aws.events.event.json": event,
        "aws.events.event.ingestion-time": wire_time(now),
    }
    template, done, out = transformer["InputTemplate"], 0, []
    for found in _PLACEHOLDER.finditer(template):
        if found[1] in values:
            out.append(template[done : found.start()])
            out.append(_written(values[found[1]], inside_string=_in_string(template, found.start())))
            done = found.end()
    return "".join(out) + template[done:]


def _in_string(template: str, at: int) -> bool:
    """Whether a place of a JSON text lies between quotes."""
    return len(re.findall(r'(?<!\\)"', template[:at])) % 2 == 1


def _written(value: Any, *, inside_string: bool) -> str:
    if not inside_string:
        return _json(None if value is MISSING else value)
    text = "" if value is MISSING else value if isinstance(value, str) else _json(value)
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _json(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
