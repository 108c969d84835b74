"""How an answer is made: features, user tower, index, ranker, each one step of which an answer can do without (DESIGN §6)."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from understudy.domain.diversity import Slate, diversify, explore
from understudy.domain.ranking_rows import ranking_csv
from understudy.errors import StepFailed

if TYPE_CHECKING:  # named only: the daily lists are made by this code in a container that has no pydantic
    from understudy.contracts.release import ReleaseRecord
    from understudy.contracts.serving import RecommendRequest
    from understudy.contracts.traffic import Slot

T = TypeVar("T")

# Share of the whole budget that a step leaves to those after it, so that a late one costs one step and not the answer.
RESERVE = {"features": 0.60, "user_tower": 0.45, "index": 0.25, "ranker": 0.06}
# A user who does not meet the champion is answered by it in the end if need be: the first try leaves it this much.
SECOND_TRY = 0.45


class Features(Protocol):
    def of(self, user_id: str, timeout_s: float) -> Mapping[str, Any]:
        """Online features, {} for a user never seen; StepFailed when late, down or unreadable."""


class Models(Protocol):
    def user_vector(self, user: Mapping[str, Any], slot: Slot, request_id: str, timeout_s: float) -> TowerAnswer: ...

    def scores(self, rows: str, slot: Slot, request_id: str, timeout_s: float) -> RankerAnswer: ...


class ItemIndex(Protocol):
    def nearest(self, record: ReleaseRecord, query: IndexQuestion, timeout_s: float) -> list[dict[str, Any]]:
        """Item fields plus `score`, best first."""


@dataclass(frozen=True, slots=True)
class TowerAnswer:
    tower_id: str
    vector: Sequence[float]


@dataclass(frozen=True, slots=True)
class RankerAnswer:
    ranker_id: str
    scores: Sequence[float]


@dataclass(frozen=True, slots=True)
class IndexQuestion:
    """`size` nearest items of a beam of `k` >= size, less `excluded` ids, only of `topics` if any."""

    vector: Sequence[float]
    size: int
    k: int
    excluded: Sequence[str]
    topics: Sequence[str]


@dataclass(frozen=True, slots=True)
class Deadline:
    """Seconds that are left of a request's budget, by a clock that only goes forward."""

    ends: float
    budget_s: float
    clock: Callable[[], float]

    def left(self, reserve: float = 0.0) -> float:
        return self.ends - self.clock() - reserve * self.budget_s

    def sooner(self, by_s: float) -> Deadline:
        return Deadline(self.ends - by_s, self.budget_s - by_s, self.clock)


@dataclass(frozen=True, slots=True)
class Rules:
    """What shapes a list beside the models; basis points and shares as in RecommendSettings."""

    candidates: int
    exploration_bp: int
    max_per_author: int
    max_per_topic_share: float


@dataclass(slots=True)
class Trace:
    """What happened on the way: degraded steps in order with their reason; milliseconds and end, by the deadline's
    clock, of each step."""

    degraded: dict[str, str] = field(default_factory=dict)
    latency_ms: dict[str, float] = field(default_factory=dict)
    ended: dict[str, float] = field(default_factory=dict)

    def failed(self, error: StepFailed) -> None:
        self.degraded[error.step] = error.why


