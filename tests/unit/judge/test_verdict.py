"""The judge's rules: what is never said, whatever the counts."""

from __future__ import annotations

import json
import random
from decimal import Decimal
from typing import Any

import pytest

from understudy.domain.judge import ArmOutcomes, BucketOutcome, JudgePolicy, StageEvidence, StageWindow, judge
from understudy.domain.outcomes import latency_edge
from understudy.errors import BadEvidence


def arm(
    rng: random.Random, low: int, high: int, requests: int, *, slow: float = 1.0, ctr: float = 0.1, **rates: float
) -> ArmOutcomes:
    """Requests of random buckets, ten impressions each; `slow` multiplies lognormal latencies around 40 ms."""
    rows = []
    for _ in range(requests):
        edge = latency_edge(40 * slow * rng.lognormvariate(0, 0.4))
        clicks = sum(rng.random() < ctr for _ in range(10))
        counts: dict[str, Any] = {"requests": 1, f"latency_le_{edge}": 1, "impressions": 10, "clicks": clicks}
        rows.append(
            (rng.randrange(low, high), counts | {name: int(rng.random() < rate) for name, rate in rates.items()})
        )
    return ArmOutcomes.of(rows)


def window(requests: int, share_bp: int = 1000, *, candidate: dict[str, float] | None = None, champion: dict[str, float] | None = None,
           seed: int = 1) -> StageWindow:  # fmt: skip
    rng, ours = random.Random(seed), round(requests * share_bp / 10_000)
    return StageWindow(
        share_bp,
        arm(rng, 0, share_bp, ours, **{"errors": 0.01, **(candidate or {})}),
        arm(rng, share_bp, 10_000, requests - ours, **{"errors": 0.01, **(champion or {})}),
    )


def verdict(*windows: StageWindow, last: bool = False, **policy: Any) -> str:
    return judge(StageEvidence(windows, is_last_gate=last), JudgePolicy(**policy)).verdict


def test_no_data_is_inconclusive() -> None:
    answer = judge(StageEvidence((StageWindow(1000, ArmOutcomes(), ArmOutcomes()),)), JudgePolicy())
    assert answer.verdict == "inconclusive"
    assert "the candidate has 0 of 300 requests" in answer.reasons


def test_a_sound_candidate_passes_a_stage_when_its_sample_is_complete_and_not_before() -> None:
    assert verdict(window(2900)) == "inconclusive"
    assert verdict(window(6000)) == "pass"


def test_the_last_gate_needs_non_inferiority_shown() -> None:
    first, small, large = window(6000), window(800, 5000, seed=2), window(9000, 5000, seed=3)
    assert verdict(first, small) == "pass"
    assert verdict(first, small, last=True) == "inconclusive"
    assert verdict(first, large, last=True) == "pass"


@pytest.mark.parametrize(
    ("fault", "metric"),
    [
        ({"errors": 0.05}, "errors"),
        ({"slow": 1.5}, "latency"),
        ({"ctr": 0.05}, "clicks"),
        ({"degraded": 0.3}, "degraded"),
    ],
)
def test_each_fault_fails_and_is_named(fault: dict[str, float], metric: str) -> None:
    answer = judge(StageEvidence((window(10_000, candidate=fault),)), JudgePolicy())
    assert answer.verdict == "fail"
    assert [name for name, found in answer.evidence["metrics"].items() if found["shown"]] == [metric]
    assert len(answer.reasons) == 1


def test_lost_requests_fail_as_a_sample_ratio_mismatch() -> None:
    whole = window(20_000)
    half = StageWindow(1000, ArmOutcomes(whole.candidate.buckets[::2]), whole.champion)
    answer = judge(StageEvidence((half,)), JudgePolicy())
    assert answer.verdict == "fail"
    assert "against its share" in answer.reasons[0]


def test_a_fault_that_begins_in_the_second_stage_is_not_diluted_by_the_first() -> None:
    assert verdict(window(20_000), window(2000, 5000, candidate={"errors": 0.05}, seed=5)) == "fail"


