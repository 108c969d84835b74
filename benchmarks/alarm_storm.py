"""Alarms told thrice, out of order and a day late, and storms of fifty at once: what is lost, and how many retrains a storm makes.

(a) 10,000 occasions of 17 alarms that flap for 20 days, each told three times within ten minutes in any order; of 10 % everything is
dropped and redriven a day later. Lost is an occasion without a settled decision at the end.
(b) 1,000 drifts, each of 50 events by 50 threads at the same moment, with a sweep in their midst, one cool-down after the other.
(c) the same in small through the deployed functions of a local account, the events by its EventBridge.

(a) and (b) run the doors' own code on the DynamoDB that DYNAMODB_URL names (DynamoDB Local); without it on the local account, with
a twentieth of the events, since moto behind the front door is that much slower.
"""

from __future__ import annotations

import os
import random
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import uuid4

import boto3
from botocore.config import Config

from benchmarks.alarm_world import BEGAN, COOL_DOWN_S, STACK, TimedAlarms, create_tables, reactor
from understudy.adapters.answering import Reactor
from understudy.contracts.reactions import Occasion, StateValue
from understudy.domain.alarms import occasion_of

EVENTS, STORMS, WIDTH, THREADS = 10_000, 1_000, 50, 16
SCALE_ON_MOTO = 20
DRIFTS = [f"drift-{kind}" for kind in ("data-quality", "model-quality", "bias", "explainability", "ranking-quality")]
OTHERS = [*(drift.replace("drift", "silent") for drift in DRIFTS), "schema-data-quality", "schema-model-quality"]
OTHERS += ["health-blue", "errors-ranker-blue", "latency-ranker-blue", "health-green", "dead-letters"]
DAYS = 20


@dataclass
class Tally:
    """What came of the events: `lost` were never decided or never settled; `close` are retrains inside a cool-down."""

    events: int = 0
    deliveries: int = 0
    lost: int = 0
    close: int = 0
    retrains: int = 0
    failures: list[str] = field(default_factory=list)


