"""What a site tolerates and how the false-rollback budget is split. Defaults are reasoned in docs/decisions/judge.md."""

from __future__ import annotations

from dataclasses import dataclass, fields

from understudy.errors import BadEvidence

# Parts of `alpha_total`; together 1. Each part is for the whole rollout: `stage_weight` splits it over the stages.
ALPHA_PARTS = {
    "errors": 1 / 4,
    "latency": 1 / 4,
    "clicks": 1 / 4,
    "sample_ratio": 1 / 8,
    "coverage": 1 / 8,
}


def stage_weight(index: int) -> float:
    """Part of a metric's budget for harm that begins in window `index` (from 0): 1/2, 1/4, 1/8 ... of it, any number of windows.

    The first stage gets most: it is where most faults show, and the fewest users see them.
    """
    return 0.5 ** (index + 1)


@dataclass(frozen=True)
class JudgePolicy:
    """A fault is shown when its e-value passes the budget *and* its estimated size is beyond what is tolerated here.

    alpha_total : false rollbacks of a rollout whose candidate is no worse, over all metrics, stages and looks; in (0, 0.5).
    alpha_promotion : chance that a candidate worse than `delta` is called non-inferior, over all looks; in (0, 0.5).
    delta : relative loss of clicks per impression that is tolerated; in (0, 1).
    max_error_ratio, min_error_excess : candidate's error rate over the champion's, and the difference (share of requests).
    max_latency_ratio : candidate's p95 over the champion's.
    max_share_deviation : relative deviation of the candidate's share of requests from its design.
    min_coverage_ratio : candidate's distinct items shown over the champion's, at as many requests.
    max_error_rate : error rate of an arm above which nothing is promoted, whoever is to blame.
    min_requests, min_buckets, min_clicks : candidate and champion each, in the window that is judged; clicks over the whole
        rollout and at the last gate only.
    """

    alpha_total: float = 0.01
    alpha_promotion: float = 0.05
    delta: float = 0.10
    max_error_ratio: float = 1.25
    min_error_excess: float = 0.001
    max_latency_ratio: float = 1.2
    max_share_deviation: float = 0.05
    min_coverage_ratio: float = 0.5
    max_error_rate: float = 0.05
    min_requests: int = 300
    min_buckets: int = 50
    min_clicks: int = 100

    def __post_init__(self) -> None:
        for name in ("alpha_total", "alpha_promotion"):
            self._check(name, 0 < getattr(self, name) < 0.5, "in (0, 0.5)")
        for name in ("delta", "max_error_rate", "min_coverage_ratio"):
            self._check(name, 0 < getattr(self, name) < 1, "in (0, 1)")
        for name in ("max_error_ratio", "max_latency_ratio"):
            self._check(name, 1 <= getattr(self, name) < float("inf"), "finite and at least 1")
        for name in ("min_error_excess", "max_share_deviation"):
            self._check(name, 0 <= getattr(self, name) < 1, "in [0, 1)")
        for name in ("min_requests", "min_buckets", "min_clicks"):
            self._check(
                name, isinstance(getattr(self, name), int) and getattr(self, name) >= 1, "a whole number of at least 1"
            )

    @classmethod
    def of_stack(cls, *, delta: float, minimum_requests: int) -> JudgePolicy:
        """What a stack's parameters ask for; half as many users as requests will do where that is less than the policy's own minimum.

        Examples
        --------
        >>> [JudgePolicy.of_stack(delta=0.1, minimum_requests=n).min_buckets for n in (300, 25, 1)]
        [50, 12, 1]
        """
        users = max(1, min(cls.min_buckets, minimum_requests // 2))
        return cls(delta=delta, min_requests=minimum_requests, min_buckets=users)

    def _check(self, name: str, holds: bool, expected: str) -> None:
        if not holds:
            raise BadEvidence(f"policy {name} {getattr(self, name)!r}", expected)

    def alpha(self, metric: str) -> float:
        """Budget of one metric for the whole rollout."""
        return self.alpha_total * ALPHA_PARTS[metric]

    def to_json(self) -> dict[str, float]:
        return {each.name: getattr(self, each.name) for each in fields(self)}
