"""Simulated users for the judge's error rates: they differ, come again, and what one sees is alike.

Activity is heavy-tailed, taste differs by user and by visit (so clicks of one user are correlated twice), errors crowd on a few users,
latency has a level of its own for each user, and load, clicks and latency all swing with the hour.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from understudy.domain.outcomes import LATENCY_EDGES_MS

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
LIST = 10  # impressions of a request
EDGES = np.array(LATENCY_EDGES_MS)


@dataclass(frozen=True)
class Effect:
    """What the candidate does to its users; 1 and 0 are nothing."""

    clicks: float = 1.0
    latency: float = 1.0
    errors: float = 0.0  # added to a request's chance


@dataclass(frozen=True)
class Users:
    """Of shape (U,) each; `bucket` are different users' buckets, which may coincide."""

    bucket: Ints
    activity: Floats  # requests an hour
    taste: Floats
    fails: Floats
    slowness: Floats

    @classmethod
    def draw(cls, rng: np.random.Generator, count: int, *, ctr: float = 0.08, requests_per_hour: float = 0.7) -> Users:
        level = rng.gamma(0.8, 1 / 0.8, count)
        troubled = rng.random(count) < 0.01
        return cls(
            bucket=rng.integers(0, 10_000, count),
            activity=requests_per_hour * level,
            taste=rng.beta(ctr * 20, (1 - ctr) * 20, count),
            fails=np.where(troubled, 0.4, 0.006),
            slowness=rng.lognormal(0, 0.2, count),
        )


@dataclass(frozen=True)
class Hour:
    """What users did in one hour, shape (U,); `user` and `bin` have an entry a request."""

    requests: Ints
    errors: Ints
    impressions: Ints
    clicks: Ints
    user: Ints
    bin: Ints


def hour(rng: np.random.Generator, users: Users, at: int, treated: NDArray[np.bool_], effect: Effect) -> Hour:
    """One hour of everybody; `treated` users meet the candidate."""
    swing = np.sin(at / 24 * 2 * np.pi)
    requests = rng.poisson(users.activity * (1 + 0.7 * swing))
    visit = rng.beta(*_beta(np.clip(users.taste * (1 + 0.25 * swing), 1e-4, 0.9), 40.0))
    chance = np.clip(visit * np.where(treated, effect.clicks, 1.0), 0, 1)
    errors = rng.binomial(requests, np.clip(users.fails + treated * effect.errors, 0, 1))
    impressions = requests * LIST
    who = np.repeat(np.arange(len(requests)), requests)
    slow = users.slowness * (1 + 0.2 * swing) * np.where(treated, effect.latency, 1.0)
    took = 40 * slow[who] * rng.lognormal(0, 0.35, len(who))
    return Hour(requests, errors, impressions, rng.binomial(impressions, chance), who, np.searchsorted(EDGES, took))


def _beta(mean: Floats, strength: float) -> tuple[Floats, Floats]:
    return mean * strength, (1 - mean) * strength


def treated_users(users: Users, share_bp: int) -> NDArray[np.bool_]:
    return users.bucket < share_bp
