"""Who asks and what they would click: a simulated world's known tastes, or what real people went on to do.

Letters: N items of one list, in order of their places.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from datetime import datetime, timedelta
from itertools import accumulate
from random import Random
from typing import Protocol

import numpy as np

from simulator.world import World, examination

COLD_PREFIX = "guest-"  # a visitor nobody has heard of, with the taste of one of the known


class Tastes(Protocol):
    """The people behind the traffic."""

    def visitor(self, rng: Random) -> str:
        """Who comes next, active ones more often."""

    def likings(self, user_id: str, item_ids: Sequence[str]) -> np.ndarray:
        """P(click | looked at) of each item, in [0, 1], shape (N,)."""

    def best(self, user_id: str, k: int) -> np.ndarray:
        """The largest likings among all there is to show, largest first, shape (k,) or shorter: the ideal list."""


class WorldTastes:
    """A simulated world's people at one moment of it; its own click model, position bias apart.

    Parameters
    ----------
    at : datetime
        The moment the list is shown; items that are fresh then are liked more.
    cold_share : float
        Share of visits by guests, whose id the recommender has never seen.
    people : int, optional
        How many of the world's people come at all, the first ones; default everybody.
    """

    def __init__(self, world: World, at: datetime, cold_share: float = 0.0, people: int | None = None) -> None:
        if not 0 <= cold_share < 1:
            raise ValueError(f"cold_share is {cold_share}; expected a share in [0, 1)")
        self._world, self._days = world, (at - world.spec.start) / timedelta(days=1)
        # somebody who joins within the day that begins now is among them, and new to the recommender as well
        present = world.signup_U < self._days + 1
        coming_U = np.flatnonzero(present)[:people]
        self._people = [world.user_ids[user] for user in coming_U.tolist()]
        self._cumulative = list(accumulate(world.activity_U[coming_U].tolist()))
        self._cold_share = cold_share
        self._users = {user: index for index, user in enumerate(world.user_ids)}
        self._items = {item: index for index, item in enumerate(world.item_ids)}
        self._live_I = np.flatnonzero(world.live_from_I <= self._days)

    def visitor(self, rng: Random) -> str:
        place = bisect_right(self._cumulative, rng.random() * self._cumulative[-1])
        user = self._people[min(place, len(self._people) - 1)]
        return COLD_PREFIX + user if rng.random() < self._cold_share else user

    def likings(self, user_id: str, item_ids: Sequence[str]) -> np.ndarray:
        """As `Tastes`; an item the world does not know is never clicked."""
        places_N = np.array([self._items.get(item, -1) for item in item_ids], dtype=np.int64)
        user_N = np.full(len(places_N), self._users[user_id.removeprefix(COLD_PREFIX)])
        return np.where(places_N >= 0, self._world.attraction(user_N, places_N, self._days), 0.0)

    def best(self, user_id: str, k: int) -> np.ndarray:
        user_I = np.full(len(self._live_I), self._users[user_id.removeprefix(COLD_PREFIX)])
        return np.sort(self._world.attraction(user_I, self._live_I, self._days))[::-1][:k]


class FutureTastes:
    """Real people, who click what they really chose later: 1 for those items, 0 for all others.

    Parameters
    ----------
    futures : mapping
        user id -> the items that the user clicked, liked or followed after the releases' data ended.
    """

    def __init__(self, futures: Mapping[str, AbstractSet[str]], cold_share: float = 0.0) -> None:
        self._futures = {user: items for user, items in futures.items() if items}
        if not self._futures:
            raise ValueError("nobody has a future: the log holds no click, like or follow after the releases' data")
        self._people, self._cold_share = sorted(self._futures), cold_share

    def visitor(self, rng: Random) -> str:
        user = rng.choice(self._people)
        return COLD_PREFIX + user if rng.random() < self._cold_share else user

    def likings(self, user_id: str, item_ids: Sequence[str]) -> np.ndarray:
        future = self._futures[user_id.removeprefix(COLD_PREFIX)]
        return np.array([float(item in future) for item in item_ids])

    def best(self, user_id: str, k: int) -> np.ndarray:
        return np.ones(min(k, len(self._futures[user_id.removeprefix(COLD_PREFIX)])))


class ChangingTastes:
    """Tastes that become others while visits go on: who comes and what is liked is asked of `now`."""

    def __init__(self, now: Tastes) -> None:
        self.now = now

    def visitor(self, rng: Random) -> str:
        return self.now.visitor(rng)

    def likings(self, user_id: str, item_ids: Sequence[str]) -> np.ndarray:
        return self.now.likings(user_id, item_ids)

    def best(self, user_id: str, k: int) -> np.ndarray:
        return self.now.best(user_id, k)


def true_ndcg(likings_N: np.ndarray, best_K: np.ndarray) -> float:
    """NDCG of a list, gains being the true likings and the ideal the best there is to show; in [0, 1].

    Järvelin and Kekäläinen, Cumulated gain-based evaluation of IR techniques, TOIS 20(4), 2002, eq. 2 with log2(1 + place).
    """
    discount_N = 1 / np.log2(np.arange(2, max(len(likings_N), len(best_K)) + 2))
    ideal = float((best_K * discount_N[: len(best_K)]).sum())
    return float((likings_N * discount_N[: len(likings_N)]).sum()) / ideal if ideal else 0.0


def look(likings_N: np.ndarray, rng: Random) -> list[list[str]]:
    """What one person does with a list: the events of each place, in order. Same words and chances as the world's own log.

    A place k is looked at by chance k^-0.45 whatever stands there; what is looked at is clicked by its liking; what was clicked
    is liked by chance 0.4 * sqrt(liking), and its author followed by 0.12 * sqrt(liking).
    """
    seen_N = examination(np.arange(1, len(likings_N) + 1)).tolist()
    acts = []
    for seen, liking in zip(seen_N, likings_N.tolist(), strict=True):
        kinds = ["impression"]
        if rng.random() < seen and rng.random() < liking:
            fond = liking**0.5
            kinds.append("click")
            kinds += ["like"] if rng.random() < 0.4 * fond else []
            kinds += ["follow"] if rng.random() < 0.12 * fond else []
        acts.append(kinds)
    return acts
