"""Two releases that served at the same time, compared by clicks per impression, for everybody and for parts of the users.

Users are the units: what one user sees and clicks hangs together. A *window* is one version of traffic, under which both releases
had their users by the same rule; arms are compared within windows, so a busy evening with a large share is no advantage.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from math import exp, log

from understudy.domain.judge.clicks import Interval, boundary, needed_information
from understudy.errors import InvalidInput

TUNED_FOR = 0.10  # relative difference at which the intervals are narrowest for their place; the judge's default delta
LEAST = 20  # clicks, and users, of each release below which an interval would rest on too little


@dataclass(frozen=True, slots=True)
class UserOutcome:
    """What one user did with one release under one version of traffic. `groups`: {"city": "Paris", ...}."""

    user: str
    version: int
    release: str
    impressions: int
    clicks: int
    late_clicks: int = 0
    groups: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Served:
    """How much a release served under one version of traffic, and when."""

    requests: int
    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True)
class Arm:
    """Sums of one release. Late clicks came after the click window and are in no rate."""

    users: int
    impressions: int
    clicks: int
    late_clicks: int

    @property
    def ctr(self) -> float | None:
        return self.clicks / self.impressions if self.impressions else None


@dataclass(frozen=True, slots=True)
class Comparison:
    """One line of the read-out. `interval`: relative difference, (first - second) / second; None with too little data."""

    value: str
    first: Arm
    second: Arm
    interval: Interval | None


def versions_together(served: Mapping[str, Mapping[int, Served]], first: str, second: str) -> list[int]:
    """The versions of traffic under which both releases answered requests.

    Raises
    ------
    InvalidInput
        There is none; says when each of them served.
    """
    both = sorted(served.get(first, {}).keys() & served.get(second, {}).keys())
    if first == second or not both:
        when = "; ".join(_when(release, served.get(release, {})) for release in dict.fromkeys((first, second)))
        raise InvalidInput(
            f"{first} and {second} never served at the same time: {when}",
            "a candidate and its champion, or a champion and its holdback",
            code="never_together",
        )
    return both


def _when(release: str, by_version: Mapping[int, Served]) -> str:
    if not by_version:
        return f"{release} served no request"
    since, until = min(each.since for each in by_version.values()), max(each.until for each in by_version.values())
    versions = ", ".join(map(str, sorted(by_version)))
    return f"{release} from {since:%Y-%m-%d %H:%M} to {until:%Y-%m-%d %H:%M} under traffic versions {versions}"


def read_out(
    rows: Sequence[UserOutcome], first: str, second: str, *, by: str | None = None, level: float = 0.95
) -> list[Comparison]:
    """Compare for everybody (value `all`), or for each value of the group `by`, most impressions first.

    Each interval holds by itself, at all times at once: it may be looked at daily, and whoever stops when it excludes 0 is wrong
    in 1 - `level` of cases at most. Looking for the one of many groups that differs takes a higher level.

    Raises
    ------
    InvalidInput
        `level` is not in (0.5, 1).
    """
    if not 0.5 < level < 1:
        raise InvalidInput(f"level {level}", "a number in (0.5, 1), for example 0.95")
    groups: dict[str, list[UserOutcome]] = defaultdict(list)
    for row in rows:
        groups["all" if by is None else row.groups.get(by, "unknown")].append(row)
    made = [_comparison(value, group, first, second, level) for value, group in groups.items()]
    return sorted(made, key=lambda each: (-each.first.impressions - each.second.impressions, each.value))


def _comparison(value: str, rows: Sequence[UserOutcome], first: str, second: str, level: float) -> Comparison:
    arms = [_arm(row for row in rows if row.release == release) for release in (first, second)]
    enough = all(min(arm.clicks, arm.users) >= LEAST for arm in arms)
    interval = relative_difference(rows, first, second, alpha=(1 - level) / 2) if enough else None
    return Comparison(value, arms[0], arms[1], interval)


def _arm(rows: Iterable[UserOutcome]) -> Arm:
    held = list(rows)
    return Arm(
        len({row.user for row in held}),
        sum(row.impressions for row in held),
        sum(row.clicks for row in held),
        sum(row.late_clicks for row in held),
    )


def relative_difference(rows: Sequence[UserOutcome], first: str, second: str, *, alpha: float) -> Interval | None:
    """Interval of the ratio of clicks per impression, less 1; each bound holds with 1 - `alpha` at all times at once.

    The ratio is Mantel's and Haenszel's over windows (1959; cluster-robust as in Rao and Scott 1999, Biometrika 86), its
    variance the sum over users of their squared influence on its logarithm, a user's windows and arms taken together. The
    boundary is the judge's: a normal mixture, asymptotically valid at all times (`domain.judge.clicks.boundary`).
    None where a release has no click or no impression in windows that both have.
    """
    totals: dict[int, dict[str, list[int]]] = defaultdict(lambda: {first: [0, 0], second: [0, 0]})
    for row in rows:
        known = totals[row.version][row.release]
        known[0] += row.clicks
        known[1] += row.impressions
    windows = {
        version: arms[first][1] * arms[second][1] / (arms[first][1] + arms[second][1])
        for version, arms in totals.items()
        if arms[first][1] and arms[second][1]
    }
    rates = {
        (version, release): totals[version][release][0] / totals[version][release][1]
        for version in windows
        for release in (first, second)
    }
    level = {release: sum(w * rates[version, release] for version, w in windows.items()) for release in (first, second)}
    if not (level[first] and level[second]):
        return None
    influence: dict[str, float] = defaultdict(float)
    for row in rows:
        if row.version in windows:
            sign = 1 if row.release == first else -1
            weight = windows[row.version] / totals[row.version][row.release][1] / level[row.release]
            influence[row.user] += sign * weight * (row.clicks - rates[row.version, row.release] * row.impressions)
    variance = sum(each * each for each in influence.values()) * len(influence) / max(len(influence) - 1, 1)
    if not variance:
        return None
    estimate, information = log(level[first] / level[second]), 1 / variance
    half = boundary(information, alpha=alpha, tuned_for=needed_information(TUNED_FOR, alpha=alpha))
    return Interval(exp(estimate) - 1, exp(estimate - half) - 1, exp(min(estimate + half, 700)) - 1, information)
