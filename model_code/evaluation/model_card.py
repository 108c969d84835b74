"""The model card: one HTML page that says what a release is, how good it is and for whom, and what it is not for.

Sections follow Mitchell et al. (2019), "Model cards for model reporting", FAT*. Self-contained: no script, no external URL.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jinja2
import numpy as np

from evaluation import plots
from evaluation.comparison import Evaluated
from evaluation.holdout import Queries, Rows, read_popularity
from evaluation.metrics import recall_at_k
from evaluation.retrieval import Retrieved, most_popular

TEMPLATES = Path(__file__).parent
FIGURE_NAMES = (
    ("recall", "recall_at_10", "Recall@10"),
    ("recall", "recall_at_50", "Recall@50"),
    ("recall", "recall_at_100", "Recall@100"),
    ("recall", "ndcg_at_10", "NDCG@10 over all items"),
    ("recall", "coverage", "Catalogue coverage, first 10"),
    ("ranking", "auc", "AUC"),
    ("ranking", "log_loss", "Log loss"),
    ("ranking", "ndcg_at_10", "NDCG@10 within a list"),
    ("ranking", "calibration_error", "Calibration error"),
)


def render_card(
    document: Mapping[str, Any],
    window: Mapping[str, Any],
    candidate: Evaluated,
    champion: Evaluated | None,
    rows: Rows,
    prepared: Path,
) -> str:
    """The page.

    Parameters
    ----------
    document : mapping
        evaluation.json's content.
    window : mapping
        The prepared folder's manifest.
    """
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES), autoescape=True, undefined=jinja2.StrictUndefined
    )
    environment.filters["figure"] = _figure
    manifest = candidate.release.ranker_manifest
    return environment.get_template("model_card.html.j2").render(
        document=document,
        window=window,
        ranker=manifest,
        tower_id=candidate.release.tower_id,
        items=len(candidate.release.item_ids),
        users=candidate.queries.count,
        impressions=len(rows.labels),
        base_rate=float(rows.labels.mean()),
        lines=[_line(document, *names) for names in FIGURE_NAMES],
        plots=_plots(document, candidate, champion, rows, prepared),
    )


def _line(document: Mapping[str, Any], stage: str, name: str, title: str) -> dict[str, Any]:
    champion = document["champion"]
    return {
        "title": title,
        "candidate": document["candidate"][stage][name],
        "champion": None if champion is None else champion[stage][name],
        "interval": document["intervals"].get(f"{stage}.{name}"),
    }


def _plots(
    document: Mapping[str, Any], candidate: Evaluated, champion: Evaluated | None, rows: Rows, prepared: Path
) -> dict[str, str]:
    both = {"candidate": candidate} | ({} if champion is None else {"champion": champion})
    popular = most_popular(read_popularity(prepared, candidate.release.item_ids), candidate.queries)
    curves = {name: _curve(release.retrieved, release.queries) for name, release in both.items()}
    return {
        "recall": plots.recall_curve({**curves, "most popular": _curve(popular, candidate.queries)}),
        "calibration": plots.calibration(rows.labels, {name: release.ranked.logged for name, release in both.items()}),
        "segments_recall": plots.segment_bars(document["segments"], "recall_at_100"),
        "segments_auc": plots.segment_bars(document["segments"], "auc"),
        "attributions": plots.attribution_bars(candidate.release.ranker_manifest["attributions"]),
    }


def _curve(retrieved: Retrieved, queries: Queries) -> np.ndarray:
    hits, relevant, _ = retrieved.hits(queries)
    return np.array([recall_at_k(hits, relevant, k).mean() for k in range(1, hits.shape[1] + 1)])


def _figure(value: float | None, signed: bool = False) -> str:
    """Four digits, or a dash where there is no such figure."""
    if value is None or not math.isfinite(value):
        return "–"
    return f"{value:+.4f}" if signed else f"{value:.4f}"
