"""Do the monitors see what changes, and only that? `python -m benchmarks.drift_detection [--full] [--workers N]`.

Days in the simulator's world (`drift_world`), a release a week, every kind of monitor over each day as `monitors/run.py` judges it: fresh
labels on the day itself, complete ones three days later. Quiet: ten months with weekends and seasons, in which nothing may be raised.
Shifts: a seed each, from the same evening; found means a violation of one of the kinds meant. Some 20 CPU seconds a seed; the short form,
of minutes, has fewer days and seeds.
"""

from __future__ import annotations

import argparse
import copy
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from benchmarks.drift_release import Release, log_day, release, serve
from benchmarks.drift_world import Life, Shift
from monitors.formats import Kind
from monitors.judging import View, judge_window
from monitors.shown import Shown
from simulator.titles import TOPICS

LOGGED_DAYS, SETTLING_DAYS, RELEASE_EVERY, LABEL_DAYS = 30, 35, 7, 3
QUIET_DAYS, SEEDS = 300, 50
SHORT_QUIET_DAYS, SHORT_SEEDS = 28, 6
PATIENCE = 3  # days after a shift that are looked at
GOAL = 0.95


@dataclass
class Site:
    """A world with a release on stage and the days that the next one learns from."""

    life: Life
    days: list[Shown]
    release: Release
    day: int


def site(seed: int, days: int) -> Site:
    """Logged days, then releases until what they are fed is their own."""
    life = Life(seed, LOGGED_DAYS + SETTLING_DAYS + days + LABEL_DAYS + 1)
    logged = [log_day(life, day) for day in range(LOGGED_DAYS)]
    here = Site(life, logged, release(life, logged, LOGGED_DAYS), LOGGED_DAYS)
    for _ in range(SETTLING_DAYS):
        live(here, every=SETTLING_DAYS)  # what it settles to does not need the weekly releases
    return here


def live(here: Site, every: int = RELEASE_EVERY) -> Shown:
    """One day is served and remembered; every seventh night there is a new release."""
    shown = serve(here.life, here.release, here.day)
    here.life.remember(shown)
    here.days = [*here.days[-29:], shown]
    here.day += 1
    if (here.day - LOGGED_DAYS) % every == 0:
        here.release = release(here.life, here.days, here.day)
    return shown


def raised(shown: Shown, on: Release, *, complete: bool, kinds: tuple[Kind, ...] = tuple(Kind)) -> list[str]:
    """What the monitors raise over one day, as sentences."""
    found = []
    for kind in kinds:
        for violation in judge_window(kind, View(shown, complete), on.baseline).violations:
            named = [
                violation[part] for part in ("feature_name", "facet", "facet_value", "metric_name") if part in violation
            ]
            found.append(f"{kind.value}: {' '.join(named)}: {violation['description']}")
    return found


def quiet(seed: int, days: int, tell: Callable[[str], None]) -> list[str]:
    """Everything raised over days on which nothing happens, fresh and complete."""
    here, alarms = site(seed, days), []
    for _ in range(days):
        day, on = here.day, here.release
        shown = live(here)
        for complete in (False, True):  # labels are whole here; what is still to come is `label_delay`'s
            alarms += [f"day {day}: {text}" for text in raised(shown, on, complete=complete)]
    for text in dict.fromkeys(alarms):
        tell(f"  raised without drift, seed {seed}: {text}")
    return alarms


@dataclass(frozen=True)
class Scenario:
    """What changes, and which monitors are meant to see it (none: nothing may be raised)."""

    name: str
    kinds: tuple[Kind, ...]
    serve: Callable[[Site, int], Shown]  # a day's rows from the shift on; the seed chooses its form


def taste(here: Site, seed: int) -> Shown:
    """Everybody's interests move to other topics, and what is hidden of a taste is somebody else's."""
    topics = derangement(np.random.default_rng([seed, 20]), len(TOPICS))
    return serve(here.life, here.release, here.day, Shift(topics=topics))


def age(here: Site, seed: int) -> Shown:
    """People below 25 come five times as often."""
    del seed
    return serve(here.life, here.release, here.day, Shift(young=5.0))


def null(here: Site, seed: int) -> Shown:
    """A feature is always missing: another one each seed."""
    shown = serve(here.life, here.release, here.day)
    return _broken(
        shown, ("user_age", "item_ctr_7d", "user_clicks_30d", "item_age_days", "topic_affinity")[seed % 5], None
    )


def unit(here: Site, seed: int) -> Shown:
    """A feature comes in another unit: days in hours, a share in percent, an age in months."""
    shown = serve(here.life, here.release, here.day)
    name, factor = (("item_age_days", 24.0), ("user_ctr_7d", 100.0), ("user_age", 12.0), ("item_ctr_7d", 100.0))[
        seed % 4
    ]
    return _broken(shown, name, factor)


def delay(here: Site, seed: int) -> Shown:
    """Clicks come up to three days late, impressions in time: on the day itself most are missing."""
    shown = serve(here.life, here.release, here.day)
    return _known(shown, here.life, seed, here.day + 1)


