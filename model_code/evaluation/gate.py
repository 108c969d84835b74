"""May a candidate be registered? Pure: figures in, an answer with its reasons out. "No" is never an exception.

The gate is coarse on purpose. It keeps out what is broken or clearly worse; what is subtly worse, live users decide during
the rollout, with a control beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

Figures = Mapping[str, Mapping[str, Any]]  # {"recall": {...}, "ranking": {...}} as in evaluation.json

EXPECTED: Mapping[str, tuple[str, ...]] = {
    "recall": ("recall_at_10", "recall_at_50", "recall_at_100", "ndcg_at_10", "coverage"),
    "ranking": ("auc", "log_loss", "ndcg_at_10", "calibration_error"),
}


@dataclass(frozen=True, slots=True)
class Tolerance:
    """How much worse than the champion one figure may be."""

    stage: str
    name: str
    relative: float  # share of the champion's figure
    higher_is_better: bool = True


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What the gate holds a candidate to.

    Attributes
    ----------
    popularity_recall_at_100 : float, optional
        Recall of recommending the most clicked items, on the same users: a first release must beat it.
    auc_floor : float
        Chance is 0.5; below the floor a ranker knows nothing.
    calibration_error_ceiling : float
        In probability.
    tolerances : tuple of Tolerance
        Against a champion.
    """

    popularity_recall_at_100: float | None = None
    auc_floor: float = 0.52
    calibration_error_ceiling: float = 0.05
    tolerances: tuple[Tolerance, ...] = (
        Tolerance("recall", "recall_at_100", 0.05),
        Tolerance("recall", "ndcg_at_10", 0.10),
        Tolerance("recall", "coverage", 0.50),
        Tolerance("ranking", "auc", 0.02),
        Tolerance("ranking", "log_loss", 0.03, higher_is_better=False),
        Tolerance("ranking", "ndcg_at_10", 0.05),
    )


@dataclass(frozen=True, slots=True)
class Gate:
    """The answer; every reason is one sentence, and a pass has reasons too."""

    passed: bool
    reasons: tuple[str, ...]

    def to_document(self) -> dict[str, Any]:
        return {**asdict(self), "reasons": list(self.reasons)}


def decide_gate(
    candidate: Figures,
    champion: Figures | None,
    thresholds: Thresholds,
    intervals: Mapping[str, Mapping[str, float]] | None = None,
) -> Gate:
    """Decide whether a candidate may be registered.

    Parameters
    ----------
    candidate, champion : {"recall": {...}, "ranking": {...}}
        Figures on the same holdout; champion None for a first release.
    thresholds : Thresholds
    intervals : {"stage.name": {"low", "high"}}, optional
        Of candidate − champion. A figure beyond its tolerance is forgiven only if its interval holds 0, that is, if the
        loss may be chance.

    Returns
    -------
    Gate
        Not passed if any figure is missing or not finite, any floor is not held, or any tolerance is exceeded; all
        reasons are given, not just the first.
    """
    faults = _unusable(candidate, "candidate") + ([] if champion is None else _unusable(champion, "champion"))
    if faults:
        return Gate(False, tuple(faults))
    against = _floors(candidate, champion, thresholds)
    if champion is not None:
        against += [_compare(rule, candidate, champion, intervals or {}) for rule in thresholds.tolerances]
    failed = [sentence for holds, sentence in against if not holds]
    return Gate(not failed, tuple(failed or [sentence for _, sentence in against]))


def _unusable(figures: Figures, whose: str) -> list[str]:
    """A sentence per expected figure that is missing, and per figure of any name that is not finite."""
    missing = [
        f"{whose} {stage}.{name} is missing"
        for stage, names in EXPECTED.items()
        for name in names
        if name not in figures.get(stage, {})
    ]
    broken = [
        f"{whose} {stage}.{name} is {value}; expected a finite number"
        for stage, named in figures.items()
        for name, value in named.items()
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value)
    ]
    return missing + broken


def _floors(candidate: Figures, champion: Figures | None, thresholds: Thresholds) -> list[tuple[bool, str]]:
    auc, error = candidate["ranking"]["auc"], candidate["ranking"]["calibration_error"]
    floors = [
        (auc >= thresholds.auc_floor, f"ranking.auc {auc:.4f}, floor {thresholds.auc_floor:.4f}"),
        (
            error <= thresholds.calibration_error_ceiling,
            f"ranking.calibration_error {error:.4f}, ceiling {thresholds.calibration_error_ceiling:.4f}",
        ),
    ]
    popular = thresholds.popularity_recall_at_100
    if champion is None and popular is not None:
        recall = candidate["recall"]["recall_at_100"]
        floors.append((recall > popular, f"recall.recall_at_100 {recall:.4f}, most popular items {popular:.4f}"))
    return floors


def _compare(
    rule: Tolerance, candidate: Figures, champion: Figures, intervals: Mapping[str, Mapping[str, float]]
) -> tuple[bool, str]:
    new, old = candidate[rule.stage][rule.name], champion[rule.stage][rule.name]
    loss = old - new if rule.higher_is_better else new - old
    key = f"{rule.stage}.{rule.name}"
    sentence = f"{key} {new:.4f}, champion {old:.4f}, tolerance {rule.relative:.0%} of it"
    if loss <= rule.relative * abs(old):
        return True, sentence
    if (found := intervals.get(key)) is not None and found["low"] <= 0 <= found["high"]:
        return (
            True,
            f"{sentence}: beyond it, but the difference may be chance ({found['low']:+.4f} to {found['high']:+.4f})",
        )
    return False, f"{sentence}: worse by {loss:.4f}"
