"""One monitor over one window's rows, and the baseline of all five from a release's own lists. Tables in, documents out: no files.

Jobs and the drift benchmark both come through here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from monitors.baseline_files import Baseline, Facts
from monitors.bias import Rows, bias_constraints, bias_statistics, judge_bias, measure_bias
from monitors.constraints import suggest_constraints
from monitors.data_quality import DataBaseline, judge_data_quality
from monitors.explainability import (
    Explainer,
    explain,
    explainability_constraints,
    explainability_statistics,
    judge_explainability,
)
from monitors.facets import facets_of
from monitors.findings import Findings
from monitors.formats import Kind
from monitors.model_quality import judge_model_quality, model_quality_baseline, quality_figures
from monitors.profile import profile_of
from monitors.ranking_quality import Catalogue, judge_ranking_quality, ranking_baseline, ranking_figures
from monitors.shown import Shown, numbered
from monitors.statistics import statistics_of
from ranker.scorer import POSITION, Scorer

CALLED_SHARE = 0.2  # of the replayed rows that count as predicted positive: the top fifth


@dataclass(frozen=True, slots=True)
class View:
    """A window as a monitor sees it."""

    shown: Shown
    complete: bool = False  # no more labels are to come
    users: Mapping[str, np.ndarray] | None = None  # columns (N,) better known than what was captured, for facets


def judge_window(kind: Kind, view: View, baseline: Baseline) -> Findings:
    """Statistics, violations and metrics of one kind.

    Parameters
    ----------
    view : View
        Of at least one row.
    """
    return _JUDGES[kind](view, baseline)


def _data_quality(view: View, baseline: Baseline) -> Findings:
    return judge_data_quality(view.shown, DataBaseline(baseline.documents[Kind.DATA_QUALITY][1], baseline.profile))


def _model_quality(view: View, baseline: Baseline) -> Findings:
    statistics, constraints = baseline.documents[Kind.MODEL_QUALITY]
    rows = view.shown.labelled()
    if not len(rows):
        return Findings(Kind.MODEL_QUALITY, {"dataset": {"item_count": 0}}, notes=["no row has a label yet"])
    return judge_model_quality(
        rows.label,
        baseline.probabilities(rows),
        baseline.first_place(rows),
        rows.user,
        threshold=baseline.facts.threshold_shown,
        statistics=statistics,
        constraints=constraints,
        complete=view.complete,
    )


def _bias(view: View, baseline: Baseline) -> Findings:
    called = baseline.first_place(view.shown) >= baseline.facts.threshold_first
    rows = Rows(facets_of(view.shown, view.users), called, view.shown.label, view.shown.user)
    return judge_bias(rows, baseline.documents[Kind.BIAS][1], complete=view.complete)


def _explainability(view: View, baseline: Baseline) -> Findings:
    return judge_explainability(view.shown, baseline.explainer, baseline.documents[Kind.EXPLAINABILITY][1])


def _ranking_quality(view: View, baseline: Baseline) -> Findings:
    statistics, constraints = baseline.documents[Kind.RANKING_QUALITY]
    return judge_ranking_quality(
        view.shown,
        baseline.probabilities(view.shown),
        baseline.catalogue,
        statistics=statistics,
        constraints=constraints,
        complete=view.complete,
    )


_JUDGES: Mapping[Kind, Callable[[View, Baseline], Findings]] = {
    Kind.DATA_QUALITY: _data_quality,
    Kind.MODEL_QUALITY: _model_quality,
    Kind.BIAS: _bias,
    Kind.EXPLAINABILITY: _explainability,
    Kind.RANKING_QUALITY: _ranking_quality,
}


def build_baseline(
    replayed: Shown,
    holdout: Shown,
    popularity: Mapping[str, float],
    scorer: Scorer,
    explainer: Explainer,
    *,
    release_id: str,
    seed: int = 0,
) -> Baseline:
    """All five kinds.

    Parameters
    ----------
    replayed : Shown
        The release's own lists for past requests. Their labels are not known: where a figure needs some, they are drawn
        from the ranker's probabilities, so it is what the release expects of itself.
    holdout : Shown
        Impressions that it was not trained on, with labels and places: what its probabilities are worth.
    popularity : mapping
        Clicks of every item of the catalogue.
    """
    as_shown = scorer.score({**replayed.raw, POSITION: replayed.position}, position_as_given=True)
    first = scorer.score(replayed.raw)
    held_out = scorer.score({**holdout.raw, POSITION: holdout.position}, position_as_given=True)
    facts = Facts(
        release_id,
        scorer.ranker_id,
        replayed.columns,
        threshold_first=float(np.quantile(first, 1 - CALLED_SHARE)),
        threshold_shown=float(np.quantile(held_out, 1 - holdout.label.mean())),
    )
    drawn = (np.random.default_rng(seed).random(len(replayed)) < as_shown).astype(np.float64)
    catalogue = catalogue_of(replayed, popularity)
    statistics = statistics_of(replayed)
    measured = measure_bias(Rows(facets_of(replayed), first >= facts.threshold_first, drawn, replayed.user))
    quality = quality_figures(holdout.label, held_out, scorer.score(holdout.raw), holdout.user, facts.threshold_shown)
    ranking = ranking_figures(replace(replayed, label=drawn), as_shown, catalogue)
    documents: dict[Kind, tuple[dict[str, Any], dict[str, Any]]] = {
        Kind.DATA_QUALITY: (statistics, suggest_constraints(statistics)),
        Kind.MODEL_QUALITY: model_quality_baseline(quality, len(holdout)),
        Kind.BIAS: (bias_statistics(measured), bias_constraints(measured)),
        Kind.EXPLAINABILITY: _explained(replayed, explainer),
        Kind.RANKING_QUALITY: ranking_baseline(ranking, len(replayed)),
    }
    return Baseline(facts, documents, profile_of(replayed), catalogue, scorer, explainer)


def catalogue_of(replayed: Shown, popularity: Mapping[str, float]) -> Catalogue:
    """Self-information of every item (clicks + 1 over all), and how many of the users would see it."""
    total = sum(popularity.values()) + len(popularity)
    information = {item: float(np.log2(total / (clicks + 1))) for item, clicks in popularity.items()}
    pairs = np.unique(np.stack([numbered(replayed.item), replayed.user]), axis=1)
    return Catalogue(len(popularity), information, float(np.log2(max(total, 1))), np.bincount(pairs[0]), replayed.users)


def _explained(replayed: Shown, explainer: Explainer) -> tuple[dict[str, Any], dict[str, Any]]:
    shap, expected, _ = explain(replayed, explainer)
    statistics = explainability_statistics(explainer.columns, shap.mean(0), expected)
    return statistics, explainability_constraints(statistics)
