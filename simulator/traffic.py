"""Simulated users at the deployed HTTP API: they ask, look at the places, click by their taste, and tell what they did.

Open loop: visits come at their own times (Poisson), whether or not the last answer is in, so a slow recommender cannot slow down
its own measurement. One event loop, kept-alive connections; every answer goes to a log of the clients' own, one JSON line each:

    {"at", "what": "recommend", "visit", "user_id", "status", "latency_ms", "release_id", "degraded", "items", "recommendation_id"}
    {"at", "what": "events", "visit", "user_id", "status", "latency_ms", "release_id", "accepted", "duplicates", "rejected", "clicks"}

`status` 0 means that no answer came; `error` says why where a client would have seen one.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import IO, Any, Protocol

import boto3
import uvloop

from simulator.http_client import SignedApi
from simulator.stream import HOURS
from simulator.tally import Tally
from simulator.tastes import Tastes
from simulator.visits import Visits

TELL_S = 1.0
MAX_OPEN = 400  # visits under way; a client machine has an end too, and what it did not send is counted as held back
DAY_S = 86_400


class Site(Protocol):
    """Where the API is: `cli.site.Site`, or anything with a session and the stack's outputs."""

    @property
    def session(self) -> boto3.Session: ...

    @property
    def outputs(self) -> dict[str, str]: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How much traffic, and how unruly."""

    rps: float = 10.0  # visits a second, averaged over a day
    seconds: float = 60.0
    k: int = 10
    seed: int = 1
    duplicate_share: float = 0.02  # of feedback posts that are sent twice
    late_share: float = 0.02  # of feedback posts that come late
    late_s: float = 5.0  # how late; they are waited for at the end
    day_s: float | None = None  # seconds in which a whole day's ups and downs pass; 86400: the clock's own; None: none
    timeout_s: float = 10.0
    log: Path | None = None

    def __post_init__(self) -> None:
        if self.rps <= 0 or self.seconds <= 0 or not 1 <= self.k <= 100:
            raise ValueError(
                f"rps {self.rps}, seconds {self.seconds}, k {self.k}; expected rps, seconds > 0 and k 1-100"
            )


def load_at(options: Options, hour: float) -> float:
    """Visits a second at an hour of the day, 0-24: the simulated app's own day, its average being `rps`."""
    if options.day_s is None:
        return options.rps
    return float(options.rps * HOURS[int(hour) % 24] / HOURS.mean())


def run(
    site: Site,
    tastes: Tastes,
    options: Options,
    *,
    progress: Callable[[Tally], None] | None = None,
    stop: threading.Event | None = None,
    pace: Callable[[], float] = lambda: 1.0,
    clock: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> Tally:
    """Send traffic until its time is over or `stop` is set, and wait for what is under way.

    Parameters
    ----------
    progress : callable, optional
        Called about once a second, on this thread, with the tally so far.
    pace : callable
        Asked before each visit: by how much the load is more (or less) than `options` say; above 0.
    clock : callable
        The account's time; a local account's clock may have been moved.
    """
    return uvloop.run(_Load(site, tastes, options, progress, stop or threading.Event(), pace, clock).run())


class Background:
    """Traffic on a thread of its own: `with Background(site, tastes, options) as traffic: ... traffic.tally`.

    `pace` may be changed while it runs: 0.1 sends a tenth of what the options say.
    """

    def __init__(self, site: Site, tastes: Tastes, options: Options) -> None:
        self.tally, self.pace = Tally(), 1.0
        self._stop, self._failure = threading.Event(), list[BaseException]()
        self._thread = threading.Thread(target=self._run, args=(site, tastes, options), name="traffic", daemon=True)

    def __enter__(self) -> Background:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> Tally:
        """End it, wait for the answers under way, and give what was counted; what went wrong with it is raised here."""
        self._stop.set()
        self._thread.join()
        if self._failure:
            raise self._failure[0]
        return self.tally

    def _run(self, site: Site, tastes: Tastes, options: Options) -> None:
        def keep(tally: Tally) -> None:
            self.tally = tally

        try:
            self.tally = run(site, tastes, options, progress=keep, stop=self._stop, pace=lambda: self.pace)
        except Exception as error:  # noqa: BLE001 - raised again by stop()
            self._failure.append(error)


class _Load:
    def __init__(
        self,
        site: Site,
        tastes: Tastes,
        options: Options,
        progress: Callable[[Tally], None] | None,
        stop: threading.Event,
        pace: Callable[[], float],
        clock: Callable[[], datetime],
    ) -> None:
        self._options, self._progress, self._stop, self._pace, self._clock = options, progress, stop, pace, clock
        region, credentials = site.session.region_name or "us-east-1", site.session.get_credentials()
        self._api = SignedApi(site.outputs["ApiUrl"], credentials, region)
        self._tastes, self._rng, self._tally = tastes, Random(options.seed), Tally()
        self._log: IO[str] | None = None

    async def run(self) -> Tally:
        began, cpu = time.monotonic(), time.thread_time()
        if self._options.log is not None:
            self._options.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self._options.log or "/dev/null", "w", encoding="utf-8", buffering=1 << 16) as log:
            self._log = log if self._options.log else None
            visits = Visits(self._api, self._tastes, self._options, self._tally, self._rng, self._write)
            teller = asyncio.create_task(self._tell(began, cpu))
            async with asyncio.TaskGroup() as under_way:
                await self._send(under_way, visits, began)
            teller.cancel()
        self._api.close()
        self._count_time(began, cpu)
        return self._tally

    async def _send(self, under_way: asyncio.TaskGroup, visits: Visits, began: float) -> None:
        """Visits at Poisson times."""
        due, number, open_now = began, 0, set[asyncio.Task[None]]()
        while True:
            load = load_at(self._options, self._hour(time.monotonic() - began)) * self._pace()
            due += self._rng.expovariate(load)
            if due - began >= self._options.seconds:
                await self._sleep_until(began + self._options.seconds)
                return
            await self._sleep_until(due)
            if self._stop.is_set():
                return
            number += 1
            if len(open_now) >= MAX_OPEN:
                self._tally.held_back += 1
                continue
            visit = under_way.create_task(visits.visit(number))
            open_now.add(visit)
            visit.add_done_callback(open_now.discard)

    async def _sleep_until(self, due: float) -> None:
        while (left := due - time.monotonic()) > 0 and not self._stop.is_set():
            await asyncio.sleep(min(left, 0.2))

    async def _tell(self, began: float, cpu: float) -> None:
        while True:
            await asyncio.sleep(TELL_S)
            self._count_time(began, cpu)
            if self._log is not None:
                self._log.flush()
            if self._progress is not None:
                self._progress(self._tally)

    def _count_time(self, began: float, cpu: float) -> None:
        self._tally.seconds, self._tally.cpu_s = time.monotonic() - began, time.thread_time() - cpu

    def _hour(self, elapsed_s: float) -> float:
        now = self._clock()
        second = (now - now.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
        day_s = self._options.day_s
        if day_s is not None and day_s != DAY_S:
            second = elapsed_s / day_s * DAY_S
        return second / 3600 % 24

    def _write(self, line: dict[str, Any]) -> None:
        if self._log is not None:
            self._log.write(json.dumps(line, separators=(",", ":")) + "\n")
