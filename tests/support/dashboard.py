"""What a deployed dashboard asks CloudWatch for, and whether there is an answer."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cli.site import Site

OF_NIGHTS = frozenset({"NightCost", "OfflineNdcg", "OfflineRecall", "GatePassed"})
_SEARCH = re.compile(r"SEARCH\('\{([^,}]+),([^}]+)\} MetricName=\"(\w+)\"'")


@dataclass(frozen=True, slots=True)
class Shown:
    """One metric of one widget. A `searched` one is any metric of these dimension names."""

    widget: str
    namespace: str
    name: str
    dimensions: tuple[tuple[str, str], ...]
    searched: bool = False


def widgets(site: Site) -> list[dict[str, Any]]:
    body = site.client("cloudwatch").get_dashboard(DashboardName=site.stack)["DashboardBody"]
    found: list[dict[str, Any]] = json.loads(body)["widgets"]
    return found


def shown(site: Site) -> list[Shown]:
    """Every metric of the dashboard, those inside expressions included."""
    lines = [
        (widget["properties"]["title"], line)
        for widget in widgets(site)
        for line in widget["properties"].get("metrics", [])
    ]
    return [one for title, line in lines for one in _of_line(title, line)]


def undefined_names(site: Site) -> list[str]:
    """Names in expressions that no line of their widget has as its id."""
    missing = []
    for widget in widgets(site):
        options = [line[-1] for line in widget["properties"].get("metrics", []) if isinstance(line[-1], dict)]
        known = {one.get("id") for one in options}
        for one in options:
            words = re.findall(r"\b[a-z]\w*\b", re.sub(r"'[^']*'", "", one.get("expression", "")))
            missing += [word for word in words if word not in known]
    return missing


def is_emitted(site: Site, one: Shown, dimension_value: str = "") -> bool:
    """Datapoints of the last hour; a searched metric is looked up with this value of its dimension."""
    given = [(name, dimension_value) for name, _ in one.dimensions] if one.searched else one.dimensions
    dimensions = [{"Name": name, "Value": value} for name, value in given]
    now = datetime.now(UTC)
    found = site.client("cloudwatch").get_metric_statistics(
        Namespace=one.namespace,
        MetricName=one.name,
        Dimensions=dimensions,
        StartTime=now - timedelta(hours=1),
        EndTime=now + timedelta(minutes=5),
        Period=60,
        Statistics=["SampleCount"],
    )
    return bool(found["Datapoints"])


def _of_line(title: str, line: list[Any]) -> list[Shown]:
    options = line[-1] if isinstance(line[-1], dict) else {}
    if search := _SEARCH.search(options.get("expression", "")):
        quoted, dimension, name = search.groups()
        namespace = quoted.strip('"')
        return [Shown(title, namespace, name, ((dimension, ""),), searched=True)]
    if "expression" in options:
        return []  # arithmetic on lines of the same widget
    namespace, name, *dimensions = [part for part in line if isinstance(part, str)]
    pairs = tuple(zip(dimensions[::2], dimensions[1::2], strict=True))
    return [Shown(title, namespace, name, pairs)]
