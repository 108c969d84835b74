"""What a load of traffic met, counted as the clients saw it."""

from __future__ import annotations

import math
from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

Z_95 = 1.959964


@dataclass(frozen=True, slots=True)
class Rate:
    """Clicks per impression, with its 95 % interval; people are the independent units, not impressions."""

    impressions: int
    clicks: int
    users: int
    low: float
    high: float

    @property
    def value(self) -> float:
        return self.clicks / self.impressions if self.impressions else math.nan


@dataclass(slots=True)
class ReleaseTally:
    """One release: answers it gave, and what each user made of them."""

    answers: int = 0
    degraded: int = 0
    by_user: defaultdict[str, list[int]] = field(default_factory=lambda: defaultdict(lambda: [0, 0]))
    ndcgs: list[tuple[float, float]] = field(
        default_factory=list
    )  # of each list by the true taste, with its monotonic time

    def ndcg(self, since: float = -math.inf, until: float = math.inf) -> float:
        """Mean of the lists looked at in [since, until), monotonic seconds; NaN without one."""
        worths = [worth for at, worth in list(self.ndcgs) if since <= at < until]
        return sum(worths) / len(worths) if worths else math.nan

    def saw(self, user_id: str, impressions: int, clicks: int) -> None:
        row = self.by_user[user_id]
        row[0] += impressions
        row[1] += clicks

    def rate(self) -> Rate:
        """Ratio of sums, its interval by linearisation over users (Cochran, Sampling Techniques, 3rd ed., eq. 6.9 with f = 0)."""
        rows = list(self.by_user.values())
        shown, clicked, users = sum(row[0] for row in rows), sum(row[1] for row in rows), len(rows)
        if not shown or users < 2:
            return Rate(shown, clicked, users, 0.0, 1.0)
        rate = clicked / shown
        spread = sum((row[1] - rate * row[0]) ** 2 for row in rows) * users / (users - 1)
        half = Z_95 * math.sqrt(spread) / shown
        return Rate(shown, clicked, users, max(0.0, rate - half), min(1.0, rate + half))


@dataclass(slots=True)
class Tally:
    """All of a run. `errors` are what a client would call one: no answer in time, a 5xx, or a refusal of a good request."""

    asked: int = 0
    answered: int = 0
    degraded: int = 0
    held_back: int = 0
    posts: int = 0
    events: int = 0
    duplicates_sent: int = 0
    late_sent: int = 0
    cold: int = 0
    errors: Counter[str] = field(default_factory=Counter)
    feedback_errors: Counter[str] = field(default_factory=Counter)
    releases: defaultdict[str, ReleaseTally] = field(default_factory=lambda: defaultdict(ReleaseTally))
    steps: Counter[str] = field(default_factory=Counter)
    latencies_ms: list[float] = field(default_factory=list)  # of answers, sorted
    cpu_s: float = 0.0
    seconds: float = 0.0

    def answer(self, release_id: str, degraded: Sequence[str], latency_ms: float) -> None:
        self.answered += 1
        self.degraded += bool(degraded)
        self.steps.update(degraded)
        release = self.releases[release_id]
        release.answers += 1
        release.degraded += bool(degraded)
        insort(self.latencies_ms, latency_ms)

    def percentile(self, share: float) -> float:
        """Milliseconds within which this share of the answers came; NaN before the first."""
        if not self.latencies_ms:
            return math.nan
        return self.latencies_ms[min(int(share * len(self.latencies_ms)), len(self.latencies_ms) - 1)]

    @property
    def client_errors(self) -> int:
        return self.errors.total() + self.feedback_errors.total()

    @property
    def cpu_ms_per_request(self) -> float:
        """This process's own work for one request, in milliseconds; the account's is not in it."""
        return 1000 * self.cpu_s / max(self.asked + self.posts, 1)

    def facts(self) -> dict[str, Any]:
        """The run as JSON."""
        plain = (
            "asked",
            "answered",
            "degraded",
            "held_back",
            "posts",
            "events",
            "duplicates_sent",
            "late_sent",
            "cold",
        )
        rates = {name: tally.rate() for name, tally in list(self.releases.items())}
        return {
            **{name: getattr(self, name) for name in plain},
            "client_errors": self.client_errors,
            "errors": dict(self.errors),
            "feedback_errors": dict(self.feedback_errors),
            "degraded_steps": dict(self.steps),
            "latency_ms": {f"p{q}": _finite(self.percentile(q / 100)) for q in (50, 95, 99)},
            "seconds": round(self.seconds, 1),
            "cpu_ms_per_request": round(self.cpu_ms_per_request, 2),
            "releases": {
                name: {
                    "answers": self.releases[name].answers,
                    "degraded": self.releases[name].degraded,
                    "impressions": rate.impressions,
                    "clicks": rate.clicks,
                    "users": rate.users,
                    "ctr": _finite(rate.value),
                    "ctr_low": round(rate.low, 5),
                    "ctr_high": round(rate.high, 5),
                    "true_ndcg": _finite(self.releases[name].ndcg()),
                }
                for name, rate in rates.items()
            },
        }


def _finite(value: float) -> float | None:
    return round(value, 5) if math.isfinite(value) else None
