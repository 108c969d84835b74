"""The judge's rules: what is never said, whatever the counts."""

from __future__ import annotations

import json
import random
from dataclasses import replace
from decimal import Decimal
from typing import Any

import jsonschema
import pytest

from understudy.domain.coverage import EMPTY, add
from understudy.domain.judge import ArmOutcomes, BucketOutcome, JudgePolicy, StageEvidence, StageWindow, Verdict, judge
from understudy.domain.judge.bake import decide_bake
from understudy.domain.judge.schema import VERDICT_SCHEMA
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
    ],
)
def test_each_fault_fails_and_is_named(fault: dict[str, float], metric: str) -> None:
    answer = judge(StageEvidence((window(7000, candidate=fault),)), JudgePolicy())
    assert answer.verdict == "fail"
    assert [name for name, found in answer.evidence["metrics"].items() if found["shown"]] == [metric]
    assert len(answer.reasons) == 1


def test_degraded_answers_are_no_fault_of_the_release() -> None:
    """Features are nobody's, and a champion that steps in late leaves out what the clock leaves no time for."""
    assert verdict(window(7000, candidate={"degraded": 0.3})) == "pass"


def test_a_reason_tells_the_rates_of_the_windows_it_was_shown_in() -> None:
    """The stage that has just begun has no error yet."""
    begun = window(300, 5000, candidate={"errors": 0.0}, champion={"errors": 0.0}, seed=2)
    first = window(8000, candidate={"errors": 0.06})
    [reason] = judge(StageEvidence((first, begun)), JudgePolicy()).reasons
    # 800 and 7,200 requests weigh 720, the 150 and 150 without an error 75.
    rates = [each.totals["errors"] / each.totals["requests"] for each in (first.candidate, first.champion)]
    ours, theirs = (rate * 720 / (720 + 75) for rate in rates)
    assert ours > 4 * theirs > 0
    assert reason == f"error rate {ours:.2%} on the candidate, {theirs:.2%} on the champion"


def test_lost_requests_fail_as_a_sample_ratio_mismatch() -> None:
    whole = window(9000)
    half = StageWindow(1000, ArmOutcomes(whole.candidate.buckets[::2]), whole.champion)
    answer = judge(StageEvidence((half,)), JudgePolicy())
    assert answer.verdict == "fail"
    assert "against its share" in answer.reasons[0]


def test_a_fault_that_begins_in_the_second_stage_is_not_diluted_by_the_first() -> None:
    assert verdict(window(8000), window(2000, 5000, candidate={"errors": 0.05}, seed=5)) == "fail"


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
    def clicks_of(low: int, ctr: float) -> ArmOutcomes:
        return ArmOutcomes(
            tuple(BucketOutcome(low + u, 100, 0, 0, 1000, round(1000 * ctr) + u % 21 - 10) for u in range(5000))
        )

    close = StageWindow(5000, clicks_of(0, 0.096), clicks_of(5000, 0.1))
    found = judge(StageEvidence((close,)), JudgePolicy()).evidence["metrics"]["clicks"]
    assert found["e_value"] > 1 / found["alpha"]
    assert not found["shown"]


@pytest.mark.parametrize("shown", [False, True], ids=["without items", "with items"])
def test_the_verdict_is_json_of_its_schema(shown: bool) -> None:
    sketch = catalogue(range(10_000), range(500)) if shown else None
    one = window(1000)
    both = StageWindow(1000, replace(one.candidate, shown=sketch), replace(one.champion, shown=sketch))
    empty = StageWindow(5000, ArmOutcomes(), ArmOutcomes())
    for evidence in (StageEvidence((both,), elapsed_s=3.5), StageEvidence((both, empty), is_last_gate=True)):
        answer = judge(evidence, JudgePolicy()).to_json()
        assert json.loads(json.dumps(answer, allow_nan=False)) == answer
        jsonschema.validate(answer, VERDICT_SCHEMA)


def catalogue(buckets: range, items: range) -> bytes:
    sketch = bytearray(EMPTY)
    for bucket in buckets[:20]:
        add(sketch, bucket, [f"i-{item}" for item in items])
    return bytes(sketch)


@pytest.mark.parametrize(("items", "expected"), [(20, "fail"), (1500, "pass"), (2000, "pass")])
def test_a_release_that_shows_a_few_items_to_everybody_fails(items: int, expected: str) -> None:
    one = window(6000)
    ours, theirs = catalogue(range(1000), range(items)), catalogue(range(1000, 10_000), range(2000))
    both = StageWindow(1000, replace(one.candidate, shown=ours), replace(one.champion, shown=theirs))
    answer = judge(StageEvidence((both,)), JudgePolicy())
    assert answer.verdict == expected
    assert answer.evidence["metrics"]["coverage"]["ratio"] == pytest.approx(items / 2000, rel=0.2)


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


@pytest.mark.parametrize(
    ("said", "elapsed_s", "extended", "policy", "action"),
    [
        ("fail", 1, False, "promote", "roll_back"),
        ("pass", 99, False, "abort", "look_again"),
        ("pass", 100, False, "abort", "next"),
        ("inconclusive", 100, False, "promote", "extend"),
        ("inconclusive", 150, True, "promote", "look_again"),
        ("pass", 150, True, "abort", "next"),
        ("inconclusive", 200, True, "abort", "roll_back"),
        ("inconclusive", 200, True, "hold", "hold"),
        ("inconclusive", 200, True, "promote", "next"),
    ],
)
def test_what_follows_from_a_verdict(said: Any, elapsed_s: float, extended: bool, policy: Any, action: str) -> None:
    verdict_ = Verdict(said, ("because",), {"no_blame": False})
    step = decide_bake(verdict_, elapsed_s=elapsed_s, bake_s=100, look_s=10, extended=extended, on_inconclusive=policy)
    assert step.action == action
    assert "because" in step.reason


def test_arms_that_fail_alike_hold_the_share_whatever_the_policy() -> None:
    together = Verdict("inconclusive", ("both",), {"no_blame": True})
    for elapsed_s, extended in ((100, False), (500, True)):
        assert decide_bake(together, elapsed_s=elapsed_s, bake_s=100, look_s=10, extended=extended).action == "hold"
