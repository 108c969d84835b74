"""The world of `recommend` without a wire: dependencies that answer, are late, or are wrong, as a test says."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from support.releases import release
from understudy.adapters.aws_recommend import RecommendWorld
from understudy.adapters.cached import CachedReleases, CachedTraffic
from understudy.adapters.memory import MemoryReleases, MemoryTraffic
from understudy.contracts.release import ReleaseRecord
from understudy.contracts.traffic import Slot, Standing, Traffic
from understudy.domain.recommendation import IndexQuestion, Kitchen, RankerAnswer, Rules, TowerAnswer
from understudy.errors import StepFailed
from understudy.settings import RecommendSettings

NOW = datetime(2026, 3, 1, 4, 0, tzinfo=UTC)
BLUE, GREEN = Standing(release="r-blue", slot="blue"), Standing(release="r-green", slot="green")
SETTINGS = RecommendSettings(
    traffic_table="traffic",
    releases_table="releases",
    user_features_table="features",
    two_tower_endpoint="two-tower",
    ranker_endpoint="ranker",
    opensearch_url="http://index",
    served_stream="served",
    token_secret_arn="secret",
    shadow_queue_url="https://queue",
    candidates=20,
    exploration_bp=0,
)
RECORDS = {
    name: release(name, tower_id=f"tower-{name}", ranker_id=f"ranker-{name}", popular=[f"p-{n}" for n in range(30)])
    for name in ("r-blue", "r-green")
}


@dataclass
class Clock:
    """Seconds that pass only when a dependency takes its time."""

    now: float = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Dependencies:
    """Features, both endpoints, the index and the stream in one; `takes` and `fails` are by (step, slot) or step."""

    clock: Clock
    users: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    takes: dict[Any, float] = field(default_factory=dict)
    fails: dict[Any, str] = field(default_factory=dict)
    catalogue: int = 30
    asked: list[tuple[Any, ...]] = field(default_factory=list)
    served: list[Mapping[str, Any]] = field(default_factory=list)
    copies: list[Mapping[str, Any]] = field(default_factory=list)
    tower_id: Callable[[Slot], str] = lambda slot: f"tower-r-{slot}"
    scores_of: Callable[[int], list[float]] = lambda rows: [float(row) for row in range(rows)]

    def of(self, user_id: str, timeout_s: float) -> Mapping[str, Any]:
        self.step("features", "features", timeout_s)
        return self.users.get(user_id, {})

    def user_vector(self, user: Mapping[str, Any], slot: Slot, request_id: str, timeout_s: float) -> TowerAnswer:
        self.step("user_tower", slot, timeout_s, dict(user))
        return TowerAnswer(self.tower_id(slot), [0.0] * 64)

    def nearest(self, record: ReleaseRecord, query: IndexQuestion, timeout_s: float) -> list[dict[str, Any]]:
        self.step("index", record.index, timeout_s, query)
        return [
            {
                "item_id": f"i-{n}",
                "title": f"Title {n}",
                "item_topic": f"t{n % 5}",
                "item_author_id": f"a{n}",
                "score": 2 - n / 100,
            }
            for n in range(min(self.catalogue, query.size))
            if f"i-{n}" not in query.excluded
        ]

    def scores(self, rows: str, slot: Slot, request_id: str, timeout_s: float) -> RankerAnswer:
        self.step("ranker", slot, timeout_s, rows)
        return RankerAnswer(f"ranker-r-{slot}", self.scores_of(rows.count("\n")))

    def put(self, record: Mapping[str, Any], timeout_s: float) -> None:
        self.step("served_list", "stream", timeout_s)
        self.served.append(record)

    @property
    def shadow(self) -> Copies:
        return Copies(self)

    def get(self, now_s: float, timeout_s: float) -> bytes:
        self.step("token_key", "secret", timeout_s)
        return b"key"

    def step(self, step: str, which: str, timeout_s: float, *given: Any) -> None:
        self.asked.append((step, which, timeout_s, *given))
        takes = self.takes.get((step, which), self.takes.get(step, 0.001))
        self.clock.now += min(takes, timeout_s)
        if takes > timeout_s:
            raise StepFailed(step, "late")
        if (why := self.fails.get((step, which), self.fails.get(step))) is not None:
            raise StepFailed(step, why)


@dataclass
class Copies:
    """The queue of shadow copies."""

    dependencies: Dependencies

    def put(self, copy: Mapping[str, Any], timeout_s: float) -> None:
        self.dependencies.step("shadow", "queue", timeout_s)
        self.dependencies.copies.append(copy)


def world(
    traffic: Traffic | None, dependencies: Dependencies, settings: RecommendSettings = SETTINGS, seed: int = 0
) -> RecommendWorld:
    """A `RecommendWorld` whose every dependency is `dependencies`."""
    rules = Rules(settings.candidates, settings.exploration_bp, settings.max_per_author, settings.max_per_topic_share)
    d: Any = dependencies
    releases = MemoryReleases(*RECORDS.values())
    return RecommendWorld(
        settings,
        CachedTraffic(MemoryTraffic(traffic).current, 2.0, NOW.timestamp),
        CachedReleases(lambda release_id, _: releases.get(release_id)),
        Kitchen(d, d, d, rules, random.Random(seed)),
        d,
        d,
        d.shadow,
        dependencies.clock,
        NOW.timestamp,
    )


def traffic(**changes: Any) -> Traffic:
    fields: dict[str, Any] = {
        "change_id": "c-1",
        "champion": BLUE,
        "salt": "salt",
        "reason": "test",
        "changed_at": NOW,
    }
    return Traffic.model_validate(fields | changes)
