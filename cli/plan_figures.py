"""A site's traffic in figures, for `domain.rollout_plan`: from the logs of users, or, quicker and coarser, from the outcomes."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from math import log
from typing import Any

from cli.live_log import LiveLog
from cli.site import Site
from understudy.adapters.aws_outcomes import DynamoOutcomes
from understudy.contracts.traffic import ALL_BP
from understudy.domain.outcomes import hour_of

PAUSE_S = 600  # time without a request beyond this is no traffic, not little traffic
LEAST_HOURS = 6  # of traffic in a day, without which the outcomes say nothing of what is usual
VERSIONS_BACK = 3


@dataclass(frozen=True, slots=True)
class Figures:
    """What was measured; None where there was nothing to measure it by."""

    requests_per_hour: float | None = None
    users_per_day: float | None = None
    ctr: float | None = None
    impressions_per_request: float | None = None
    design_effect: float | None = None

    def known(self) -> dict[str, float]:
        return {name: value for name in self.__slots__ if (value := getattr(self, name)) is not None}


def log_figures(live: LiveLog, bake_s: float) -> Figures:
    """From the logs. Users' likeness to themselves is taken over times as long as a bake."""
    ((requests, hours, users),) = live.rows(
        f"""WITH gaps AS (SELECT epoch(asked_at) - lag(epoch(asked_at)) OVER (ORDER BY asked_at) AS gap FROM served)
        SELECT (SELECT count(*) FROM served), (SELECT sum(least(gap, {PAUSE_S})) / 3600 FROM gaps WHERE gap IS NOT NULL),
            (SELECT max(n) FROM (SELECT count(DISTINCT user_id) AS n FROM served GROUP BY asked_at::DATE))"""  # noqa: S608
    )
    units = live.rows(
        """SELECT count(*) FILTER (what = 'impression'), count(*) FILTER (what = 'click') FROM feedback
        WHERE NOT late GROUP BY user_id, floor(epoch(asked_at) / $1)""",
        bake_s,
    )
    return _figures(requests, hours, users, units)


def outcome_figures(site: Site, traffic: Mapping[str, Any], now: datetime) -> Figures | None:
    """Of the last day, from the counts of whoever serves; None where there were less than `LEAST_HOURS` hours of traffic."""
    outcomes = DynamoOutcomes(site.client("dynamodb"), site.outputs["OutcomesTable"])
    standing = [traffic[name]["release"] for name in ("champion", "candidate", "previous") if traffic.get(name)]
    versions = range(max(1, traffic["version"] - VERSIONS_BACK + 1), traffic["version"] + 1)
    hours = [hour_of(now.astimezone(UTC) - timedelta(hours=back)) for back in range(1, 25)]
    asked = [(release, version, hour) for release in standing for version in versions for hour in hours]
    with ThreadPoolExecutor(8) as pool:
        found = dict(zip(asked, pool.map(lambda key: outcomes.rows(*key), asked), strict=True))
    rows = {row: counts for partition in found.values() for row, counts in partition.items()}
    active = {row.hour for row in rows}
    if len(active) < LEAST_HOURS:
        return None
    buckets = len({row.bucket for row in rows})
    idle = max(ALL_BP - buckets, 1) / ALL_BP  # users fall on buckets at random: this part of them got none
    units = [(counts.get("impressions", 0), counts.get("clicks", 0)) for counts in rows.values()]
    requests = sum(counts.get("requests", 0) for counts in rows.values())
    return _figures(requests, len(active), -ALL_BP * log(idle), units)


def _figures(requests: float, hours: float | None, users: float | None, units: list[tuple[float, float]]) -> Figures:
    """`units` are (impressions, clicks) of independent ones: their spread over that of independent clicks is the effect."""
    impressions, clicks = sum(shown for shown, _ in units), sum(clicked for _, clicked in units)
    if not requests or not hours or not users:
        return Figures()
    if not 0 < clicks < impressions:
        return Figures(requests / hours, users, None, impressions / requests or None)
    ctr = clicks / impressions
    spread = sum((clicked - ctr * shown) ** 2 for shown, clicked in units)
    effect = max(1.0, spread / (ctr * (1 - ctr) * impressions))
    return Figures(requests / hours, users, ctr, impressions / requests, effect)
