"""Ranking quality of live lists: what Model Monitor never had.

NDCG and recall are of lists with a click and compared with what the probabilities imply for the same lists; coverage is
compared with the baseline's at the same number of users, because more lists show more items whatever their quality.

Letters: L lists, K = 10 places, U users, I items.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import gammaln

from evaluation.bootstrap import mean_statistic
from evaluation.metrics import ndcg_at_k, recall_at_k
from monitors.findings import Comparison, Findings, Metric
from monitors.formats import RANKING_CONSTRAINTS, RANKING_METRICS, Check, Kind
from monitors.implied import implied_lists
from monitors.noise import deviation
from monitors.shown import Shown, numbered
from monitors.thresholds import Figure, Tolerance, constraints_document, judge, statistics_document

PLACES, RECALL_PLACES = 10, 5
TOLERANCES = {
    "ndcg_shortfall": Tolerance(Check.GREATER_THAN, 0.02),
    "recall_shortfall": Tolerance(Check.GREATER_THAN, 0.05),
    "precision_ratio": Tolerance(Check.LESS_THAN, 0.25, relative=True),
    "coverage_ratio": Tolerance(Check.LESS_THAN, 0.4, relative=True),
    "novelty": Tolerance(Check.LESS_THAN, 0.75),  # bits
}
# Lists without a click yet say nothing of order; lists that miss one of two are few. Shares of all lists wait for all labels.
WHILE_FRESH = frozenset({"ndcg_shortfall", "recall_shortfall", "coverage_ratio", "novelty"})


@dataclass(frozen=True, slots=True)
class Catalogue:
    """What the baseline knows of items: how popular each was, and how many of its users' lists showed it."""

    items: int
    information: Mapping[str, float]  # item -> -log2 of its share of the clicks before
    unknown_information: float  # of an item that nobody had clicked
    shown_to: np.ndarray  # users of the baseline whose lists show an item, of the items shown
    users: int


def ranking_figures(shown: Shown, probabilities: np.ndarray, catalogue: Catalogue) -> dict[str, Figure]:
    """Every figure with its deviation; those of labels are NaN without a list that has a click.

    Parameters
    ----------
    probabilities : array of shape (N,)
        Of a click at the place where each row was shown.
    """
    distinct = np.unique(shown.item.astype(str))
    bits = np.array([catalogue.information.get(item, catalogue.unknown_information) for item in shown.item])
    novelty = mean_statistic(bits)
    expected, sigma = expected_items(catalogue.shown_to, catalogue.users, shown.users)
    found = {
        "coverage": Figure(len(distinct) / max(catalogue.items, 1), sigma / max(catalogue.items, 1)),
        "coverage_ratio": Figure(len(distinct) / max(expected, 1e-9), max(sigma, 1.0) / max(expected, 1e-9)),
        "novelty": Figure(novelty(np.ones(len(shown))), deviation(novelty, shown.user)),
    }
    return found | _label_figures(shown, probabilities)


def _label_figures(shown: Shown, probabilities: np.ndarray) -> dict[str, Figure]:
    names = ("ndcg_at_10", "ndcg_implied", "ndcg_shortfall", "recall_at_5", "recall_implied", "recall_shortfall")
    found = {name: Figure(math.nan) for name in (*names, "precision_at_10", "precision_ratio")}
    known = np.isfinite(shown.label) & (shown.position <= PLACES)
    if not known.any():
        return found
    rows, chances = shown.rows(known), probabilities[known]
    rate = mean_statistic(rows.label)
    found["precision_at_10"] = Figure(rate(np.ones(len(rows))), deviation(rate, rows.user))
    ratio = lambda weights: float(rows.label @ weights / max(chances @ weights, 1e-300))  # noqa: E731
    found["precision_ratio"] = Figure(ratio(np.ones(len(rows))), deviation(ratio, rows.user))
    hits_LK, chance_LK, there_LK, user_L = lists_of(rows, chances)
    clicked = hits_LK.any(1)
    if not clicked.any():
        return found
    owner = numbered(user_L[clicked])
    # Clicks that are still to come thin all alike: a list that has one of two is expected as one with half the chances.
    chance_LK = chance_LK * min(1.0, float(rows.label.sum() / chances.sum()))
    for short, measure in (("ndcg", _ndcg), ("recall", _recall)):
        expected, _ = implied_lists(chance_LK[clicked], there_LK[clicked], measure)
        observed = measure(hits_LK[clicked])
        place = "ndcg_at_10" if short == "ndcg" else "recall_at_5"
        for name, values in (
            (place, observed),
            (f"{short}_implied", expected),
            (f"{short}_shortfall", expected - observed),
        ):
            mean = mean_statistic(values)
            found[name] = Figure(mean(np.ones(len(values))), deviation(mean, owner))
    return found


