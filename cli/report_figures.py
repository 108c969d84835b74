"""Drawings of the report: matplotlib as everywhere in the house, inline, in colours that the page's light and dark styles set."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import cycle
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.dates import AutoDateLocator, ConciseDateFormatter, date2num
from matplotlib.figure import Figure

from evaluation.plots import STYLE, inline_svg

# What matplotlib draws in, and the page's variable that takes its place.
SERIES = ("#1f6f8b", "#d98324", "#6a4c93", "#2b7a4b", "#a1527d", "#5b6672")
GOOD, BAD, OPEN = "#2b7a4c", "#b3372f", "#8a6d1f"
INK, GRID, PAPER = "#1d2733", "#e4e7eb", "#fefefe"
VARIABLES = {
    **{colour: f"var(--s{place})" for place, colour in enumerate(SERIES)},
    **{GOOD: "var(--good)", BAD: "var(--bad)", OPEN: "var(--open)"},
    **{INK: "var(--ink)", GRID: "var(--grid)", PAPER: "var(--paper)"},
}
MARKS, DASHES = "osD^vP", ("-", (0, (5, 2)), (0, (1.5, 1.5)), (0, (6, 2, 1.5, 2)))
WIDTH = 8.6
HOUSE: Any = {
    **STYLE,
    **{f"{what}.color": INK for what in ("text", "xtick", "ytick")},
    **{"axes.labelcolor": INK, "axes.edgecolor": INK, "grid.color": GRID, "date.converter": "concise"},
}


@dataclass(frozen=True, slots=True)
class Table:
    """Rows of text under their titles; `numbers` are the columns set to the right."""

    titles: Sequence[str]
    rows: Sequence[Sequence[str]]
    numbers: frozenset[int] = frozenset()


@dataclass(frozen=True, slots=True)
class Drawn:
    """A plot, in words for who cannot see it, and the figures behind it."""

    title: str
    description: str
    svg: str
    table: Table


@dataclass(slots=True)
class Section:
    """A part of the page; one without content says why."""

    key: str
    title: str
    lead: str = ""
    plots: list[Drawn] = field(default_factory=list)
    tables: list[tuple[str, Table]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    empty: str = ""


def several(count: int, what: str) -> str:
    """A number of things.

    Examples
    --------
    >>> several(1, "night"), several(0, "night")
    ('1 night', '0 nights')
    """
    return f"{count} {what}{'' if count == 1 else 's'}"


class Palette:
    """The same colour, mark and dash for the same name in every plot."""

    def __init__(self, names: Iterable[str]) -> None:
        looks = zip(cycle(SERIES), cycle(MARKS), cycle(DASHES), strict=False)
        self._looks = dict(zip(dict.fromkeys(names), looks, strict=False))

    def colour(self, name: str) -> str:
        return self._looks[name][0]

    def line(self, name: str) -> dict[str, Any]:
        colour, mark, dash = self._looks[name]
        return {"color": colour, "marker": mark, "ls": dash, "ms": 4, "lw": 1.7, "label": name}


def panels(heights: Sequence[float], *, width: float = WIDTH, timed: bool = True) -> tuple[Figure, list[Axes]]:
    """Plots below each other; `timed` ones share a time axis, of which the last shows the labels."""
    with matplotlib.rc_context(HOUSE):
        figure = Figure(figsize=(width, sum(heights)), layout="constrained")
        made = figure.subplots(len(heights), 1, sharex=timed, squeeze=False, height_ratios=heights)
        return figure, list(made[:, 0])


def time_axis(axes: Axes, since: datetime, until: datetime) -> None:
    locator = AutoDateLocator(minticks=3, maxticks=8)
    axes.xaxis.set_major_locator(locator)
    formatter = ConciseDateFormatter(locator)
    formatter.offset_formats = [f"{each} UTC" if each else "UTC" for each in formatter.offset_formats]
    axes.xaxis.set_major_formatter(formatter)
    axes.set_xlim(date2num(since), date2num(until))


def legend_above(axes: Axes, columns: int = 3) -> None:
    axes.legend(
        frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, borderaxespad=0.2, labelcolor=INK
    )


def drawn(figure: Figure, title: str, description: str, table: Table) -> Drawn:
    """Inline SVG with title and description; its colours are the page's, its groups have no ids that could clash."""
    with matplotlib.rc_context(HOUSE):
        svg = inline_svg(figure, html.escape(title))
    svg = re.sub(r'<g id="[^"]*"', "<g", svg)
    svg = re.sub("|".join(VARIABLES), lambda found: VARIABLES[found[0]], svg)
    words = f"<title>{html.escape(title)}</title><desc>{html.escape(description)}</desc>"
    opening, _, rest = svg.partition(">")
    return Drawn(title, description, f"{opening}>{words}{rest}", table)
