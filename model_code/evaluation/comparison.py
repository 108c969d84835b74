"""Candidate and champion on the same held-out rows: figures, segments, and paired intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from evaluation import bootstrap, metrics
from evaluation.holdout import Queries, Rows, read_queries
from evaluation.ranking import Ranked, rank
from evaluation.release import Release
from evaluation.retrieval import Retrieved, retrieve
from evaluation.segments import measure_segment, segments_of, sizes

RECALL_FIGURES = ("recall_at_10", "recall_at_50", "recall_at_100", "ndcg_at_10")
COVERAGE_PLACES = 10


@dataclass(frozen=True, slots=True)
class Evaluated:
    """One release on the holdout."""

    release: Release
    queries: Queries
    retrieved: Retrieved
    ranked: Ranked
    per_user: Mapping[str, np.ndarray]
    figures: dict[str, dict[str, float]]  # as in evaluation.json


def evaluate_release(release: Release, prepared: Path, rows: Rows, *, users_limit: int, seed: int) -> Evaluated:
    """Both stages of one release. Coverage is of the first ten places, over the release's own catalogue."""
    queries = read_queries(prepared, release.item_ids, limit=users_limit, seed=seed)
    retrieved = retrieve(release.user_vectors(queries.users), release.vectors, queries)
    ranked = rank(release, rows)
    per_user = retrieved.per_user(queries)
    recall = recall_figures(per_user)
    recall["coverage"] = metrics.coverage(retrieved.top_UK[:, :COVERAGE_PLACES], len(release.item_ids))
    return Evaluated(release, queries, retrieved, ranked, per_user, {"recall": recall, "ranking": ranked.figures(rows)})


def recall_figures(per_user: Mapping[str, np.ndarray]) -> dict[str, float]:
    return {name: float(per_user[name].mean()) for name in RECALL_FIGURES}


def intervals_of(
    candidate: Evaluated, champion: Evaluated | None, rows: Rows, *, seed: int
) -> dict[str, dict[str, Any]]:
    """95 % intervals by figure: of the candidate, or of candidate − champion under the same draws of users."""
    return {
        **recall_intervals(candidate.per_user, None if champion is None else champion.per_user, seed=seed),
        **ranking_intervals(candidate.ranked, None if champion is None else champion.ranked, rows, seed=seed),
    }


def recall_intervals(
    per_user: Mapping[str, np.ndarray], other: Mapping[str, np.ndarray] | None, *, seed: int
) -> dict[str, dict[str, Any]]:
    """Stage one's: of its figures per user, or of what they are above another's for the same users."""
    users = np.arange(len(per_user["user"]))
    return {
        f"recall.{name}": _document(
            bootstrap.mean_statistic(per_user[name] - (0 if other is None else other[name])), users, seed
        )
        for name in RECALL_FIGURES
    }


def ranking_intervals(ranked: Ranked, other: Ranked | None, rows: Rows, *, seed: int) -> dict[str, dict[str, Any]]:
    """Stage two's: of its figures, or of what they are above another's on the same rows."""
    found: dict[str, dict[str, Any]] = {}
    for name, statistic_of in _ROW_STATISTICS.items():
        own = statistic_of(rows.labels, ranked.logged)
        its = None if other is None else statistic_of(rows.labels, other.logged)
        found[f"ranking.{name}"] = _document(own if its is None else _difference(own, its), rows.user, seed)
    if len(ranked.ndcg_L):
        lists = ranked.ndcg_L - (0 if other is None else other.ndcg_L)
        found["ranking.ndcg_at_10"] = _document(bootstrap.mean_statistic(lists), ranked.user_L, seed)
    return found


def segments_table(
    candidate: Evaluated, champion: Evaluated | None, rows: Rows, prepared: Path
) -> list[dict[str, Any]]:
    """One row a segment and value; the champion's figures are prefixed `champion_`."""
    table = []
    for segment in segments_of(prepared, rows, candidate.queries, candidate.release.item_ids):
        line: dict[str, Any] = {"segment": segment.segment, "value": segment.value}
        line |= sizes(segment, rows, candidate.queries)
        line |= measure_segment(segment, rows, candidate.queries, candidate.retrieved, candidate.ranked)
        if champion is not None:
            other = measure_segment(segment, rows, candidate.queries, champion.retrieved, champion.ranked)
            line |= {f"champion_{name}": value for name, value in other.items()}
        table.append(line)
    return table


_ROW_STATISTICS: Mapping[str, Callable[[np.ndarray, np.ndarray], metrics.Statistic]] = {
    "auc": metrics.auc_statistic,
    "log_loss": metrics.log_loss_statistic,
    "calibration_error": metrics.calibration_error_statistic,
}


def _difference(own: metrics.Statistic, other: metrics.Statistic) -> metrics.Statistic:
    return lambda weights: own(weights) - other(weights)


def _document(statistic: metrics.Statistic, users: np.ndarray, seed: int) -> dict[str, Any]:
    return bootstrap.interval(statistic, users, seed=seed).to_document()
