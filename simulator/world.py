r"""A social app with known tastes.

Letters: U users, I items, K topics, D = 8 hidden dimensions, N impressions; arrays carry them as suffixes.

**People.** User u has a segment s(u) and an age; together they set the prior of the interests over topics,
``theta_u ~ Dirichlet(0.08 + 1.6 * prior[s(u)] + 0.8 * prior[age band])``, and a hidden taste ``p_u ~ N(segment mean, I_D)``. So
a stranger's profile says something about the interests, and behaviour says much more. Activity is log-normal: few users make most
sessions.

**Items.** Item i has a topic, an author who writes on two topics, a birth time, a quality ``q_i ~ N(author mean, 0.7)``
and a hidden place ``v_i = 0.8 * author's place + 0.6 * N(0, I_D)``. An item is shown from the first midnight after its birth, as a
nightly index would have it.

**Clicks.** With the age of the item in days ``a``, an impression at place k is clicked with

    P(click | u, i, k, a) = k^-0.45 * sigmoid(b + 2.2 * (sqrt(theta_u[topic_i]) - 0.3) + 0.55 * p_u . v_i / sqrt(D) + 0.5 * q_i
                                             + 0.6 * exp(-a / 3))

The first factor is the chance that place k is looked at (the examination hypothesis), whatever stands there: position bias.
A click may be followed by a like or a follow of the item's author (an event on the item); an examined item of low
relevance may be skipped.

**The feed that was live** draws each place of a session on its own:

    pi(i | u) = 0.3 / |live| + 0.7 * m_u[topic_i] * w_i / W_topic,  m_u = (theta_u + 1/K) / 2,  w_i = exp(0.4 q_i + exp(-a/3))

`propensity` is that chance of one draw; an item drawn twice in a session is shown once, at its first place.

**Fashion.** From midnight of `taste_shift_day` on, what was popular is no more: `tau[topic_i]` joins the sum above, -TREND for the
half of the topics that people like most, TREND for the others. Who likes what in comparison with other people stays, and so does
what an item is; the feed that was live goes on by the old interests.

**Time.** Sessions follow the hour (three peaks) and the weekday; users sign up and items are born all along. One event in a
hundred becomes known up to 30 hours late.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np

from simulator.titles import TOPICS, make_titles

DIMENSIONS = 8
SLOTS = 10  # places of a session
CITIES = ("Lisbon", "Oslo", "Turin", "Ghent", "Graz", "Porto", "Malmö", "Lyon")
SEGMENTS = ("student", "parent", "professional", "retired")
AGE_MEANS = (21, 37, 42, 68)
POSITION_POWER = 0.45
BASE_LOGIT = -2.1
FRESH_DAYS = 3.0
EXPLORATION = 0.3
TREND = 2.0


@dataclass(frozen=True, slots=True)
class WorldSpec:
    """How large a world, and when. The same spec makes the same world, byte for byte."""

    users: int = 2000
    items: int = 1500
    days: int = 30
    impressions_per_day: int = 8000  # on an average weekday
    seed: int = 7
    end: datetime = datetime(2026, 3, 1, tzinfo=UTC)  # a midnight, UTC; the world ends just before it
    taste_shift_day: int | None = None  # days since start; None: tastes stay

    def __post_init__(self) -> None:
        for name in ("users", "items", "days", "impressions_per_day"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} is {getattr(self, name)}; expected at least 1")
        if self.end.tzinfo is None or self.end != self.end.replace(hour=0, minute=0, second=0, microsecond=0):
            raise ValueError(f"end is {self.end.isoformat()}; expected a midnight with its time zone, UTC")

    @property
    def start(self) -> datetime:
        return self.end - timedelta(days=self.days)


class World:
    """The truth about every user and item, drawn once from the seed; `simulator.stream` makes its events.

    Times are float days since `spec.start`; negative means before the world is watched.
    """

    def __init__(self, spec: WorldSpec | None = None) -> None:
        self.spec = spec or WorldSpec()
        people, things = np.random.default_rng([self.spec.seed, 1]), np.random.default_rng([self.spec.seed, 2])
        self._draw_users(people)
        self._draw_items(things)
        popular_K = np.argsort(np.argsort(self.interest_UK.mean(axis=0))) >= len(TOPICS) // 2
        self._trend_K = np.where(popular_K, -TREND, TREND)
        self._user_index = {user_id: index for index, user_id in enumerate(self.user_ids)}
        self._item_index = {item_id: index for index, item_id in enumerate(self.item_ids)}

    def _draw_users(self, rng: np.random.Generator) -> None:
        count, topics = self.spec.users, len(TOPICS)
        self.user_ids = [f"u{index:06d}" for index in range(count)]
        self.segment_U = rng.choice(len(SEGMENTS), size=count, p=(0.3, 0.25, 0.3, 0.15))
        ages = rng.normal(np.array(AGE_MEANS)[self.segment_U], 5.0)
        self.age_U = np.clip(np.rint(ages), 16, 90).astype(np.int32)
        self.city_U = rng.integers(len(CITIES), size=count)
        prior_SK = rng.dirichlet(np.full(topics, 0.3), size=len(SEGMENTS))
        band_BK = rng.dirichlet(np.full(topics, 0.5), size=4)
        band_U = np.clip((self.age_U - 16) // 16, 0, 3)
        alpha_UK = 0.08 + 1.6 * prior_SK[self.segment_U] + 0.8 * band_BK[band_U]
        gamma_UK = rng.gamma(alpha_UK)
        self.interest_UK = gamma_UK / np.maximum(gamma_UK.sum(axis=1, keepdims=True), 1e-12)
        mean_SD = rng.normal(scale=0.5, size=(len(SEGMENTS), DIMENSIONS))
        self.taste_UD = mean_SD[self.segment_U] + rng.normal(size=(count, DIMENSIONS))
        self.activity_U = rng.lognormal(sigma=0.9, size=count)
        joined = rng.uniform(0, self.spec.days, size=count)
        self.signup_U = np.where(rng.random(count) < 0.75, -rng.uniform(0, 365, size=count), joined)

    def _draw_items(self, rng: np.random.Generator) -> None:
        count, topics = self.spec.items, len(TOPICS)
        self.item_ids = [f"i{index:06d}" for index in range(count)]
        authors = max(2, count // 12)
        author_topics_A2 = rng.integers(topics, size=(authors, 2))
        author_place_AD = rng.normal(size=(authors, DIMENSIONS))
        author_quality_A = rng.normal(scale=0.7, size=authors)
        popularity_A = rng.dirichlet(np.full(authors, 0.8))
        self.author_I = rng.choice(authors, size=count, p=popularity_A)
        self.topic_I = author_topics_A2[self.author_I, (rng.random(count) < 0.3).astype(int)]
        self.place_ID = 0.8 * author_place_AD[self.author_I] + 0.6 * rng.normal(size=(count, DIMENSIONS))
        self.quality_I = author_quality_A[self.author_I] + rng.normal(scale=0.7, size=count)
        arriving = rng.uniform(0, self.spec.days, size=count)
        self.birth_I = np.where(rng.random(count) < 0.6, -rng.uniform(0, 60, size=count), arriving)
        self.live_from_I = np.floor(self.birth_I) + 1  # the first midnight after birth
        self.titles = make_titles(rng, self.topic_I)

    def attraction(self, user_N: np.ndarray, item_N: np.ndarray, at_N: np.ndarray | float) -> np.ndarray:
        """P(click | looked at), in (0, 1), for index arrays of equal length at times `at` (days since start)."""
        interest_N = np.sqrt(self.interest_UK[user_N, self.topic_I[item_N]]) - 0.3
        match_N = np.einsum("nd,nd->n", self.taste_UD[user_N], self.place_ID[item_N]) / np.sqrt(DIMENSIONS)
        fresh_N = np.exp(-np.maximum(at_N - self.birth_I[item_N], 0) / FRESH_DAYS)
        logit_N = BASE_LOGIT + 2.2 * interest_N + 0.55 * match_N + 0.5 * self.quality_I[item_N] + 0.6 * fresh_N
        if self.spec.taste_shift_day is not None:
            shifted_N = np.asarray(at_N) >= self.spec.taste_shift_day
            logit_N = logit_N + np.where(shifted_N, self._trend_K[self.topic_I[item_N]], 0.0)
        return 1 / (1 + np.exp(-logit_N))

    def click_probability(
        self, user_id: str, item_ids: Sequence[str], position: int | Sequence[int] = 1, at: datetime | None = None
    ) -> np.ndarray:
        """The true chance of a click.

        Parameters
        ----------
        user_id, item_ids
            As written in the world's tables.
        position : int or sequence of int
            Place of every item, or of each; 1 is the first.
        at : datetime, optional
            When it is shown; default the world's end. Freshness and fashion depend on it.

        Returns
        -------
        float array of shape (len(item_ids),), in (0, 1)

        Raises
        ------
        KeyError
            If the world knows no such user or item.
        """
        item_N = np.array([self._item_index[item_id] for item_id in item_ids], dtype=np.int64)
        user_N = np.full(len(item_N), self._user_index[user_id])
        days = ((at or self.spec.end) - self.spec.start) / timedelta(days=1)
        return examination(np.broadcast_to(position, len(item_N))) * self.attraction(user_N, item_N, days)

    def time(self, days: float) -> datetime:
        """Days since start as a moment, to the microsecond."""
        return self.spec.start + timedelta(microseconds=round(days * 86_400_000_000))


def examination(position_N: np.ndarray | Sequence[int]) -> np.ndarray:
    """Chance that a place is looked at, in (0, 1]: k^-0.45."""
    return np.asarray(position_N, dtype=float) ** -POSITION_POWER
