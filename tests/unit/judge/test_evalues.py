"""Bets and intervals: what theory says of them, counted."""

from __future__ import annotations

from math import comb, exp, log

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.judge_clicks import Clicks, looked_at
from benchmarks.judge_power import bounds
from benchmarks.judge_rollouts import rollout
from benchmarks.judge_world import Effect
from support.soak import examples
from understudy.domain.judge import ArmOutcomes, BucketOutcome, JudgePolicy, StageWindow
from understudy.domain.judge.clicks import boundary, compare, needed_information
from understudy.domain.judge.clusters import Rate, design_effect, rate
from understudy.domain.judge.evalues import FEWER, SLOWER, WORSE, Tally, rate_e_process, share_e_value
from understudy.domain.judge.latency import p95_ms, tail_edge
from understudy.domain.judge.policy import ALPHA_PARTS, stage_weight
from understudy.domain.outcomes import LATENCY_EDGES_MS

COUNTS = st.integers(0, 40)


def test_the_budget_is_split_and_never_exceeded() -> None:
    assert sum(ALPHA_PARTS.values()) == pytest.approx(1)
    assert sum(stage_weight(index) for index in range(60)) <= 1
    for prior in (WORSE, SLOWER, FEWER):
        assert sum(weight for _, weight in prior) == pytest.approx(1)


@pytest.mark.parametrize("prior", [WORSE, SLOWER, FEWER], ids=["worse", "slower", "fewer"])
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95])
def test_a_bet_is_fair_when_the_rates_are_equal_and_loses_when_the_candidate_is_better(
    prior: tuple[tuple[float, float], ...], share: float
) -> None:
    """Mean of the e-value over all ways in which 30 events fall on two arms."""

    def mean(chance: float) -> float:
        return sum(
            comb(30, k)
            * chance**k
            * (1 - chance) ** (30 - k)
            * exp(rate_e_process([Tally(k, 30 - k, share)], prior).log_e)
            for k in range(31)
        )

    better = share * 0.9 if prior is not FEWER else share + 0.1 * (1 - share)
    assert mean(share) == pytest.approx(1)
    assert mean(better) < 1


def test_a_mixture_over_beginnings_finds_the_window_of_the_harm() -> None:
    found = rate_e_process([Tally(10, 90, 0.1), Tally(80, 30, 0.5)], WORSE)
    assert found.since == 1
    assert found.shown(0.05)


@given(COUNTS, COUNTS, st.floats(0.05, 0.95))
def test_more_events_of_the_candidate_are_never_less_evidence(candidate: int, champion: int, share: float) -> None:
    e = [rate_e_process([Tally(candidate + more, champion, share)], WORSE).log_e for more in (0, 1)]
    assert e[0] <= e[1] + 1e-12


def test_a_sample_ratio_of_a_hundred_to_nine_hundred_is_no_mismatch_and_half_of_it_is() -> None:
    assert share_e_value(1000, 9000, 0.1) < 0
    assert share_e_value(500, 9000, 0.1) > log(1 / 0.00125)


def test_the_design_effect_of_copied_requests_is_their_number() -> None:
    rng = np.random.default_rng(3)
    failed = [rng.random(size) < 0.05 for size in (500, 4500)]
    once = [rate((int(e), 1) for e in arm) for arm in failed]
    tenfold = [rate((10 * int(e), 10) for e in arm) for arm in failed]
    assert design_effect(*once) == pytest.approx(1, abs=0.1)
    assert design_effect(*tenfold) / design_effect(*once) == pytest.approx(10, rel=0.1)


def test_the_boundary_is_where_the_information_needed_says() -> None:
    for delta in (0.02, 0.1, 0.3):
        needed = needed_information(delta, alpha=0.05)
        assert boundary(needed, alpha=0.05, tuned_for=needed) == pytest.approx(-log(1 - delta))


def test_the_boundary_is_crossed_as_seldom_as_it_says_however_often_one_looks() -> None:
    """Brownian motion of 2,000 paths looked at 600 times over three decades of information; one-sided."""
    rng, alpha, tuned = np.random.default_rng(11), 0.05, 100.0
    clock = np.geomspace(1, 1000, 600)
    steps = np.sqrt(np.diff(clock, prepend=0.0))
    halves = np.array([boundary(each, alpha=alpha, tuned_for=tuned) * each for each in clock])
    crossed = (rng.standard_normal((2000, 600)) * steps).cumsum(axis=1) > halves
    assert 0.02 < crossed.any(axis=1).mean() < alpha


def test_the_interval_in_arrays_is_the_judges_own() -> None:
    rng, policy = np.random.default_rng(5), JudgePolicy()
    bucket, windows, arrays = rng.permutation(10_000)[:400], [], []
    for share_bp in (1000, 5000):
        shown = rng.poisson(30, 400)
        clicks = rng.binomial(shown, rng.beta(2, 18, 400))
        treated = bucket < share_bp
        arms = [
            ArmOutcomes(
                tuple(
                    BucketOutcome(int(bucket[u]), 0, 0, 0, int(shown[u]), int(clicks[u])) for u in np.flatnonzero(who)
                )
            )
            for who in (treated, ~treated)
        ]
        windows.append(StageWindow(share_bp, *arms))
        arrays.append(Clicks(treated, shown, clicks))
    ours = compare(windows, alpha=policy.alpha_promotion, delta=policy.delta)
    quick = looked_at(arrays, policy)
    assert ours is not None
    assert quick is not None
    assert (quick.low, quick.high, quick.information) == pytest.approx((ours.low, ours.high, ours.information))


def test_a_p95_is_read_off_a_histogram_to_a_few_per_cent() -> None:
    rng = np.random.default_rng(2)
    took = 40 * rng.lognormal(0, 0.5, 20_000)
    counts = np.bincount(
        np.searchsorted(np.array(LATENCY_EDGES_MS), took), minlength=len(LATENCY_EDGES_MS) + 1
    ).tolist()
    assert p95_ms(counts) == pytest.approx(np.quantile(took, 0.95), rel=0.03)
    edge = tail_edge(counts)
    assert edge is not None
    assert 0.03 < (took > LATENCY_EDGES_MS[edge]).mean() < 0.08
    assert (p95_ms([0] * len(counts)), tail_edge([0] * len(counts))) == (None, None)


def test_a_single_bucket_is_a_rate_without_a_spread_of_its_own() -> None:
    assert rate([(3, 10), (0, 0)]) == Rate(3, 10, 1, 0.0)


def test_whole_rollouts_of_equal_releases_are_hardly_ever_taken_back() -> None:
    """The table of docs/decisions/judge.md in small; in the soak with its 2,000 runs."""
    runs = examples(3, 2000)
    fails = sum(rollout(seed, users=200, effect=Effect(), policy=JudgePolicy())[0] is not None for seed in range(runs))
    assert bounds(fails, runs)[0] <= 0.01