def measure() -> dict[str, Any]:
    """All three; the value is events lost and storms without exactly one retrain."""
    from benchmarks.alarm_deployed import deployed_storms

    began = time.monotonic()
    with store() as (dynamodb, engine):
        scale = 1 if engine == "DynamoDB Local" else SCALE_ON_MOTO
        tally = scattered(dynamodb, events=EVENTS // scale)
        wrong = [count for count in storms(dynamodb, STORMS // scale) if count != 1]
    direct_s = time.monotonic() - began
    deployed = deployed_storms()
    value = tally.lost + tally.close + len(wrong) + deployed.lost + deployed.wrong
    return {
        "value": value,
        "unit": "events lost and storms without exactly one retrain",
        "peer": None,
        "ratio": None,
        "goal": 0,
        "holds": value == 0 and not tally.failures,
        "engine": engine,
        "scattered": vars(tally),
        "storms": {"storms": STORMS // scale, "width": WIDTH, "wrong": wrong},
        "deployed": vars(deployed),
        "seconds": direct_s,
    }


@contextmanager
def store() -> Iterator[tuple[Any, str]]:
    """A DynamoDB client, and whose DynamoDB it is."""
    config = Config(max_pool_connections=WIDTH + THREADS)
    if url := os.environ.get("DYNAMODB_URL"):
        keys = {"aws_access_key_id": "key", "aws_secret_access_key": "secret"}
        yield (
            boto3.client("dynamodb", endpoint_url=url, region_name="us-east-1", config=config, **keys),
            "DynamoDB Local",
        )
        return
    from local_account.front_door.local import LocalAccount

    with tempfile.TemporaryDirectory() as folder:
        account = LocalAccount(Path(folder))
        account.start()
        operator = account.identities.operator
        keys = {"aws_access_key_id": operator.access_key_id, "aws_secret_access_key": operator.secret_access_key}
        client = boto3.client(
            "dynamodb", endpoint_url=account.endpoint_url, region_name="us-east-1", config=config, **keys
        )
        yield client, "local account"
        account.stop()


def flapping(events: int, days: int, rng: random.Random) -> list[Occasion]:
    """`events` transitions of all alarms, each alarm's alternating, over `days`."""
    names = [f"{STACK}-{what}" for what in (*DRIFTS, *OTHERS)]
    found: list[Occasion] = []
    for place, name in enumerate(names):
        count = len(range(place, events, len(names)))
        times = sorted(rng.sample(range(days * 86_400), count))
        states: tuple[StateValue, StateValue] = ("ALARM", "OK")
        found += [occasion_of(name, states[n % 2], BEGAN + timedelta(seconds=at)) for n, at in enumerate(times)]
    return found


def deliveries(occasions: list[Occasion], rng: random.Random) -> list[tuple[datetime, Occasion]]:
    """Each occasion thrice, within ten minutes; all three a day later for one in ten; and one in twenty once more the next day."""
    heard: list[tuple[datetime, Occasion]] = []
    for one in occasions:
        late = timedelta(days=1) if rng.random() < 0.1 else timedelta(0)
        heard += [(one.at + late + timedelta(seconds=rng.uniform(0, 600)), one) for _ in range(3)]
        if rng.random() < 0.05:
            heard.append((one.at + timedelta(days=1, seconds=rng.uniform(0, 600)), one))
    return sorted(heard, key=lambda each: each[0])


def scattered(dynamodb: Any, *, events: int, seed: int = 0, threads: int = THREADS, days: int = DAYS) -> Tally:
    """(a), with a sweep every simulated hour; at the end every alarm goes out."""
    rng = random.Random(seed)
    occasions = flapping(events, days, rng)
    heard: list[tuple[datetime, Occasion | None]] = [*deliveries(occasions, rng)]
    heard += [(BEGAN + timedelta(hours=hour), None) for hour in range(1, 24 * days)]
    heard.sort(key=lambda each: each[0])
    end = heard[-1][0] + timedelta(days=1)
    alarms = TimedAlarms(occasions)
    alarms.tell([occasion_of(f"{STACK}-{what}", "OK", end) for what in (*DRIFTS, *OTHERS)])
    house = reactor(dynamodb, create_tables(dynamodb, f"-{uuid4().hex[:8]}"), alarms)
    tally = Tally(events=len(occasions), deliveries=len(heard))

    def hear(told: tuple[datetime, Occasion | None]) -> None:
        now, occasion = alarms.at(told[0]), told[1]
        try:
            house.sweep(now) if occasion is None else house.answer(occasion, now)
        except Exception as error:  # noqa: BLE001 - counted, as a queue would keep it
            tally.failures.append(repr(error))

    with ThreadPoolExecutor(threads) as pool:
        list(pool.map(hear, heard))
    for minutes in (1, 30):
        hear((end + timedelta(minutes=minutes), None))
    return count(tally, house, occasions)


def count(tally: Tally, house: Reactor, occasions: list[Occasion]) -> Tally:
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(house.reactions.get, set(occasions)))
    tally.lost = sum(one is None or not one.settled for one in found)
    runs = sorted(one.decided_at for one in found if one is not None and one.action == "retrain")
    tally.close = sum(later - earlier < timedelta(seconds=COOL_DOWN_S) for earlier, later in pairwise(runs))
    tally.retrains = len(house.states.nights())
    return tally


def storms(dynamodb: Any, number: int, *, width: int = WIDTH, seed: int = 0) -> list[int]:
    """(b): how many retrains each storm started."""
    rng, alarms = random.Random(seed), TimedAlarms([])
    house = reactor(dynamodb, create_tables(dynamodb, f"-{uuid4().hex[:8]}"), alarms)
    counts: list[int] = []
    with ThreadPoolExecutor(width + 1) as pool:
        for storm in range(number):
            at, before = BEGAN + timedelta(seconds=storm * (COOL_DOWN_S + 7200)), len(house.states.nights())
            names = [f"{STACK}-{drift}" for drift in DRIFTS]
            alarms.tell([occasion_of(name, "ALARM", at) for name in names])
            told = [
                occasion_of(rng.choice(names), "ALARM", at + timedelta(seconds=rng.choice((0, 0, 1, 2))))
                for _ in range(width)
            ]
            at_once(pool, width + 1, _strike(house, alarms, told, at + timedelta(seconds=5)))
            counts.append(len(house.states.nights()) - before)
            alarms.tell([occasion_of(name, "OK", at + timedelta(hours=1)) for name in names])
            house.sweep(alarms.at(at + timedelta(hours=2)))
    return counts


def _strike(house: Reactor, alarms: TimedAlarms, told: list[Occasion], now: datetime) -> Callable[[int], None]:
    def strike(number: int) -> None:
        alarms.at(now)
        house.sweep(now) if number == len(told) else house.answer(told[number], now)

    return strike


def at_once(pool: ThreadPoolExecutor, width: int, strike: Callable[[int], None]) -> None:
    """Everybody waits for everybody, then strikes; the first failure is raised."""
    ready = threading.Barrier(width)

    def run(number: int) -> None:
        ready.wait()
        strike(number)

    for done in [pool.submit(run, number) for number in range(width)]:
        done.result()
