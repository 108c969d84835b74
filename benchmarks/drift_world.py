"""Months of a recommender's life in the simulator's world, as the tables that monitors see: no service runs.

People, items, tastes and clicks are `simulator.world`'s. Around them: items live for 60 days, so that the catalogue is steady; weekends
bring other people and other hours; the year moves volume, evenings and the liking of topics. A release is a ranker trained as the
product trains it, with an index frozen on its day and user features refreshed every night.

Letters: U users, I items, K topics, R requests of a day, C candidates, N rows.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from features.declaration import load
from monitors.shown import Shown
from simulator.stream import HOURS, WEEKDAYS
from simulator.titles import TOPICS
from simulator.world import CITIES, SEGMENTS, World, WorldSpec, examination

CANDIDATES, PLACES, LIFE_DAYS = 30, 10, 60
DAY_US = 86_400_000_000
WEEKEND_PEOPLE = np.array([1.5, 1.1, 0.7, 1.0])  # by segment
COLUMNS = tuple((column.name, column.kind) for column in load().ranker)


@dataclass(frozen=True, slots=True)
class Shift:
    """What a scenario changes from its day on."""

    topics: np.ndarray | None = None  # taste: interests are permuted over topics, hidden tastes are others'
    young: float = 1.0  # age: people below 25 come this many times as often


class Life:
    """A world lived day by day. Same seed and same lists, same days."""

    def __init__(self, seed: int, days: int, *, users: int = 2000, requests: int = 800, seasons: bool = True) -> None:
        items = round(1000 / LIFE_DAYS * (days + LIFE_DAYS))
        spec = WorldSpec(users=users, items=items, days=days, seed=seed, end=datetime(2027, 3, 1, tzinfo=UTC))
        self.world, self._requests, self._seasons = World(spec), requests, seasons
        rng = np.random.default_rng([seed, 9])
        self.world.birth_I = np.sort(rng.uniform(-LIFE_DAYS, days, items))
        self._phase_K = rng.uniform(0, 2 * np.pi, len(TOPICS))
        self._interest_UK = self.world.interest_UK
        self.start_us = round(spec.start.timestamp()) * 1_000_000
        self.people, self.things = _Counts(users, True, self.world), _Counts(items, False, self.world)
        self._topics, self._segments = np.array(TOPICS, object), np.array(SEGMENTS, object)
        self._cities = np.array(CITIES, object)
        self._authors = np.array([f"a{author:04d}" for author in range(int(self.world.author_I.max()) + 1)], object)

    def index(self, day: int) -> np.ndarray:
        """Items that a night's index holds."""
        return np.flatnonzero((self.world.birth_I < day) & (self.world.birth_I > day - LIFE_DAYS))

    def requests(self, day: int, shift: Shift | None = None) -> tuple[np.ndarray, np.ndarray]:
        """(user, time in microseconds since 1970) of a day's requests."""
        rng = np.random.default_rng([self.world.spec.seed, 10, day])
        date = self.world.spec.start + timedelta(days=day)
        year = np.sin(2 * np.pi * day / 365) if self._seasons else 0.0
        count = rng.poisson(self._requests * WEEKDAYS[date.weekday()] * (1 + 0.25 * year))
        weight_U = self.world.activity_U * (self.world.signup_U < day)
        hours = np.roll(HOURS, 1) if date.weekday() >= 5 else HOURS
        if date.weekday() >= 5:
            weight_U = weight_U * WEEKEND_PEOPLE[self.world.segment_U]
        if shift is not None:
            weight_U = weight_U * np.where(self.world.age_U < 25, shift.young, 1.0)
        user = rng.choice(len(weight_U), count, p=weight_U / weight_U.sum())
        late = hours * (1 + 0.3 * year * np.cos(2 * np.pi * (np.arange(24) - 21) / 24))
        hour = rng.choice(24, count, p=late / late.sum())
        moment_us = ((hour + rng.random(count)) * 3_600_000_000).astype(np.int64)
        return user, self.start_us + day * DAY_US + moment_us

    def candidates(self, user_R: np.ndarray, index_I: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        """Items recalled for each request, (R, C): by known interest and quality, with chance."""
        mix_RK = (self._interest_UK[user_R] + 1 / len(TOPICS)) / 2
        appeal_RI = np.log(mix_RK[:, self.world.topic_I[index_I]]) + 0.4 * self.world.quality_I[index_I]
        drawn = appeal_RI + rng.gumbel(size=appeal_RI.shape)  # Gumbel top-k: draws without replacement
        return index_I[np.argpartition(-drawn, CANDIDATES, axis=1)[:, :CANDIDATES]]

    def raw(
        self, user_N: np.ndarray, item_N: np.ndarray, at_us_N: np.ndarray, day: int, things: _Counts
    ) -> dict[str, np.ndarray]:
        """The ranker's columns for pairs: users as of `day`, items as `things` counted them."""
        world, hours = self.world, at_us_N // 3_600_000_000
        person, thing = self.people.features(day), things.features(things.day)
        topic_N, author_N = world.topic_I[item_N], world.author_I[item_N]
        clicks_N = np.maximum(self.people.clicks_30d[user_N], 1)
        values: dict[str, Any] = {
            "user_age": world.age_U[user_N].astype(np.float64),
            "user_city": self._cities[world.city_U[user_N]],
            "user_segment": self._segments[world.segment_U[user_N]],
            **{f"user_{name}": column[user_N] for name, column in person.items()},
            "item_topic": self._topics[topic_N],
            "item_author_id": self._authors[author_N],
            "item_age_days": things.day - world.birth_I[item_N],
            **{f"item_{name}": column[item_N] for name, column in thing.items() if name != "days_since_click"},
            "topic_affinity": self.people.topics_UK[user_N, topic_N] / clicks_N,
            "author_affinity": self.people.authors_UA[user_N, author_N] / clicks_N,
            "hour": (hours % 24).astype(np.float64),
            "weekday": ((hours // 24 + 3) % 7).astype(np.float64),
            "position": np.ones(len(user_N)),
        }
        return {name: values[name] for name, _ in COLUMNS}

    def clicked(self, shown: Shown, day: int, shift: Shift | None = None) -> np.ndarray:
        """What people do with a day's rows, (N,) 0 or 1."""
        rng = np.random.default_rng([self.world.spec.seed, 11, day])
        year_K = 1 + 0.3 * np.sin(2 * np.pi * day / 365 + self._phase_K) * self._seasons
        interest_UK = self._interest_UK if shift is None or shift.topics is None else self._interest_UK[:, shift.topics]
        taste_UD = self.world.taste_UD
        self.world.interest_UK = interest_UK * year_K
        if shift is not None and shift.topics is not None:
            self.world.taste_UD = taste_UD[np.random.default_rng(shift.topics).permutation(len(taste_UD))]
        user_N, item_N = shown.user, shown.item.astype(np.int64)
        at_N = (shown.at_us - self.start_us) / DAY_US
        chance_N = examination(shown.position) * self.world.attraction(user_N, item_N, at_N)
        self.world.interest_UK, self.world.taste_UD = self._interest_UK, taste_UD
        return (rng.random(len(shown)) < chance_N).astype(np.float64)

    def remember(self, shown: Shown) -> None:
        """A day becomes what the next night knows."""
        item_N = shown.item.astype(np.int64)
        self.people.add(shown.user, item_N, shown.label)
        self.things.add(item_N, item_N, shown.label)


class _Counts:
    """Impressions and clicks of the last 7 and 30 days, of users or items."""

    def __init__(self, size: int, people: bool, world: World) -> None:
        self.day, self._size, self._people, self._world = 0, size, people, world
        self._days: deque[tuple[np.ndarray, np.ndarray, np.ndarray]] = deque()
        self.shown_7d, self.clicks_7d, self.clicks_30d = (np.zeros(size) for _ in range(3))
        self._last = np.full(size, np.nan)
        if people:
            self.topics_UK = np.zeros((size, len(TOPICS)), np.float32)
            self.authors_UA = np.zeros((size, int(world.author_I.max()) + 1), np.float32)

    def add(self, entity_N: np.ndarray, item_N: np.ndarray, label_N: np.ndarray) -> None:
        """One day's rows, in order of time."""
        self.day += 1
        hit = label_N > 0
        today = (np.bincount(entity_N, minlength=self._size), entity_N[hit], item_N[hit])
        self._days.append(today)
        self._count(today, 1)
        if len(self._days) > 7:
            old = self._days[-8]
            self.shown_7d -= old[0]
            self.clicks_7d -= np.bincount(old[1], minlength=self._size)
        if len(self._days) > 30:
            self._count_long(self._days.popleft(), -1)
        self._last[entity_N[hit]] = self.day - 0.5

    def _count(self, today: tuple[np.ndarray, np.ndarray, np.ndarray], sign: int) -> None:
        self.shown_7d += today[0]
        self.clicks_7d += np.bincount(today[1], minlength=self._size)
        self._count_long(today, sign)

    def _count_long(self, today: tuple[np.ndarray, np.ndarray, np.ndarray], sign: int) -> None:
        self.clicks_30d += sign * np.bincount(today[1], minlength=self._size)
        if self._people:
            np.add.at(self.topics_UK, (today[1], self._world.topic_I[today[2]]), sign)
            np.add.at(self.authors_UA, (today[1], self._world.author_I[today[2]]), sign)

    def features(self, day: int) -> dict[str, np.ndarray]:
        """features.yaml's counts, as of a midnight."""
        since = day - self._last
        with np.errstate(divide="ignore", invalid="ignore"):
            rate = np.where(self.shown_7d > 0, self.clicks_7d / self.shown_7d, np.nan)
        return {
            "impressions_7d": self.shown_7d,
            "clicks_7d": self.clicks_7d,
            "ctr_7d": rate,
            "clicks_30d": self.clicks_30d,
            "days_since_click": np.where(since <= 30, since, np.nan),
        }

    def frozen(self) -> _Counts:
        """As an index keeps them."""
        still = _Counts.__new__(_Counts)
        still.__dict__.update(
            {name: value.copy() if isinstance(value, np.ndarray) else value for name, value in self.__dict__.items()}
        )
        return still


def listed(
    raw: dict[str, np.ndarray], item_RC: np.ndarray, user_R: np.ndarray, at_us_R: np.ndarray, score_RC: np.ndarray
) -> Shown:
    """The first places of each request by score, as a table of shown rows."""
    size = item_RC.shape[1]
    top = np.argsort(-score_RC, axis=1, kind="stable")[:, :PLACES]
    flat = (np.arange(len(top))[:, None] * size + top).ravel()
    request = np.repeat(np.arange(len(top)), PLACES)
    return Shown(
        columns=COLUMNS,
        raw={name: values[flat] for name, values in raw.items()},
        user=user_R[request].astype(np.int64),
        request=request,
        item=item_RC.ravel()[flat].astype(object),
        position=np.tile(np.arange(1.0, PLACES + 1), len(top)),
        at_us=at_us_R[request],
        label=np.full(len(flat), np.nan),
    )


def stacked(days: list[Shown]) -> Shown:
    """Several days as one table; requests of different days stay apart."""
    offsets = np.cumsum([0, *(int(day.request.max()) + 1 for day in days)])

    def column(name: str) -> np.ndarray:
        return np.concatenate([getattr(day, name) for day in days])

    return Shown(
        columns=COLUMNS,
        raw={name: np.concatenate([day.raw[name] for day in days]) for name, _ in COLUMNS},
        user=column("user"),
        request=np.concatenate([day.request + offset for day, offset in zip(days, offsets, strict=False)]),
        item=column("item"),
        position=column("position"),
        at_us=column("at_us"),
        label=column("label"),
    )
