"""The monitor's report: one HTML page with what was found, worst first, and distributions before and now. Nothing to fetch."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from evaluation.plots import BASELINE, CANDIDATE, CHAMPION, inline_svg, new_figure
from monitors.findings import Comparison, Findings
from monitors.window import Window

TEMPLATE = "report.html.j2"
PLOTS = 12  # the worst; a table holds the rest
WIDE = 14  # labels beyond which bars lie on their side


def render_report(
    findings: Findings, window: Window, *, endpoint: str, schedule: str, release_id: str, notes: Sequence[str]
) -> str:
    """The page."""
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=jinja2.StrictUndefined
    )
    ordered = sorted(findings.comparisons, key=lambda one: -one.badness)
    plots = [
        {"title": one.title, "text": one.text, "svg": bars(one), "bad": one.badness >= 1} for one in ordered[:PLOTS]
    ]
    return environment.get_template(TEMPLATE).render(
        kind=findings.kind.value,
        window=window,
        endpoint=endpoint,
        schedule=schedule,
        release_id=release_id,
        violations=[_line(violation) for violation in findings.violations],
        plots=plots,
        rest=ordered[PLOTS:],
        figures=_figures(findings.statistics),
        notes=[*findings.notes, *notes],
    )


def bars(comparison: Comparison) -> str:
    """Before beside now, as inline SVG."""
    places, labels = np.arange(len(comparison.labels)), list(comparison.labels)
    colour = CHAMPION if comparison.badness >= 1 else CANDIDATE
    sideways = len(labels) > WIDE
    figure, axes = new_figure(4.6, 0.3 * len(labels) + 0.8 if sideways else 2.6)
    draw = axes.barh if sideways else axes.bar
    draw(places - 0.2, comparison.before, 0.4, color=BASELINE, label="baseline")
    draw(places + 0.2, comparison.now, 0.4, color=colour, label="now")
    if comparison.errors is not None:
        errors = np.nan_to_num(np.asarray(comparison.errors, np.float64))
        axes.errorbar(places + 0.2, comparison.now, yerr=errors, fmt="none", ecolor="#333", capsize=2, lw=1)
    if sideways:
        axes.set_yticks(places, labels)
        axes.invert_yaxis()
    else:
        long = max(map(len, labels), default=0) * len(labels) > 60
        axes.set_xticks(places, labels, rotation=45 if long else 0, ha="right" if long else "center", fontsize=7)
    axes.legend(frameon=False)
    return inline_svg(
        figure, f"{comparison.title}: baseline and now".replace('"', "'").replace("<", "").replace("&", "+")
    )


def _line(violation: dict[str, str]) -> dict[str, str]:
    """Whatever the kind calls its parts: what, which check, and the sentence."""
    names = ("feature_name", "facet", "facet_value", "label", "metric_name")
    what = " · ".join(violation[name] for name in names if name in violation)
    return {"what": what, "check": violation["constraint_check_type"], "text": violation["description"]}


def _figures(statistics: dict[str, Any]) -> list[tuple[str, Any, Any]]:
    """Metric, value, deviation of the sections that have them."""
    found = []
    for section, values in statistics.items():
        if section.endswith("_metrics") and isinstance(values, dict):
            for name, entry in values.items():
                if isinstance(entry, dict) and "value" in entry:
                    found.append((name, entry["value"], entry.get("standard_deviation", "")))
    return found
