"""The forest plot of an A/B read-out: one line a group, its interval, and 0."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cli.site import Problem
from understudy.domain.ab_readout import Comparison

if TYPE_CHECKING:  # --help must not wait for it
    from matplotlib.axes import Axes

BETTER, WORSE, OPEN, NOTHING = "#2b8a3e", "#c92a2a", "#495057", "#adb5bd"
GROUP_NAMES = {"new": "sign-up"}
FORMATS = (".png", ".svg", ".html")


def forest(sections: Sequence[tuple[str, Sequence[Comparison]]], title: str, file: Path) -> None:
    """Write the plot; the suffix of `file` says how.

    Raises
    ------
    Problem
        The suffix is none of .png, .svg, .html.
    """
    if file.suffix not in FORMATS:
        raise Problem(f"a plot cannot be written to {file.name}; expected a name that ends in {', '.join(FORMATS)}")
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    lines = [(label(group, line), line) for group, found in sections for line in found]
    figure = Figure(figsize=(8, 1.4 + 0.32 * len(lines)), layout="constrained")
    axes = figure.add_subplot()
    for place, (_, line) in enumerate(lines):
        _draw(axes, place, line)
    axes.set_yticks(range(len(lines)), [label for label, _ in lines])
    axes.invert_yaxis()
    axes.axvline(0, color="#212529", linewidth=0.8)
    axes.set_xlabel("relative difference of clicks per impression, %: green is better, red worse, grey undecided")
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(axis="y", length=0)
    axes.set_title(title, loc="left", fontsize=10)
    with rc_context({"svg.hashsalt": "understudy"}):
        _write(figure, title, file)


def label(group: str, line: Comparison) -> str:
    """What a line is of: everybody, or one value of a group."""
    return f"{GROUP_NAMES.get(group, group)}: {line.value}" if group else "everybody"


def _draw(axes: Axes, place: int, line: Comparison) -> None:
    if line.interval is None:
        axes.text(0, place, " too few clicks", va="center", color=NOTHING, fontsize=8)
        return
    low, high, middle = (100 * each for each in (line.interval.low, line.interval.high, line.interval.estimate))
    color = BETTER if low > 0 else WORSE if high < 0 else OPEN
    axes.plot([low, high], [place, place], color=color, linewidth=2, solid_capstyle="butt")
    axes.plot([middle], [place], "s", color=color, markersize=5)


def _write(figure: Any, title: str, file: Path) -> None:
    if file.suffix != ".html":
        figure.savefig(file, dpi=150, metadata={"Date": None} if file.suffix == ".svg" else None)
        return
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None})
    image = base64.b64encode(buffer.getvalue()).decode()
    name = html.escape(title)
    file.write_text(
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{name}</title>'
        f'<img alt="{name}" src="data:image/svg+xml;base64,{image}"></html>\n'
    )
