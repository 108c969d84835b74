"""Whole rollouts under the judge itself: three windows, a look every hour, users of `judge_world`."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from benchmarks.judge_world import Effect, Hour, Users, hour, treated_users
from understudy.domain.judge import ArmOutcomes, BucketOutcome, JudgePolicy, StageEvidence, StageWindow, judge

SHARES_BP = (1000, 5000, 9500)  # the last is the watch: all but the holdback
HOURS = 6  # of a window


@dataclass
class Window:
    """Counts of one window so far, added up hour by hour."""

    users: Users
    share_bp: int
    treated: NDArray[np.bool_] = field(init=False)
    counts: NDArray[np.int64] = field(init=False)  # (U, 4): requests, errors, impressions, clicks
    bins: list[Counter[int]] = field(init=False)

    def __post_init__(self) -> None:
        size = len(self.users.bucket)
        self.treated = treated_users(self.users, self.share_bp)
        self.counts = np.zeros((size, 4), dtype=np.int64)
        self.bins = [Counter() for _ in range(size)]

    def add(self, one: Hour) -> None:
        self.counts += np.stack([one.requests, one.errors, one.impressions, one.clicks], axis=1)
        for user, place in zip(one.user.tolist(), one.bin.tolist(), strict=True):
            self.bins[user][place] += 1

    def evidence(self) -> StageWindow:
        return StageWindow(self.share_bp, self._arm(self.treated), self._arm(~self.treated))

    def _arm(self, members: NDArray[np.bool_]) -> ArmOutcomes:
        rows = self.counts.tolist()
        held = (int(user) for user in np.flatnonzero(members & (self.counts[:, 0] > 0)))
        return ArmOutcomes(tuple(_outcome(int(self.users.bucket[u]), rows[u], self.bins[u]) for u in held))


def _outcome(bucket: int, counts: list[int], bins: Counter[int]) -> BucketOutcome:
    requests, errors, impressions, clicks = counts
    return BucketOutcome(bucket, requests, errors, 0, impressions, clicks, bins)


def rollout(seed: int, *, users: int, effect: Effect, policy: JudgePolicy) -> tuple[str | None, list[str]]:
    """Metrics by which the first failed look failed (None: no look failed), and the verdict at the end of each window.

    One user a bucket, so that no counts have to be added up; the law of a bucket is that of a user.
    """
    rng = np.random.default_rng(seed)
    people = Users.draw(rng, users)
    people = Users(rng.permutation(10_000)[:users], people.activity, people.taste, people.fails, people.slowness)
    start = int(rng.integers(24))
    past: list[StageWindow] = []
    ends: list[str] = []
    for index, share_bp in enumerate(SHARES_BP):
        window = Window(people, share_bp)
        for step in range(HOURS):
            window.add(hour(rng, people, start + index * HOURS + step, window.treated, effect))
            known = StageEvidence((*past, window.evidence()), is_last_gate=index == 1)
            verdict = judge(known, policy)
            if verdict.verdict == "fail":
                shown = [name for name, found in verdict.evidence["metrics"].items() if found["shown"]]
                return "+".join(shown), [*ends, "fail"]
        past.append(window.evidence())
        ends.append(verdict.verdict)
    return None, ends
