"""A rollout in no time: visits, clicks and looks as a stack would have them, judged by the judge itself.

What is simulated is the traffic; assignment, judge and bake are the domain's own code.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass
from random import Random
from typing import Literal

from understudy.domain.judge import ArmOutcomes, BucketOutcome, JudgePolicy, StageEvidence, StageWindow, judge
from understudy.domain.judge.bake import decide_bake
from understudy.domain.traffic import bucket_of

End = Literal["promoted", "taken down", "undecided"]
SHARES_BP = (1000, 5000)  # then everybody
K = 10


@dataclass(frozen=True, slots=True)
class Setting:
    """A stack's parameters, and the visits a second it has."""

    rps: float
    delta: float
    bake_s: float
    look_s: float
    min_requests: int
    lag_s: float = (
        12.0  # until an outcome is known: a delivery stream keeps records for 10 s, and they are added up then
    )
    shares_bp: tuple[int, ...] = SHARES_BP

    def __str__(self) -> str:
        shares = "/".join(f"{share / 100:g}" for share in self.shares_bp)
        return (
            f"{self.rps:g} rps, delta {self.delta:g}, bake {self.bake_s:g} s, look {self.look_s:g} s, "
            f"min {self.min_requests}, {shares} %, known after {self.lag_s:g} s"
        )


@dataclass(frozen=True, slots=True)
class Ended:
    """How a rollout ended, in which stage (from 0), after how many seconds of looking."""

    end: End
    stage: int
    seconds: float


class Race:
    """One champion and one candidate with known clicks per impression for each user; `visits` says who comes how often."""

    def __init__(
        self, setting: Setting, champion: dict[str, float], candidate: dict[str, float], visits: list[str]
    ) -> None:
        self._setting, self._champion, self._candidate, self._visits = setting, champion, candidate, visits
        self._policy = JudgePolicy.of_stack(delta=setting.delta, minimum_requests=setting.min_requests)

    def run(self, seed: int) -> Ended:
        rng, total = Random(seed), 0.0
        windows: list[StageWindow] = []
        for stage, share in enumerate(self._setting.shares_bp):
            counts: dict[int, list[int]] = defaultdict(lambda: [0, 0])
            known_s, elapsed, extended = 0.0, 0.0, False
            while True:
                wait = min(self._setting.look_s, max(0.1, self._setting.bake_s * (1 + extended) - elapsed))
                elapsed, total = elapsed + wait, total + wait
                news_s = max(0.0, elapsed - self._setting.lag_s) - known_s
                known_s += news_s
                self._visit(rng, seed, share, news_s, counts)
                window = _window(share, counts)
                last = stage == len(self._setting.shares_bp) - 1
                verdict = judge(StageEvidence((*windows, window), last, elapsed, extended), self._policy)
                step = decide_bake(
                    verdict,
                    elapsed_s=elapsed,
                    bake_s=self._setting.bake_s,
                    look_s=self._setting.look_s,
                    extended=extended,
                )
                if step.action == "roll_back":
                    return Ended("taken down" if verdict.verdict == "fail" else "undecided", stage, total)
                if step.action == "next":
                    windows.append(window)
                    break
                extended = extended or step.action == "extend"
        return Ended("promoted", len(self._setting.shares_bp), total)

    def _visit(self, rng: Random, seed: int, share: int, seconds: float, counts: dict[int, list[int]]) -> None:
        expected = self._setting.rps * seconds
        for _ in range(max(0, round(rng.gauss(expected, expected**0.5)))):
            user = rng.choice(self._visits)
            bucket = bucket_of(f"race-{seed}", user)
            rate = (self._candidate if bucket < share else self._champion)[user]
            counts[bucket][0] += 1
            counts[bucket][1] += sum(rng.random() < rate for _ in range(K))


def _window(share: int, counts: dict[int, list[int]]) -> StageWindow:
    def arm(inside: bool) -> ArmOutcomes:
        rows = [(bucket, row) for bucket, row in sorted(counts.items()) if (bucket < share) == inside]
        return ArmOutcomes(
            tuple(
                BucketOutcome(bucket, requests=row[0], impressions=row[0] * K, clicks=row[1], latency={3: row[0]})
                for bucket, row in rows
            )
        )

    return StageWindow(share, arm(True), arm(False))
