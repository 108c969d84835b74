"""The model card's plots, each as inline SVG: nothing to fetch, sharp at any size."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from evaluation.metrics import equal_mass_bins

matplotlib.use("Agg")
CANDIDATE, CHAMPION, BASELINE = "#1f6f8b", "#d98324", "#8a8f98"
STYLE: Any = {
    "font.family": "sans-serif",
    "font.size": 9,
    "svg.fonttype": "none",  # text stays text: small, searchable, read aloud
    "svg.hashsalt": "understudy",  # same figures, same bytes
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e7eb",
    "axes.axisbelow": True,
}


def recall_curve(curves: Mapping[str, np.ndarray]) -> str:
    """Mean recall at every k; `curves` name -> shape (K,)."""
    figure, axes = new_figure(4.6, 3.1)
    colors = {"candidate": CANDIDATE, "champion": CHAMPION}
    for name, curve in curves.items():
        axes.plot(np.arange(1, len(curve) + 1), curve, color=colors.get(name, BASELINE), label=name, lw=1.8)
    axes.set(xlabel="k", ylabel="recall@k", xlim=(1, None), ylim=(0, None))
    axes.legend(frameon=False)
    return inline_svg(figure, "Recall at k of candidate, champion and the most popular items")


def calibration(labels: np.ndarray, probabilities: Mapping[str, np.ndarray], bins: int = 10) -> str:
    """Observed click rate over the mean predicted one, ten bins of equal mass, with ± one standard error."""
    figure, axes = new_figure(4.6, 3.1)
    largest = 0.0
    for (name, predicted), color in zip(probabilities.items(), (CANDIDATE, CHAMPION), strict=False):
        group = equal_mass_bins(predicted, bins)
        rows = np.bincount(group)
        means, rates = (np.bincount(group, weights=values) / rows for values in (predicted, labels))
        errors = np.sqrt(rates * (1 - rates) / rows)
        axes.errorbar(means, rates, yerr=errors, color=color, marker="o", ms=4, lw=1.4, capsize=2, label=name)
        largest = max(largest, float(means.max()), float((rates + errors).max()))
    axes.plot([0, largest], [0, largest], color=BASELINE, lw=1, ls="--", label="perfect")
    axes.set(xlabel="predicted probability", ylabel="observed click rate", xlim=(0, None), ylim=(0, None))
    axes.legend(frameon=False)
    return inline_svg(figure, "Observed click rate over predicted probability")


def segment_bars(segments: Sequence[Mapping[str, Any]], figure_name: str) -> str:
    """One figure by segment, candidate beside champion where there is one."""
    shown = [line for line in segments if line.get(figure_name) is not None]
    figure, axes = new_figure(4.6, max(2.0, 0.24 * len(shown) + 0.8))
    places = np.arange(len(shown))
    both = any(line.get(f"champion_{figure_name}") is not None for line in shown)
    height = 0.38 if both else 0.7
    axes.barh(places, [line[figure_name] for line in shown], height, color=CANDIDATE, label="candidate")
    if both:
        others = [line.get(f"champion_{figure_name}") or 0 for line in shown]
        axes.barh(places + height, others, height, color=CHAMPION, label="champion")
        axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    axes.set_yticks(places + (height / 2 if both else 0), [f"{line['segment']}: {line['value']}" for line in shown])
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    if figure_name == "auc":
        axes.axvline(0.5, color=BASELINE, lw=1, ls="--")
        axes.set_xlim(left=0.4)
    axes.set_xlabel(figure_name.replace("_at_", "@").replace("auc", "AUC"))
    return inline_svg(figure, f"{figure_name} by segment")


def attribution_bars(attributions: Mapping[str, float]) -> str:
    """Mean |SHAP| of each declared column, largest first."""
    ordered = sorted(attributions.items(), key=lambda pair: -pair[1])
    figure, axes = new_figure(4.6, 0.21 * len(ordered) + 0.7)
    axes.barh([name for name, _ in ordered], [value for _, value in ordered], 0.7, color=CANDIDATE)
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("mean |SHAP|, log odds")
    return inline_svg(figure, "Feature attributions of the ranker")


def new_figure(width: float, height: float) -> tuple[Figure, Axes]:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(width, height), layout="constrained")
        return figure, figure.subplots()


def inline_svg(figure: Figure, description: str) -> str:
    """The drawing alone, without XML prologue and metadata, described for who cannot see it."""
    sink = io.StringIO()
    with matplotlib.rc_context(STYLE):
        figure.savefig(sink, format="svg", metadata={"Date": None, "Creator": None}, transparent=True)
    drawing = sink.getvalue()
    drawing = re.sub(r"<metadata>.*?</metadata>", "", drawing[drawing.index("<svg") :], flags=re.DOTALL)
    return drawing.replace("<svg", f'<svg role="img" aria-label="{description}"', 1)
