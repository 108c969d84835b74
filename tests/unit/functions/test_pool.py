"""A pool reuses what is warm, grows to its limit, and lets go of what is dead, old or no longer wanted."""

from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

from local_account.functions import pool as pool_module
from local_account.functions.environment import Invocation, Outcome
from local_account.functions.pool import NoCapacity, Pool

CALL = Invocation("id", b"{}", "arn", "trace")


class Environment:
    """Answers at once; `then` is run in the middle of an invocation."""

    def __init__(self, number: int, provisioned: bool, then: Any = None) -> None:
        self.number, self.provisioned, self.then = number, provisioned, then
        self.alive, self.ended = True, False
        self.started = self.last_used = time.monotonic()

    def init(self) -> None: ...

    def usable(self) -> bool:
        return self.alive

    def invoke(self, _call: Invocation) -> Outcome:
        if self.then:
            self.then(self)
        return Outcome(str(self.number).encode(), False, [], 0.0, "stream")

    def end(self) -> None:
        self.alive, self.ended = False, True

    def kill(self) -> None:
        self.alive = False


class World:
    """A pool whose starts and calls take what they are said to take, by a clock that nothing else moves."""

    def __init__(self, limit: int = 2) -> None:
        self.made: list[Environment] = []
        self.then: Any = None
        self.while_starting: Any = None
        self.start_takes_s = self.call_takes_s = 0.0
        self.now = 0.0
        self.pool = Pool(self.start, limit)  # type: ignore[arg-type]

    def start(self, provisioned: bool) -> Environment:
        self.now += self.start_takes_s
        if self.while_starting:
            self.while_starting()
        self.made.append(Environment(len(self.made), provisioned, self.during))
        return self.made[-1]

    def during(self, one: Environment) -> None:
        self.now += self.call_takes_s
        if self.then:
            self.then(one)

    def invoke(self) -> int:
        return int(self.pool.invoke(CALL, 0.0).payload)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    world = World(limit=4)
    monkeypatch.setattr(pool_module, "time", SimpleNamespace(monotonic=lambda: world.now))
    return world


def test_a_warm_environment_is_used_again() -> None:
    world = World()
    assert [world.invoke(), world.invoke()] == [0, 0]


def test_a_call_during_a_call_gets_another_environment_and_the_limit_holds() -> None:
    world = World(limit=2)
    inner: list[Any] = []

    def nest(_one: Environment) -> None:
        try:
            inner.append(world.invoke())
        except NoCapacity:
            inner.append("none free")

    world.then = nest
    assert world.invoke() == 0
    assert inner == ["none free", 1]


def test_a_call_waits_for_a_warm_environment_that_is_free_sooner_than_a_new_one(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(pool_module, "_LEAST_PATIENCE_S", 60.0)
    world.start_takes_s = 30.0
    world.invoke()
    inside, go_on = threading.Event(), threading.Event()
    world.then = lambda _one: (inside.set(), go_on.wait(10))
    with ThreadPoolExecutor(2) as callers:
        first = callers.submit(world.pool.invoke, CALL, 60.0)
        inside.wait(10)
        second = callers.submit(world.pool.invoke, CALL, 60.0)
        world.then = None
        go_on.set()
        assert {first.result(10).payload, second.result(10).payload} == {b"0"}


def test_a_call_does_not_wait_where_calls_take_longer_than_a_start(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(pool_module, "_LEAST_PATIENCE_S", 3600.0)
    world.start_takes_s, world.call_takes_s = 1.0, 5.0
    world.invoke()
    inner: list[int] = []
    world.then = lambda one: inner.append(world.invoke()) if one.number == 0 else None
    assert world.invoke() == 0
    assert inner == [1]


def test_who_has_another_started_takes_what_is_free_first(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(pool_module, "_LEAST_PATIENCE_S", 0.0)
    world.start_takes_s = 30.0
    world.invoke()
    inside, go_on, starting, started = (threading.Event() for _ in range(4))
    world.then = lambda _one: (inside.set(), go_on.wait(10))
    world.while_starting = lambda: (starting.set(), started.wait(10))
    with ThreadPoolExecutor(2) as callers:
        first = callers.submit(world.pool.invoke, CALL, 60.0)
        inside.wait(10)
        second = callers.submit(world.pool.invoke, CALL, 60.0)
        starting.wait(10)
        world.then = None
        go_on.set()
        assert {first.result(10).payload, second.result(10).payload} == {b"0"}  # and the start goes on
        started.set()


def test_a_start_that_fails_is_told_to_who_waits(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(pool_module, "_LEAST_PATIENCE_S", 0.0)
    world.invoke()

    def fail() -> None:
        raise OSError("no process can be had")

    def nest(_one: Environment) -> None:
        world.while_starting = fail
        with pytest.raises(OSError, match="no process"):
            world.pool.invoke(CALL, 60.0)

    world.then = nest
    assert world.invoke() == 0


def test_no_more_start_at_once_than_cores_can_be_spared(world: World, monkeypatch: Any) -> None:
    monkeypatch.setattr(pool_module, "STARTS_AT_ONCE", 1)

    def second_start() -> None:
        with pytest.raises(NoCapacity):
            world.invoke()

    world.while_starting = second_start
    assert world.invoke() == 0


def test_an_environment_that_died_is_replaced_and_frees_its_place() -> None:
    world = World(limit=1)
    world.then = lambda one: setattr(one, "alive", False)
    assert [world.invoke(), world.invoke(), world.invoke()] == [0, 1, 2]
    assert all(one.ended for one in world.made)


def test_a_retired_pool_ends_the_idle_now_and_the_busy_when_it_is_done() -> None:
    world = World()
    world.then = lambda _one: world.pool.retire()
    assert world.invoke() == 0
    assert world.made[0].ended
    assert world.pool.warm == 0


def test_provisioned_environments_are_kept_and_others_are_reaped(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(limit=3)
    world.pool.keep_warm(2)
    assert [one.provisioned for one in world.made] == [True, True]
    monkeypatch.setattr(pool_module, "IDLE_S", -1.0)
    world.pool.maintain()
    assert world.pool.warm == 2
    world.pool.keep_warm(0)
    assert world.pool.warm == 0
    assert all(one.ended for one in world.made)


def test_an_old_environment_is_renewed_though_it_is_provisioned(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.pool.keep_warm(1)
    world.made[0].started -= pool_module.AGE_S + 1
    world.pool.maintain()
    assert [one.ended for one in world.made] == [True, False]


def test_a_killed_pool_takes_no_call() -> None:
    world = World()
    world.invoke()
    world.pool.kill()
    with pytest.raises(NoCapacity):
        world.invoke()
    assert all(one.ended for one in world.made)
