"""A stack with releases of a few lines on stage, and visitors who keep a log of their own: beds of the rollout benchmarks."""

from __future__ import annotations

import asyncio
import json
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from cli.site import Site
from cli.stage import read_traffic
from simulator.http_client import NoAnswer, SignedApi

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # `support`: the same small releases as the tests'

PATIENCE_S = 600.0
TIMEOUT_S = 10.0
TURNED_AWAY = 0  # the status of a request that nobody answered


@dataclass(frozen=True, slots=True)
class Answer:
    """One request as its visitor saw it; times by time.monotonic()."""

    sent: float
    received: float
    status: int
    said: dict[str, Any]

    @property
    def release(self) -> str:
        return str(self.said.get("release_id", ""))


class Visitors:
    """Requests at a steady rate, whoever answers how late: `with Visitors(site, rate) as visitors: ... visitors.answers`."""

    def __init__(self, site: Site, rate: float, users: int = 2000) -> None:
        self._site, self._rate, self._users = site, rate, users
        self.answers: list[Answer] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._visit()), name="visitors")

    def __enter__(self) -> Visitors:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    async def _visit(self) -> None:
        session = self._site.session
        api = SignedApi(self._site.outputs["ApiUrl"], session.get_credentials(), session.region_name or "us-east-1")
        began, number = time.monotonic(), 0
        async with asyncio.TaskGroup() as under_way:
            while not self._over.is_set():
                under_way.create_task(self._ask(api, f"u{number % self._users}"))
                number += 1
                await asyncio.sleep(max(0.0, began + number / self._rate - time.monotonic()))
        api.close()

    async def _ask(self, api: SignedApi, user_id: str) -> None:
        sent, body = time.monotonic(), json.dumps({"user_id": user_id, "k": 5}).encode()
        try:
            status, data = await api.post("/recommend", body, TIMEOUT_S)
        except (NoAnswer, TimeoutError):
            status, data = TURNED_AWAY, b"{}"
        self.answers.append(Answer(sent, time.monotonic(), status, json.loads(data)))


@contextmanager
def small_stack(first_release: str, **parameters: str) -> Iterator[Site]:
    """A local account of its own with the stack in it and `first_release` serving everybody; gone at the end."""
    from support.deployed import deployed
    from support.small_releases import approve_release, put_release

    with TemporaryDirectory() as folder, deployed(Path(folder), **parameters) as site:
        put_release(site, first_release, age_s=1000)
        approve_release(site, first_release)
        wait_for(lambda: read_traffic(site))
        try:
            yield site
        except SystemExit:
            print(f"traffic was {read_traffic(site)}")  # noqa: T201
            raise


def bring(site: Site, release_id: str) -> None:
    """The next release, approved: its rollout starts by itself."""
    from support.small_releases import approve_release, put_release

    put_release(site, release_id)
    approve_release(site, release_id)


def candidate_at(site: Site, release_id: str, share_bp: int = 0) -> dict[str, Any] | None:
    """Traffic, if the release is its candidate and meets that share of the users at least."""
    traffic = read_traffic(site) or {}
    standing = traffic.get("candidate") or {}
    return traffic if standing.get("release") == release_id and traffic["share_bp"] >= share_bp else None


def wait_for(look: Callable[[], Any], patience_s: float = PATIENCE_S, pause_s: float = 0.1) -> Any:
    """What a look finds at last.

    Raises
    ------
    SystemExit
        It did not come about: nothing can be measured.
    """
    ends = time.monotonic() + patience_s
    while not (found := look()):
        if time.monotonic() > ends:
            raise SystemExit(f"what was waited for did not come about in {patience_s:.0f} s")
        time.sleep(pause_s)
    return found