def lists_of(rows: Shown, chances: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Hits, chances and presence by place, each (L, K), and the user of each list; rows in places 1 … K."""
    size, place = int(rows.request.max()) + 1, rows.position.astype(np.int64) - 1
    hits, there = np.zeros((size, PLACES), bool), np.zeros((size, PLACES), bool)
    chance, user = np.zeros((size, PLACES)), np.zeros(size, np.int64)
    hits[rows.request, place], there[rows.request, place] = rows.label > 0, True
    chance[rows.request, place], user[rows.request] = chances, rows.user
    return hits, chance, there, user


def _ndcg(hits: np.ndarray) -> np.ndarray:
    return ndcg_at_k(hits, hits.sum(1), PLACES)


def _recall(hits: np.ndarray) -> np.ndarray:
    return recall_at_k(hits, hits.sum(1), RECALL_PLACES)


def expected_items(shown_to: np.ndarray, users: int, wanted: int) -> tuple[float, float]:
    r"""Distinct items that `wanted` of the baseline's users would be shown, and its standard deviation.

    .. math:: E = \sum_i 1 - \binom{U - u_i}{n} / \binom{U}{n}

    Rarefaction: Hurlbert (1971), "The nonconcept of species diversity", Ecology 52, eq. 8. More users than the baseline has
    are taken as all of them. The deviation takes items as independent, which is too large: a list shows ten at once.

    Examples
    --------
    >>> expected_items(np.array([2, 1]), 2, 1)[0]
    1.5
    """
    n = min(wanted, users)
    if not n or not len(shown_to):
        return 0.0, 0.0
    rest = users - shown_to.astype(np.float64)
    with np.errstate(invalid="ignore"):
        log = gammaln(rest + 1) - gammaln(np.maximum(rest - n, 0) + 1) + gammaln(users - n + 1) - gammaln(users + 1)
    missed = np.where(rest >= n, np.exp(log), 0.0)
    return float((1 - missed).sum()), float(np.sqrt((missed * (1 - missed)).sum()))


def ranking_baseline(found: Mapping[str, Figure], rows: int) -> tuple[dict[str, Any], dict[str, Any]]:
    """statistics.json and constraints.json. What a release implies of itself it has by definition: no shortfall, ratio 1."""
    own = dict(found)
    own |= {name: Figure(0.0, 0.0) for name in ("ndcg_shortfall", "recall_shortfall")}
    own |= {name: Figure(1.0, 0.0) for name in ("precision_ratio", "coverage_ratio")}
    return (
        statistics_document(RANKING_METRICS, own, rows, rows),
        constraints_document(RANKING_CONSTRAINTS, own, TOLERANCES),
    )


def judge_ranking_quality(
    shown: Shown,
    probabilities: np.ndarray,
    catalogue: Catalogue,
    *,
    statistics: Mapping[str, Any],
    constraints: Mapping[str, Any],
    complete: bool,
) -> Findings:
    """Compare a window's lists with what the release promised."""
    found = ranking_figures(shown, probabilities, catalogue)
    result = Findings(Kind.RANKING_QUALITY, statistics_document(RANKING_METRICS, found, len(shown), len(shown)))
    before = statistics[RANKING_METRICS]
    names = frozenset(TOLERANCES) if complete else WHILE_FRESH
    result.violations, result.notes = judge(found, constraints[RANKING_CONSTRAINTS], names=names)
    result.metrics = [Metric(name, figure.value) for name, figure in found.items() if math.isfinite(figure.value)]
    result.comparisons = [_rates(shown, probabilities), _beside(found, before)]
    return result


def _rates(shown: Shown, probabilities: np.ndarray) -> Comparison:
    """Clicks by place, expected and observed."""
    rows, expected, observed = shown.position <= PLACES, [], []
    for place in range(1, PLACES + 1):
        here = rows & (shown.position == place) & np.isfinite(shown.label)
        expected.append(float(probabilities[here].mean()) if here.any() else 0.0)
        observed.append(float(shown.label[here].mean()) if here.any() else 0.0)
    badness = abs(sum(observed) / max(sum(expected), 1e-9) - 1)
    labels = [str(place) for place in range(1, PLACES + 1)]
    return Comparison("clicks by place", labels, expected, observed, badness, "before: as predicted, now: as observed")


def _beside(found: Mapping[str, Figure], before: Mapping[str, Any]) -> Comparison:
    names = [name for name in ("ndcg_at_10", "recall_at_5", "coverage") if isinstance(before[name]["value"], float)]
    now = [found[name].value if math.isfinite(found[name].value) else 0.0 for name in names]
    values = [float(before[name]["value"]) for name in names]
    return Comparison("figures", names, values, now, 0.0, "what the release expected of itself, and now")
