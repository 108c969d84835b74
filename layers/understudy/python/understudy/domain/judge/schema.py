"""JSON Schema (2020-12) of a verdict as `Verdict.to_json` writes it: what readers of `verdicts/` may rely on.

Evidence is empty where there was no second arm to compare with.
"""

from __future__ import annotations

from typing import Any

from understudy.domain.judge.policy import ALPHA_PARTS

_NUMBER: dict[str, Any] = {"type": "number"}
_MAYBE: dict[str, Any] = {"type": ["number", "null"]}
_COUNT: dict[str, Any] = {"type": "integer", "minimum": 0}


def _object(properties: dict[str, Any]) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


_TOTALS = _object(dict.fromkeys(("requests", "errors", "degraded", "impressions", "clicks", "buckets"), _COUNT))
_WINDOW = _object({"share_bp": _COUNT, "candidate": _TOTALS, "champion": _TOTALS})
_RATE = _object({"events": _COUNT, "exposure": _COUNT, "buckets": _COUNT, "rate": _NUMBER})
_INTERVAL = _object({"estimate": _NUMBER, "low": _NUMBER, "high": _NUMBER, "information": _NUMBER})
_TEST = {"shown": {"type": "boolean"}, "e_value": _NUMBER, "alpha": _NUMBER, "since_window": _COUNT}
_RATES = _TEST | {
    "design_effects": {"type": "array", "items": {"type": "number", "minimum": 1}},
    "windows": {"type": "array", "items": _object({"candidate": _RATE, "champion": _RATE})},
}
_BY_RATIO = _RATES | {"ratio": _MAYBE, "tolerated_ratio": _NUMBER}
_ARMS = _object({"candidate": _MAYBE, "champion": _MAYBE})
_COVERAGE = {
    "type": "object",
    "properties": {
        **{"shown": {"type": "boolean"}, "alpha": _NUMBER, "ratio": _MAYBE},
        **{"high": _NUMBER, "tolerated_ratio": _NUMBER, "requests": _COUNT, "distinct_items": _ARMS},
    },
    "required": ["shown", "alpha", "ratio"],
    "additionalProperties": False,
}
METRICS: dict[str, Any] = {
    "errors": _object(_BY_RATIO | {"excess": _NUMBER, "tolerated_excess": _NUMBER}),
    "latency": _object(_BY_RATIO | {"p95_ms": _ARMS}),
    "clicks": _object(
        _RATES
        | {"ratio": _MAYBE, "delta": _NUMBER, "level": _NUMBER}
        | {"relative_difference": {"anyOf": [_INTERVAL, {"type": "null"}]}}
    ),
    "sample_ratio": _object(_TEST | {"deviation": _NUMBER, "tolerated_deviation": _NUMBER}),
    "coverage": _COVERAGE,
}
_EVIDENCE = _object(
    {
        "share_bp": _COUNT,
        "is_last_gate": {"type": "boolean"},
        "elapsed_s": _NUMBER,
        "extended": {"type": "boolean"},
        "no_blame": {"type": "boolean"},
        "policy": {"type": "object", "additionalProperties": _NUMBER},
        "missing": {"type": "array", "items": {"type": "string"}},
        "windows": {"type": "array", "items": _WINDOW, "minItems": 1},
        "metrics": _object({name: METRICS[name] for name in ALPHA_PARTS}),
    }
)
VERDICT_SCHEMA: dict[str, Any] = {
    "$schema": "https://json-schema.org/draft/2020-12/schema",
    "title": "Verdict",
    **_object(
        {
            "verdict": {"enum": ["pass", "fail", "inconclusive"]},
            "reasons": {"type": "array", "items": {"type": "string"}, "minItems": 1},
            "evidence": {"anyOf": [_EVIDENCE, {"type": "object", "maxProperties": 0}]},
        }
    ),
}
