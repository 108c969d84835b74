"""Dashboards: a name and a JSON body, checked as CloudWatch checks it, and kept. Nothing here draws them.

Source: CloudWatch API reference, "Dashboard body structure and syntax".
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from local_account.account import ACCOUNT_ID
from local_account.clock import Clock
from local_account.records import Records
from local_account.wire import AwsError

_NAME = re.compile(r"[0-9A-Za-z_-]{1,255}")
_TYPES = ("metric", "text", "log", "alarm", "explorer", "custom")
_PLACES = {"x": (0, 23), "y": (0, 10_000), "width": (1, 24), "height": (1, 1000)}
_MOST_WIDGETS = 500
_MOST_METRICS = 500


class Dashboards:
    def __init__(self, records: Records, clock: Clock) -> None:
        self._records, self._clock = records, clock

    def put(self, given: Mapping[str, Any]) -> dict[str, Any]:
        name, body = str(given.get("DashboardName")), given.get("DashboardBody") or ""
        found = (
            [] if _NAME.fullmatch(name) else [_message("DashboardName", f"{name!r} must match [0-9A-Za-z_-]{{1,255}}")]
        )
        found += check_body(body)
        if found:
            texts = "; ".join(f"{one['DataPath']}: {one['Message']}" for one in found)
            text = f"The field DashboardBody must be a valid JSON object. {texts}"
            raise AwsError("InvalidParameterInput", text, 400, dashboardValidationMessages=found)
        at = self._clock.epoch()
        self._records.put("dashboard", name, {"body": body, "at": at})
        return {"DashboardValidationMessages": []}

    def get(self, given: Mapping[str, Any]) -> dict[str, Any]:
        name = given.get("DashboardName") or ""
        dashboard = self._records.get("dashboard", name)
        if dashboard is None:
            raise AwsError("ResourceNotFound", f"Dashboard {name} does not exist", 404)
        return {"DashboardName": name, "DashboardArn": _arn(name), "DashboardBody": dashboard["body"]}

    def delete(self, given: Mapping[str, Any]) -> dict[str, Any]:
        names = given.get("DashboardNames") or []
        missing = [name for name in names if self._records.get("dashboard", name) is None]
        if missing:
            raise AwsError("ResourceNotFound", f"Dashboard {missing[0]} does not exist", 404)
        for name in names:
            self._records.delete("dashboard", name)
        return {}

    def list(self, given: Mapping[str, Any]) -> dict[str, Any]:
        prefix = given.get("DashboardNamePrefix") or ""
        entries = [
            {
                "DashboardName": name,
                "DashboardArn": _arn(name),
                "LastModified": datetime.fromtimestamp(dashboard["at"], UTC),
                "Size": len(dashboard["body"].encode()),
            }
            for name, dashboard in self._records.all("dashboard")
            if name.startswith(prefix)
        ]
        return {"DashboardEntries": entries}


def check_body(text: str) -> list[dict[str, str]]:
    """What is wrong with a dashboard's body: `{DataPath, Message}` each."""
    try:
        body = json.loads(text)
    except ValueError as problem:
        return [_message("/", f"is no JSON: {problem}")]
    widgets = body.get("widgets") if isinstance(body, dict) else None
    if not isinstance(widgets, list) or len(widgets) > _MOST_WIDGETS:
        return [_message("/widgets", f"must be an array of at most {_MOST_WIDGETS} widgets")]
    return [problem for place, widget in enumerate(widgets) for problem in _check_widget(f"/widgets/{place}", widget)]


def _check_widget(path: str, widget: Any) -> list[dict[str, str]]:
    if not isinstance(widget, dict) or widget.get("type") not in _TYPES:
        return [_message(f"{path}/type", f"must be one of {', '.join(_TYPES)}")]
    found = [
        _message(f"{path}/{name}", f"must be a whole number from {low} to {high}")
        for name, (low, high) in _PLACES.items()
        if name in widget and (type(widget[name]) is not int or not low <= widget[name] <= high)
    ]
    properties = widget.get("properties")
    if not isinstance(properties, dict):
        return [*found, _message(f"{path}/properties", "must be an object")]
    if widget["type"] == "text" and not isinstance(properties.get("markdown"), str):
        found.append(_message(f"{path}/properties/markdown", "must be a string"))
    if widget["type"] == "log" and not isinstance(properties.get("query"), str):
        found.append(_message(f"{path}/properties/query", "must be a string"))
    if widget["type"] == "alarm" and not isinstance(properties.get("alarms"), list):
        found.append(_message(f"{path}/properties/alarms", "must be an array of alarm ARNs"))
    if widget["type"] == "metric":
        found += _check_metrics(f"{path}/properties", properties)
    return found


def _check_metrics(path: str, properties: Mapping[str, Any]) -> list[dict[str, str]]:
    metrics = properties.get("metrics")
    if metrics is None and isinstance(properties.get("annotations"), dict):
        return []  # the graph of an alarm
    if not isinstance(properties.get("region"), str):
        return [_message(f"{path}/region", "must be a string")]
    if not isinstance(metrics, list) or not 1 <= len(metrics) <= _MOST_METRICS:
        return [_message(f"{path}/metrics", f"must be an array of 1 to {_MOST_METRICS} metrics")]
    found = []
    for place, metric in enumerate(metrics):
        names = [one for one in metric if isinstance(one, str)] if isinstance(metric, list) else []
        options = metric[-1] if isinstance(metric, list) and metric and isinstance(metric[-1], dict) else {}
        if "expression" not in options and (len(names) < 2 or len(names) % 2):
            text = "must be [Namespace, MetricName, DimensionName, DimensionValue, …, {options}]"
            found.append(_message(f"{path}/metrics/{place}", text))
    return found


def _message(path: str, text: str) -> dict[str, str]:
    return {"DataPath": path, "Message": text}


def _arn(name: str) -> str:
    return f"arn:aws:cloudwatch::{ACCOUNT_ID}:dashboard/{name}"
