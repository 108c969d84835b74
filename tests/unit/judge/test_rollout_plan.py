"""`rollout_plan` foretells what the judge then says."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.judge_clicks import Clicks, looked_at
from understudy.domain.judge import JudgePolicy
from understudy.domain.rollout_plan import Site, information_for, plan, power
from understudy.errors import InvalidInput

DAY = (1000, 5000, 10_000)


@pytest.mark.parametrize("users", [2500, 4500])
def test_the_chance_of_promotion_is_that_of_simulated_rollouts(users: int) -> None:
    """One request a user, ten impressions, independent clicks: the design effect is 1."""
    policy, rng, passed, runs = JudgePolicy(delta=0.2), np.random.default_rng(users), 0, 400
    site = Site(requests_per_hour=users, users_per_day=users, ctr=0.06, design_effect=1.0)
    for _ in range(runs):
        bucket = rng.permutation(10_000)[:users]
        shown = np.full(users, 10)
        found = looked_at([Clicks(bucket < 5000, shown, rng.binomial(shown, 0.06))], policy)
        passed += found is not None and found.low > -policy.delta
    assert passed / runs == pytest.approx(power(site.information_per_hour(0.5), policy.delta, policy), abs=0.08)


def test_a_busy_site_promotes_within_a_day_without_a_warning() -> None:
    made = plan(Site(20_000, 50_000, 0.05), stages_bp=DAY, bake_s=4 * 3600, policy=JudgePolicy())
    assert made.warnings == ()
    assert made.promotes > 0.99
    assert [stage.share_bp for stage in made.stages] == [1000, 5000]


def test_a_quiet_site_is_told_what_can_never_pass_and_how_long_it_would_take() -> None:
    made = plan(Site(200, 500, 0.05), stages_bp=DAY, bake_s=4 * 3600, policy=JudgePolicy())
    said = " ".join(made.warnings)
    assert "the stage of 1000 bp can never pass: about 160 requests" in said
    assert "the watch can never pass" in said
    assert "delta 10.0% can never promote" in said
    assert made.stages[-1].hours_for_delta > 24


def test_the_time_for_a_wanted_delta_is_the_bake_that_decides_it() -> None:
    site, policy = Site(2000, 5000, 0.05), JudgePolicy(delta=0.1)
    hours = plan(site, stages_bp=(5000, 10_000), bake_s=3600, policy=policy).stages[-1].hours_for_delta
    made = plan(site, stages_bp=(5000, 10_000), bake_s=hours * 3600, policy=policy)
    assert made.stages[-1].decides_delta == pytest.approx(0.1, rel=1e-4)


def test_looking_at_any_time_costs_about_twice_the_sample_of_looking_once() -> None:
    """DESIGN: a loss of 5 % at CTR 5 % takes about 108,000 candidate impressions at one look."""
    made = plan(
        Site(1000, 5000, 0.05, design_effect=1.0), stages_bp=(5000, 10_000), bake_s=3600, policy=JudgePolicy(delta=0.05)
    )
    assert 2.0 < made.over_fixed_sample < 2.3
    assert 170_000 < made.impressions_needed < 210_000
    assert information_for(0.05, JudgePolicy(delta=0.05)) > 4 * information_for(0.1, JudgePolicy(delta=0.1))


def test_bakes_that_do_not_fit_into_a_day_warn() -> None:
    made = plan(Site(20_000, 50_000, 0.05), stages_bp=DAY, bake_s=5 * 3600, policy=JudgePolicy())
    assert any("do not fit into a day" in warning for warning in made.warnings)


@pytest.mark.parametrize("stages", [(10_000,), (1000, 5000), (5000, 1000, 10_000), (0, 10_000), ()])
def test_stages_that_do_not_grow_to_everybody_are_refused(stages: tuple[int, ...]) -> None:
    with pytest.raises(InvalidInput, match="growing to"):
        plan(Site(1, 1, 0.1), stages_bp=stages, bake_s=1, policy=JudgePolicy())


@pytest.mark.parametrize(
    "bad", [{"ctr": 0.0}, {"requests_per_hour": -1}, {"users_per_day": float("nan")}, {"design_effect": 0.5}]
)
def test_a_site_that_cannot_be_is_refused(bad: dict[str, float]) -> None:
    with pytest.raises(InvalidInput, match=next(iter(bad))):
        Site(**({"requests_per_hour": 1.0, "users_per_day": 1.0, "ctr": 0.1} | bad))