def test_both_arms_failing_alike_blames_nobody_and_passes_nobody() -> None:
    answer = judge(StageEvidence((window(6000, candidate={"errors": 0.2}, champion={"errors": 0.2}),)), JudgePolicy())
    assert answer.verdict == "inconclusive"
    assert answer.evidence["no_blame"]


def test_seven_of_ten_points_a_hundred_times_worse_fail() -> None:
    """Kayenta's rank test lets this through: ten points are too few for its level, however far they lie apart."""
    champion = ArmOutcomes.of(
        (1000 + place, {"requests": 1, f"latency_le_{latency_edge(40)}": 1}) for place in range(90)
    )
    points = [4000.0] * 7 + [40.0] * 3
    candidate = ArmOutcomes.of(
        (place, {"requests": 1, f"latency_le_{latency_edge(ms)}": 1}) for place, ms in enumerate(points)
    )
    answer = judge(StageEvidence((StageWindow(1000, candidate, champion),)), JudgePolicy())
    assert answer.verdict == "fail"
    assert answer.reasons[0].startswith("p95 latency")


def test_errors_of_a_few_users_are_no_proof() -> None:
    """Forty errors of two users are two observations."""
    whole = window(6000, candidate={"errors": 0.0}, champion={"errors": 0.0})
    crowd = [BucketOutcome(9_000 + place, requests=30, errors=20) for place in range(8)]
    extra = ArmOutcomes(tuple(each for each in whole.champion.buckets if each.bucket < 9000) + tuple(crowd))
    two = [BucketOutcome(each.bucket, 30, 20) for each in whole.candidate.buckets[:2]]
    ours = ArmOutcomes(tuple(two) + whole.candidate.buckets[2:])
    found = judge(StageEvidence((StageWindow(1000, ours, extra),)), JudgePolicy()).evidence["metrics"]["errors"]
    assert not found["shown"]
    assert found["design_effects"][0] > 15


def test_a_shown_but_tolerable_difference_does_not_roll_back() -> None:
    found = judge(StageEvidence((window(400_000, 5000, candidate={"ctr": 0.096}),)), JudgePolicy()).evidence["metrics"][
        "clicks"
    ]
    assert found["e_value"] > 1 / found["alpha"]
    assert not found["shown"]


def test_the_verdict_is_json() -> None:
    answer = judge(StageEvidence((window(3000),), is_last_gate=True, elapsed_s=3.5), JudgePolicy())
    assert json.loads(json.dumps(answer.to_json(), allow_nan=False)) == answer.to_json()


@pytest.mark.parametrize(
    "counts", [{"requests": -1}, {"requests": float("nan")}, {"clicks": 0.5}, {"errors": "many"}, {"requests": 1, "errors": 2},
               {"clicks": Decimal("NaN")}, {"clicks": float("inf")}, {"requests": None}]
)  # fmt: skip
def test_counts_that_cannot_be_are_refused(counts: dict[str, Any]) -> None:
    with pytest.raises(BadEvidence, match="bucket 7"):
        ArmOutcomes.of([(7, counts)])


def test_numbers_come_as_dynamodb_gives_them() -> None:
    rows: list[tuple[int, dict[str, Any]]] = [
        (7, {"requests": Decimal(2), "latency_le_1.1": 2.0, "pk": "r-1"}),
        (7, {"requests": 1}),
    ]
    assert ArmOutcomes.of(rows).buckets == (BucketOutcome(7, requests=3, latency={1: 2}),)


@pytest.mark.parametrize(
    "bad", [{"delta": 0.0}, {"alpha_total": float("nan")}, {"min_requests": 0}, {"max_latency_ratio": 0.9}]
)
def test_a_policy_that_means_nothing_is_refused(bad: dict[str, Any]) -> None:
    with pytest.raises(BadEvidence, match="policy"):
        JudgePolicy(**bad)


def test_arms_that_overlap_are_refused() -> None:
    one = ArmOutcomes((BucketOutcome(5, 1),))
    with pytest.raises(BadEvidence, match="bucket 5 in the champion"):
        StageWindow(1000, ArmOutcomes(), one)
