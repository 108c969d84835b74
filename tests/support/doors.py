"""Doors as modules: `functions/<verb_noun>/app.py`, each under a name of its own, without their folders on the path."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

ROOT = Path(__file__).parents[2]
CONTEXT = SimpleNamespace(
    function_name="door",
    memory_limit_in_mb=512,
    invoked_function_arn="arn:aws:lambda:us-east-1:123456789012:function:door",
    aws_request_id="request",
)


def load_door(verb_noun: str) -> ModuleType:
    """A fresh module, its `world` not built yet."""
    spec = importlib.util.spec_from_file_location(f"door_{verb_noun}", ROOT / "functions" / verb_noun / "app.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up by name
    spec.loader.exec_module(module)
    return module


def golden(path: str) -> Any:
    """`golden("plan_night/schedule")` is events/plan_night/schedule.json."""
    return json.loads((ROOT / "events" / f"{path}.json").read_text())
