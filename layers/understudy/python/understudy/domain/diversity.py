"""From a ranked list of candidates to the list that is shown: caps per author and topic, and a little chance."""

from __future__ import annotations

import math
import random
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Item = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Slate:
    """The shown items in order. `explored` are the places (from 1) that were drawn by chance.

    Every place has the propensity of its kind: `propensity` for a place that kept the ranking's choice,
    `propensity_explored` for one drawn uniformly from the pool below the list.
    """

    items: tuple[Item, ...]
    explored: tuple[int, ...] = ()
    propensity: float = 1.0
    propensity_explored: float = 1.0

    def propensity_at(self, position: int) -> float:
        return self.propensity_explored if position in self.explored else self.propensity


def diversify(ranked: Sequence[Item], k: int, *, max_per_author: int, max_per_topic_share: float) -> list[Item]:
    """The first k places: best first, passing over an author or topic that has its share already.

    Where the caps leave places empty (one topic was asked for, few authors) the best passed over fill them, so the
    list is never shorter than the candidates allow. The rest follows in ranked order.

    Examples
    --------
    >>> ranked = [{"item_id": n, "item_author_id": a, "item_topic": ""} for n, a in enumerate("aaab")]
    >>> [item["item_id"] for item in diversify(ranked, 3, max_per_author=2, max_per_topic_share=1.0)]
    [0, 1, 3, 2]
    """
    per_topic = max(1, math.ceil(k * max_per_topic_share))
    authors: Counter[str] = Counter()
    topics: Counter[str] = Counter()
    first: list[Item] = []
    passed: list[Item] = []
    for item in ranked:
        author, topic = item.get("item_author_id") or "", item.get("item_topic") or ""
        full = (author and authors[author] >= max_per_author) or (topic and topics[topic] >= per_topic)
        if full or len(first) >= k:
            passed.append(item)
            continue
        authors[author] += 1
        topics[topic] += 1
        first.append(item)
    return first + passed


def explore(ordered: Sequence[Item], k: int, *, exploration_bp: int, rng: random.Random) -> Slate:
    """Show the first k; each place instead, by chance `exploration_bp`, an item drawn uniformly from those below.

    The propensity of a kept place is 1 - e. A drawn item could have come to any of n places of the pool: e / n.
    Draws are without replacement; with e of a few percent that changes the second draw's 1 / n by less than 1 / n.
    """
    shown, pool = list(ordered[:k]), list(ordered[k:])
    chance = exploration_bp / 10_000
    if not pool or not exploration_bp:
        return Slate(tuple(shown))
    size = len(pool)
    explored = []
    for place in range(len(shown)):
        if pool and rng.random() < chance:
            shown[place] = pool.pop(rng.randrange(len(pool)))
            explored.append(place + 1)
    return Slate(tuple(shown), tuple(explored), 1 - chance, chance / size)