def _known(shown: Shown, life: Life, seed: int, midnight: int) -> Shown:
    """A day's rows with the clicks that have come by a midnight."""
    days = (shown.at_us - life.start_us) / 86_400_000_000
    wait = np.random.default_rng([seed, 21, int(days[0])]).uniform(0, LABEL_DAYS, len(shown))
    return replace(shown, label=np.where(days + wait > midnight, 0.0, shown.label))


SCENARIOS = (
    Scenario("taste shift", (Kind.MODEL_QUALITY, Kind.RANKING_QUALITY), taste),
    Scenario("age shift", (Kind.DATA_QUALITY,), age),
    Scenario("feature all null", (Kind.DATA_QUALITY,), null),
    Scenario("feature in another unit", (Kind.DATA_QUALITY,), unit),
    Scenario("label delay", (), delay),
)


def _broken(shown: Shown, name: str, factor: float | None) -> Shown:
    values = np.full(len(shown), np.nan) if factor is None else shown.raw[name] * factor
    return replace(shown, raw={**shown.raw, name: values})


def derangement(rng: np.random.Generator, size: int) -> np.ndarray:
    """A permutation that leaves nothing in its place."""
    while (moved := rng.permutation(size)).tolist() and (moved == np.arange(size)).any():
        pass
    return moved


def shifts(seeds: int, tell: Callable[[str], None], workers: int = 1) -> dict[str, list[int | None]]:
    """Per scenario and seed the day on which it was found, 1 the first; None if not within `PATIENCE` days."""
    found: dict[str, list[int | None]] = {scenario.name: [] for scenario in SCENARIOS}
    with ProcessPoolExecutor(workers) as pool:  # a seed knows nothing of the others
        for seed, days in enumerate(pool.map(days_until_found, range(seeds))):
            for name, day in days.items():
                found[name].append(day)
            tell(f"  seed {seed + 1} of {seeds}: " + ", ".join(f"{name} {day or '-'}" for name, day in days.items()))
    return found


def days_until_found(seed: int) -> dict[str, int | None]:
    """One seed's site, and every scenario from its same evening on."""
    here = site(1000 + seed, PATIENCE)
    for _ in range(2):  # in the middle of a release's week
        live(here)
    return {scenario.name: _delay(scenario, here, seed) for scenario in SCENARIOS}


def _delay(scenario: Scenario, start: Site, seed: int) -> int | None:
    here, served = copy.deepcopy(start), list[Shown]()
    for day in range(1, PATIENCE + 1):
        shown = scenario.serve(here, seed)
        if raised(shown, here.release, complete=False, kinds=scenario.kinds or tuple(Kind)):
            return day
        here.day += 1
        if scenario.kinds:
            here.life.remember(shown)
        else:  # every night knows a little more of the days before
            served.append(serve(here.life, here.release, here.day - 1))
            here.life.people, here.life.things = copy.deepcopy((start.life.people, start.life.things))
            for one in served:
                here.life.remember(_known(one, here.life, seed, here.day))
    return None


def table(found: dict[str, list[int | None]]) -> Iterator[str]:
    yield f"{'scenario':<26}{'seeds':>6}{'within a day':>14}{'within 3':>10}{'mean delay':>12}"
    for name, days in found.items():
        known = [day for day in days if day]
        share, later = sum(day == 1 for day in known) / len(days), len(known) / len(days)
        yield f"{name:<26}{len(days):>6}{share:>14.0%}{later:>10.0%}{np.mean(known) if known else float('nan'):>12.2f}"


def measure(*, full: bool = False, workers: int = 1) -> dict[str, Any]:
    """Share of the shifts found on their first day; holds only if nothing was raised without cause."""
    begun = time.perf_counter()
    days, seeds = (QUIET_DAYS, SEEDS) if full else (SHORT_QUIET_DAYS, SHORT_SEEDS)
    alarms = quiet(7, days, print)
    print(f"{days} days without drift: {len(alarms)} raised")  # noqa: T201
    found = shifts(seeds, print, workers)
    for line in table(found):
        print(line)  # noqa: T201
    true = [day for scenario in SCENARIOS if scenario.kinds for day in found[scenario.name]]
    false = [day for scenario in SCENARIOS if not scenario.kinds for day in found[scenario.name] if day]
    share = sum(day == 1 for day in true) / len(true)
    return {
        "value": round(share, 4),
        "unit": "of shifts found within a day",
        "peer": None,
        "ratio": None,
        "goal": f">= {GOAL:g}, nothing raised without drift",
        "holds": share >= GOAL and not alarms and not false,
        "quiet_days": days,
        "raised_without_drift": len(alarms),
        "raised_by_label_delay": len(false),
        "days_until_found": found,
        "seconds": round(time.perf_counter() - begun, 1),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--full", action="store_true", help=f"{QUIET_DAYS} days and {SEEDS} seeds a scenario")
    parser.add_argument("--workers", type=int, default=1, help="processes that share the seeds")
    given = parser.parse_args()
    print(measure(full=given.full, workers=given.workers))  # noqa: T201