@dataclass(frozen=True, slots=True)
class Kitchen:
    """The dependencies and rules an answer is made with."""

    features: Features
    models: Models
    index: ItemIndex
    rules: Rules
    rng: random.Random

    def user_features(self, user_id: str, deadline: Deadline, trace: Trace) -> Mapping[str, Any]:
        """Online features; a cold user's ({}) when they cannot be had in time."""
        try:
            return _timed("features", deadline, trace, lambda left: self.features.of(user_id, left))
        except StepFailed as error:
            trace.failed(error)
            return {}

    def slate(self, ask: Ask, deadline: Deadline, trace: Trace) -> Slate:
        """The list to show. Recall down: popular items; ranker down: recall's order; each noted in `trace`."""
        try:
            items = self._recall(ask, deadline, trace)
        except StepFailed as error:
            trace.failed(error)
            return self._popular(ask)
        try:
            items = self._rank(ask, items, deadline, trace)
        except StepFailed as error:
            trace.failed(error)
        rules, k = self.rules, ask.request.k
        ordered = diversify(
            items, k, max_per_author=rules.max_per_author, max_per_topic_share=rules.max_per_topic_share
        )
        return explore(ordered, k, exploration_bp=rules.exploration_bp, rng=self.rng)

    def _recall(self, ask: Ask, deadline: Deadline, trace: Trace) -> list[dict[str, Any]]:
        record, wanted = ask.record, max(self.rules.candidates, ask.request.k)

        def vector(left: float) -> Sequence[float]:
            answer = self.models.user_vector(ask.tower_user(), ask.slot, ask.request_id, left)
            if answer.tower_id != record.tower_id:  # never let a vector meet another release's index
                raise StepFailed("user_tower", f"tower {answer.tower_id[:12]} is not the release's")
            return answer.vector

        user_vector = _timed("user_tower", deadline, trace, vector)
        topics = ask.request.context.topics
        factor = record.index_query.factor_filtered if topics else record.index_query.factor
        question = IndexQuestion(user_vector, wanted, math.ceil(wanted * factor), ask.excluded(), topics)
        items = _timed("index", deadline, trace, lambda left: self.index.nearest(record, question, left))
        if not items:
            raise StepFailed("candidates", "the index knows no item that the request allows")
        return items

    def _rank(self, ask: Ask, items: list[dict[str, Any]], deadline: Deadline, trace: Trace) -> list[dict[str, Any]]:
        def scores(left: float) -> Sequence[float]:
            rows = ranking_csv(ask.record, ask.user, items, ask.now)
            answer = self.models.scores(rows, ask.slot, ask.request_id, left)
            if answer.ranker_id != ask.record.ranker_id:
                raise StepFailed("ranker", f"ranker {answer.ranker_id[:12]} is not the release's")
            if len(answer.scores) != len(items) or not all(map(math.isfinite, answer.scores)):
                raise StepFailed("ranker", f"{len(items)} rows were asked for, not as many finite scores answered")
            return answer.scores

        for item, score in zip(items, _timed("ranker", deadline, trace, scores), strict=True):
            item["score"] = score
        return sorted(items, key=lambda item: -item["score"])  # stable: ties keep recall's order

    def _popular(self, ask: Ask) -> Slate:
        blocked = set(ask.request.context.blocked)
        excluded = blocked | set(ask.excluded())
        fresh = [item for item in ask.record.popular if item not in excluded]
        # Seen items come back when nothing else is left; blocked ones never do.
        known = fresh or [item for item in ask.record.popular if item not in blocked]
        shown = known[: ask.request.k]
        return Slate(tuple({"item_id": item, "score": 1 / place} for place, item in enumerate(shown, start=1)))


@dataclass(frozen=True, slots=True)
class Ask:
    """One request put to one release."""

    request: RecommendRequest
    request_id: str
    record: ReleaseRecord
    slot: Slot
    user: Mapping[str, Any]
    now: datetime

    def tower_user(self) -> dict[str, Any]:
        """What the user tower's container is sent (docs/seams.md, Jobs)."""
        fields = {name: self.user.get(name) for name in ("age", "city", "segment")}
        return {"user_id": self.request.user_id, **fields, "last_5_clicks": self.user.get("last_5_clicks") or []}

    def excluded(self) -> list[str]:
        return [*self.request.context.blocked, *(self.user.get("seen") or [])]


def _timed(step: str, deadline: Deadline, trace: Trace, call: Callable[[float], T]) -> T:
    started = deadline.clock()
    left = deadline.left(RESERVE[step])
    try:
        if left <= 0:
            raise StepFailed(step, "no time is left")
        return call(left)
    except StepFailed as error:
        raise StepFailed(step, error.why) from None  # by the step's name, whoever noticed
    finally:
        ended = trace.ended[step] = deadline.clock()
        trace.latency_ms[step] = round((ended - started) * 1000, 2)
