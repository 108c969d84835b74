"""A world's days as events: sessions, impressions, and what people did with them. Memory holds one chunk of a day."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from features.schema import EVENTS, TIME
from simulator.titles import TOPICS
from simulator.world import EXPLORATION, FRESH_DAYS, SLOTS, World, examination

CHUNK_SESSIONS = 20_000
WEEKDAYS = (1.0, 0.97, 0.97, 1.0, 1.08, 1.2, 1.15)  # Monday first
HOURS = np.array([2, 1, 1, 1, 1, 2, 5, 8, 9, 6, 5, 6, 8, 7, 5, 5, 6, 8, 9, 11, 12, 10, 7, 4], dtype=float)
DAY_US = 86_400_000_000
LATE_SHARE, LATE_HOURS = 0.01, 30
EVENT_KINDS = ("impression", "skip", "click", "like", "follow")


def daily_events(world: World, days: range | None = None) -> Iterator[tuple[date, Iterator[pa.RecordBatch]]]:
    """(day, its batches of canonical events), day by day. Each day has its own random stream, so any day can be made alone."""
    for day in range(world.spec.days) if days is None else days:
        yield (world.spec.start + timedelta(days=day)).date(), _day(world, day)


def _day(world: World, day: int) -> Iterator[pa.RecordBatch]:
    rng = np.random.default_rng([world.spec.seed, 3, day])
    weekday = (world.spec.start + timedelta(days=day)).weekday()
    sessions = int(rng.poisson(world.spec.impressions_per_day * WEEKDAYS[weekday] / SLOTS))
    feed = _Feed(world, day)
    members = np.flatnonzero(world.signup_U < day + 1)
    if not feed.live.size or not members.size:
        return
    weight = world.activity_U[members] / world.activity_U[members].sum()
    for first in range(0, sessions, CHUNK_SESSIONS):
        count = min(CHUNK_SESSIONS, sessions - first)
        user_S = rng.choice(members, size=count, p=weight)
        hour_S = rng.choice(24, size=count, p=HOURS / HOURS.sum())
        # the last minutes of a day stay free, so that a session's clicks fall on the session's day
        start_S = day + np.minimum((hour_S + rng.random(count)) / 24, 0.995)
        present = start_S > world.signup_U[user_S]
        user_S, start_S, number_S = user_S[present], start_S[present], first + np.flatnonzero(present)
        yield _events(world, rng, day, _shown(rng, feed, user_S, start_S, number_S))


class _Feed:
    """The policy that was live on a day: pi(i | u) of the world's page, sampled by topic and then within it."""

    def __init__(self, world: World, day: int) -> None:
        self.world = world
        self.live = np.flatnonzero(world.live_from_I <= day)
        age = day - world.birth_I[self.live]
        weight = np.exp(0.4 * world.quality_I[self.live] + np.exp(-age / FRESH_DAYS))
        order = np.argsort(world.topic_I[self.live], kind="stable")
        self.by_topic, self.weight = self.live[order], weight[order]
        self.topic = world.topic_I[self.by_topic]
        self.total_K = np.bincount(self.topic, self.weight, minlength=len(TOPICS))
        self.cumulative = np.cumsum(self.weight)
        self.before_K = np.concatenate(([0.0], np.cumsum(self.total_K)[:-1]))
        self.weight_I = np.zeros(world.spec.items)
        self.weight_I[self.by_topic] = self.weight

    def draw(self, rng: np.random.Generator, user_N: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """One item and its propensity for each user."""
        mix_NK = (self.world.interest_UK[user_N] + 1 / len(TOPICS)) / 2 * (self.total_K > 0)
        mix_NK /= mix_NK.sum(axis=1, keepdims=True)
        topic_N = (np.cumsum(mix_NK, axis=1) < rng.random((len(user_N), 1))).sum(axis=1).clip(max=len(TOPICS) - 1)
        # a rounding error at a cumulative sum's end may name an empty topic: take the user's likeliest instead
        topic_N = np.where(self.total_K[topic_N] > 0, topic_N, mix_NK.argmax(axis=1))
        mark_N = self.before_K[topic_N] + rng.random(len(user_N)) * self.total_K[topic_N]
        within_N = self.by_topic[
            np.searchsorted(self.cumulative, mark_N, side="right").clip(max=len(self.by_topic) - 1)
        ]
        anything_N = self.live[rng.integers(len(self.live), size=len(user_N))]
        item_N = np.where(rng.random(len(user_N)) < EXPLORATION, anything_N, within_N)
        topic_N = self.world.topic_I[item_N]
        by_taste_N = mix_NK[np.arange(len(user_N)), topic_N] * self.weight_I[item_N] / self.total_K[topic_N]
        return item_N, EXPLORATION / len(self.live) + (1 - EXPLORATION) * by_taste_N


@dataclass(slots=True)
class _Shown:
    """Impressions of one chunk, as columns of equal length N."""

    user_N: np.ndarray
    item_N: np.ndarray
    position_N: np.ndarray
    propensity_N: np.ndarray
    session_N: np.ndarray
    at_N: np.ndarray


def _shown(
    rng: np.random.Generator, feed: _Feed, user_S: np.ndarray, start_S: np.ndarray, number_S: np.ndarray
) -> _Shown:
    user_N = np.repeat(user_S, SLOTS)
    item_N, propensity_N = feed.draw(rng, user_N)
    item_SP = item_N.reshape(-1, SLOTS)
    again_SP = np.zeros(item_SP.shape, dtype=bool)
    for slot in range(1, SLOTS):
        again_SP[:, slot] = (item_SP[:, :slot] == item_SP[:, slot : slot + 1]).any(axis=1)
    position_N = np.cumsum(~again_SP, axis=1).ravel()
    at_N = np.repeat(start_S, SLOTS) + (position_N - 1) * (8 / 86_400)
    keep = ~again_SP.ravel()
    session_N = np.repeat(number_S, SLOTS)
    return _Shown(*(column[keep] for column in (user_N, item_N, position_N, propensity_N, session_N, at_N)))


def _events(world: World, rng: np.random.Generator, day: int, shown: _Shown) -> pa.RecordBatch:
    """Everything that happened with these impressions, in order of time."""
    count = len(shown.item_N)
    seen = rng.random(count) < examination(shown.position_N)
    liking_N = world.attraction(shown.user_N, shown.item_N, shown.at_N)
    fond_N = np.sqrt(liking_N)
    clicked = seen & (rng.random(count) < liking_N)
    happened = (  # in the order of EVENT_KINDS, with seconds after the impression
        (np.ones(count, dtype=bool), 0.0),
        (seen & ~clicked & (rng.random(count) < 0.3 * (1 - fond_N)), 3.0),
        (clicked, 4.0),
        (clicked & (rng.random(count) < 0.4 * fond_N), 40.0),
        (clicked & (rng.random(count) < 0.12 * fond_N), 60.0),
    )
    kinds, rows, delays = [], [], []
    for kind, (mask, delay_s) in enumerate(happened):
        chosen = np.flatnonzero(mask)
        kinds.append(np.full(len(chosen), kind))
        rows.append(chosen)
        delays.append(delay_s * (1 + rng.random(len(chosen))) / 86_400)
    kind_E, row_E, delay_E = np.concatenate(kinds), np.concatenate(rows), np.concatenate(delays)
    at_E = np.rint((shown.at_N[row_E] + delay_E) * DAY_US).astype(np.int64)
    order = np.lexsort((kind_E, row_E, at_E))
    return _batch(world, rng, day, shown, kind_E[order], row_E[order], at_E[order])


def _batch(
    world: World,
    rng: np.random.Generator,
    day: int,
    shown: _Shown,
    kind_E: np.ndarray,
    row_E: np.ndarray,
    at_E: np.ndarray,
) -> pa.RecordBatch:
    late = rng.random(len(row_E)) < LATE_SHARE
    wait_us = np.where(late, rng.uniform(0, LATE_HOURS * 3600, len(row_E)), rng.uniform(1, 20, len(row_E))) * 1e6
    start_us = int(world.spec.start.timestamp()) * 1_000_000
    session = pc.binary_join_element_wise(f"r{day}", pa.array(shown.session_N[row_E]).cast(pa.string()), "-")
    position = pa.array(shown.position_N[row_E].astype(np.int32))
    kind = pa.DictionaryArray.from_arrays(pa.array(kind_E.astype(np.int8)), pa.array(EVENT_KINDS)).cast(pa.string())
    initial = pc.utf8_slice_codeunits(kind, 0, 1)  # i s c l f: one event of a kind an impression
    columns = {
        "event_id": pc.binary_join_element_wise(session, position.cast(pa.string()), initial, "-"),
        "event_time": pa.array(start_us + at_E).cast(TIME),
        "known_at": pa.array(start_us + at_E + wait_us.astype(np.int64)).cast(TIME),
        "event_type": kind,
        "user_id": pa.array(world.user_ids).take(pa.array(shown.user_N[row_E])),
        "item_id": pa.array(world.item_ids).take(pa.array(shown.item_N[row_E])),
        "position": position,
        "request_id": session,
        "propensity": pa.array(shown.propensity_N[row_E]),
        "value": pa.nulls(len(row_E), pa.float64()),
    }
    return pa.RecordBatch.from_arrays([columns[name] for name in EVENTS.names], schema=EVENTS)
