"""What a site's bakes can decide, before any release waits in one: by the judge's own boundary and its own minimum sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from math import exp, log, sqrt
from statistics import NormalDist
from typing import Any

from understudy.contracts.traffic import ALL_BP
from understudy.domain.judge.clicks import boundary, needed_information
from understudy.domain.judge.policy import JudgePolicy
from understudy.errors import InvalidInput

DAY_S = 86_400
LONGEST_H = 24 * 365 * 10
NEVER, USUAL = 0.05, 0.8  # chance of promotion below which settings can never promote, or often do not
NORMAL = NormalDist()


@dataclass(frozen=True, slots=True)
class Site:
    """What is known of a site. `design_effect` >= 1 is how much users' likeness to themselves widens the spread of clicks.

    A rollout that ran has measured it: `metrics.clicks.design_effects` of a verdict's evidence.
    """

    requests_per_hour: float
    users_per_day: float
    ctr: float
    impressions_per_request: float = 10.0
    design_effect: float = 1.5

    def __post_init__(self) -> None:
        for name in ("requests_per_hour", "users_per_day", "impressions_per_request"):
            _check(f"{name} {getattr(self, name)!r}", 0 < getattr(self, name) < float("inf"), "finite and above 0")
        _check(f"ctr {self.ctr!r}", 0 < self.ctr < 1, "clicks per impression, in (0, 1)")
        _check(f"design_effect {self.design_effect!r}", 1 <= self.design_effect < float("inf"), "finite and at least 1")

    def information_per_hour(self, share: float) -> float:
        """Of the log ratio of the arms' clicks per impression, at a candidate's share of users in (0, 1)."""
        impressions = self.requests_per_hour * self.impressions_per_request
        return impressions * share * (1 - share) * self.ctr / ((1 - self.ctr) * self.design_effect)


@dataclass(frozen=True, slots=True)
class PlannedStage:
    """Numbers at the end of the bake. `decides_delta`: smallest relative loss that an equal candidate is shown to be free of, at 80 %
    power, with all stages so far; None where even 99 % is out of reach. `hours_for_delta`: of this stage, for the wanted one."""

    share_bp: int
    bake_h: float
    candidate_requests: float
    candidate_impressions: float
    decides_delta: float | None
    decides_delta_extended: float | None
    hours_for_delta: float


@dataclass(frozen=True, slots=True)
class RolloutPlan:
    """`promotes`: chance that a candidate as good as the champion passes the last gate, its extension included."""

    delta: float
    stages: tuple[PlannedStage, ...]
    promotes: float
    impressions_needed: float  # candidate's, at the last stage's share, were it alone
    over_fixed_sample: float  # times what a test that may look only once would need
    warnings: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        return asdict(self)


def plan(
    site: Site,
    *,
    stages_bp: Sequence[int],
    bake_s: float,
    policy: JudgePolicy,
    holdback_bp: int = 500,
) -> RolloutPlan:
    """Plan a rollout of these stages, the last of which is everybody (10,000 bp) and is watched against the holdback.

    Raises
    ------
    InvalidInput
        Stages that do not grow to 10,000, or a bake that takes no time.

    Examples
    --------
    >>> site = Site(requests_per_hour=20_000, users_per_day=50_000, ctr=0.05)
    >>> made = plan(site, stages_bp=(1000, 5000, 10_000), bake_s=14_400, policy=JudgePolicy())
    >>> round(made.stages[-1].decides_delta, 3), made.warnings
    (0.039, ())
    """
    grows = all(low < high for low, high in zip((0, *stages_bp), stages_bp, strict=False))
    _check(
        f"stages {list(stages_bp)!r}",
        grows and len(stages_bp) > 1 and stages_bp[-1] == ALL_BP,
        "two or more, growing to 10,000 bp",
    )
    _check(f"bake_s {bake_s!r}", 0 < bake_s < float("inf"), "finite and above 0")
    bake_h, before, stages = bake_s / 3600, 0.0, []
    for share_bp in stages_bp[:-1]:
        stages.append(_stage(site, share_bp, bake_h, before, policy))
        before += bake_h * site.information_per_hour(share_bp / ALL_BP)
    rate = site.information_per_hour(stages_bp[-2] / ALL_BP)
    chance = power(before + bake_h * rate, policy.delta, policy)
    share, wanted = stages_bp[-2] / ALL_BP, information_for(policy.delta, policy)
    needed = wanted / rate * site.requests_per_hour * site.impressions_per_request * share
    warnings = _sample_warnings(site, stages_bp, bake_h, policy, holdback_bp) + _gate_warnings(
        stages[-1], chance, policy
    )
    if 2 * bake_s * len(stages_bp) > DAY_S:
        warnings.append(f"{len(stages_bp)} bakes of {bake_h:g} h with an extension each do not fit into a day")
    return RolloutPlan(
        policy.delta, tuple(stages), chance, needed, wanted / fixed_information(policy.delta, policy), tuple(warnings)
    )


def power(information: float, delta: float, policy: JudgePolicy) -> float:
    """Chance that a candidate equal to the champion is shown to lose less than delta, at one look with this information."""
    half = boundary(information, alpha=policy.alpha_promotion, tuned_for=_tuned(policy))
    return NORMAL.cdf((-log(1 - delta) - half) * sqrt(information))


def information_for(delta: float, policy: JudgePolicy) -> float:
    """Information at which `power` is 80 %."""
    return _solve(lambda information: power(information, delta, policy) >= USUAL, 1e-3, 1e12)


def fixed_information(delta: float, policy: JudgePolicy) -> float:
    """What a one-sided z test at the same level and power needs that looks once (two normal quantiles over the margin)."""
    return ((NORMAL.inv_cdf(1 - policy.alpha_promotion) + NORMAL.inv_cdf(USUAL)) / log(1 - delta)) ** 2


def _tuned(policy: JudgePolicy) -> float:
    return needed_information(policy.delta, alpha=policy.alpha_promotion)


def _decides(information: float, policy: JudgePolicy) -> float | None:
    """Smallest delta decided with 80 % power, to 0.01 %; None above 99 %."""
    half = boundary(information, alpha=policy.alpha_promotion, tuned_for=_tuned(policy))
    delta = 1 - exp(-half - NORMAL.inv_cdf(USUAL) / sqrt(information))
    return None if delta > 0.99 else delta


def _stage(site: Site, share_bp: int, bake_h: float, before: float, policy: JudgePolicy) -> PlannedStage:
    share = share_bp / ALL_BP
    rate, requests = site.information_per_hour(share), site.requests_per_hour * bake_h * share
    return PlannedStage(
        share_bp,
        bake_h,
        requests,
        requests * site.impressions_per_request,
        _decides(before + bake_h * rate, policy),
        _decides(before + 2 * bake_h * rate, policy),
        min(max(information_for(policy.delta, policy) - before, 0) / rate, LONGEST_H),
    )


def _sample_warnings(
    site: Site, stages_bp: Sequence[int], bake_h: float, policy: JudgePolicy, holdback_bp: int
) -> list[str]:
    """Minimum samples that a bake and its extension do not reach, in the smaller arm of each window."""
    smaller = {f"the stage of {bp} bp": min(bp, ALL_BP - bp) for bp in stages_bp[:-1]}
    if holdback_bp:
        smaller["the watch"] = holdback_bp
    warnings = []
    for name, bp in smaller.items():
        requests = site.requests_per_hour * 2 * bake_h * bp / ALL_BP
        # At most a day's users come in a bake, however long; those of one bucket are one unit.
        buckets = bp * (1 - exp(-min(site.users_per_day, site.requests_per_hour * 2 * bake_h) / ALL_BP))
        for has, least, what in (
            (requests, policy.min_requests, "requests"),
            (buckets, policy.min_buckets, "user buckets"),
        ):
            if has < least:
                warnings.append(
                    f"{name} can never pass: about {has:.0f} {what} in a bake and its extension, {least} are the minimum"
                )
    return warnings


def _gate_warnings(last: PlannedStage, chance: float, policy: JudgePolicy) -> list[str]:
    if chance >= USUAL:
        return []
    hours = f"{last.hours_for_delta:.1f} h at {last.share_bp} bp decide it four times in five"
    often = (
        "can never promote"
        if chance < NEVER
        else f"promotes a candidate as good as the champion {chance:.0%} of the time"
    )
    decides = last.decides_delta_extended
    able = "nothing" if decides is None else f"a loss of {decides:.1%}"
    return [f"delta {policy.delta:.1%} {often}: bake and extension decide {able}; {hours}"]


def _solve(holds: Callable[[float], bool], low: float, high: float) -> float:
    """Smallest value at which a growing condition holds, to a millionth, by halving on a log scale."""
    for _ in range(80):
        middle = sqrt(low * high)
        low, high = (low, middle) if holds(middle) else (middle, high)
    return high


def _check(what: str, holds: bool, expected: str) -> None:
    if not holds:
        raise InvalidInput(what, expected)
