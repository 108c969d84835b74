"""Warm execution environments of one function version: reused last in first out, so that what is not needed grows old.

Lambda starts an environment for every call that finds none free. Here a start takes a core for as long as dozens of warm calls, so
that a burst which starts one for each of its calls makes all of them slower: a call waits for a warm one while that is expected to be
sooner (`Pool._patience_s`), and only as many start at once as leave a core to those that answer. Who waited long enough to have one started still
takes what is free first: the new one, or one that was busy.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable

from local_account.functions.environment import ExecutionEnvironment, Invocation, Outcome

IDLE_S = 300.0  # an environment nobody called for this long is ended
AGE_S = 3 * 3600.0  # and one this old is renewed, before its role's credentials run out
STARTS_AT_ONCE = max(1, (os.cpu_count() or 2) - 1)  # of a function: a core stays for those that answer
_LEAST_PATIENCE_S = 0.01
_NEWEST = 0.1  # weight of the newest call in what a call usually takes


class NoCapacity(Exception):
    """Every environment stayed busy for as long as the caller would wait."""


class Pool:
    """Execution environments of one version, one invocation each at a time.

    Parameters
    ----------
    start
        Makes an environment; `start(True)` makes a provisioned one.
    limit : int
        Most environments at once. Beyond it callers wait: a laptop has no other machine to scale out to.
    """

    def __init__(self, start: Callable[[bool], ExecutionEnvironment], limit: int) -> None:
        self._start, self._limit = start, limit
        self._idle: deque[ExecutionEnvironment] = deque()
        self._busy: set[ExecutionEnvironment] = set()
        self._total = self._starting = self._waiting = 0
        self._call_s: float | None = None  # what a call usually takes, and what the last start took
        self._start_s = 0.0
        self._keep = 0
        self._retired = self._killed = False
        self._failed: deque[BaseException] = deque()  # starts that failed while somebody waited, not told yet
        self._freed = threading.Condition()

    def invoke(self, call: Invocation, wait_s: float) -> Outcome:
        """Serve one invocation in a warm environment, or in a new one.

        Raises
        ------
        NoCapacity
            If none became free within `wait_s` seconds.
        """
        environment = self._acquire(wait_s)
        try:
            with self._freed:
                if self._killed:
                    raise NoCapacity
                self._busy.add(environment)
            began = time.monotonic()
            outcome = environment.invoke(call)
            took_s = time.monotonic() - began
            self._call_s = took_s if self._call_s is None else self._call_s + _NEWEST * (took_s - self._call_s)
            return outcome
        finally:
            self._busy.discard(environment)
            self._release(environment)

    def keep_warm(self, count: int) -> None:
        """Provisioned concurrency: that many are initialised ahead of calls and never reaped. Blocks until they are."""
        with self._freed:
            self._keep = min(count, self._limit)
        self.maintain()

    @property
    def warm(self) -> int:
        with self._freed:
            return self._total

    @property
    def kept(self) -> int:
        with self._freed:
            return self._keep

    def maintain(self) -> None:
        """End what is idle, old or gone, and start what provisioned concurrency asks for."""
        with self._freed:
            stale = [one for one in self._idle if self._is_stale(one)]
            for one in stale:
                self._idle.remove(one)
            self._total -= len(stale)
        for one in stale:
            one.end()
        while self._reserve_for_provisioned():
            self._release(self._new(provisioned=True))

    def retire(self) -> None:
        """No new calls (the code has changed): idle environments end now, busy ones when they are done."""
        with self._freed:
            self._retired, self._keep = True, 0
            idle, self._idle = list(self._idle), deque()
            self._total -= len(idle)
            self._freed.notify_all()
        for one in idle:
            one.end()

    def kill(self) -> None:
        """The account stops: busy environments end too, in the middle of what they do."""
        with self._freed:
            self._killed = True
            busy = list(self._busy)
        self.retire()
        for one in busy:
            one.kill()

    def _is_stale(self, one: ExecutionEnvironment) -> bool:
        now = time.monotonic()
        unused = now - one.last_used > IDLE_S and self._total > self._keep
        return unused or now - one.started > AGE_S or not one.usable()

    def _reserve_for_provisioned(self) -> bool:
        with self._freed:
            if self._retired or self._total >= self._keep:
                return False
            self._total += 1
            self._starting += 1
            return True

    def _acquire(self, wait_s: float) -> ExecutionEnvironment:
        while True:
            environment = self._take(time.monotonic() + wait_s)
            if environment is None:
                return self._new(provisioned=False)
            if environment.usable():
                return environment
            self._discard(environment)

    def _take(self, deadline: float) -> ExecutionEnvironment | None:
        """The environment that is free first, or None for the right to start one where none is warm."""
        began, waits_for_start = time.monotonic(), False
        with self._freed:
            self._waiting += 1
            try:
                while not self._idle:
                    if self._failed:
                        raise self._failed.popleft()
                    now = time.monotonic()
                    left = deadline - now
                    if self._total < self._limit and self._starting < min(STARTS_AT_ONCE, self._waiting):
                        patience_s = self._patience_s() - (now - began)
                        if patience_s <= 0 or left <= 0:
                            self._total += 1
                            self._starting += 1
                            if self._total == self._starting:  # none is warm
                                return None
                            threading.Thread(target=self._start_spare, daemon=True).start()
                            waits_for_start = True
                            continue
                        left = min(left, patience_s)
                    elif left <= 0 and not (waits_for_start and self._starting):
                        raise NoCapacity
                    self._freed.wait(left if left > 0 else None)
                return self._idle.pop()
            finally:
                self._waiting -= 1

    def _start_spare(self) -> None:
        """Another environment for those who wait; they learn of it if it cannot be had."""
        try:
            environment = self._new(provisioned=False)
        except Exception as error:  # noqa: BLE001 - told to whoever waits
            with self._freed:
                if self._waiting:
                    self._failed.append(error)
                    self._freed.notify()
            return
        self._release(environment)

    def _patience_s(self) -> float:
        """How long a call waits for a warm environment: not at all where a start is expected to be sooner."""
        warm = self._total - self._starting
        if warm <= 0 or self._call_s is None:
            return 0.0
        expected_s = self._call_s * self._waiting / warm
        return 0.0 if expected_s >= self._start_s else max(_LEAST_PATIENCE_S, 2 * expected_s)

    def _new(self, provisioned: bool) -> ExecutionEnvironment:
        began = time.monotonic()
        try:
            environment = self._start(provisioned)
            environment.init()
        except BaseException:
            with self._freed:
                self._total -= 1
            raise
        finally:
            with self._freed:
                self._starting -= 1
                self._start_s = time.monotonic() - began
                self._freed.notify_all()
        return environment

    def _release(self, environment: ExecutionEnvironment) -> None:
        with self._freed:
            if environment.alive and not self._retired:
                self._idle.append(environment)
                self._freed.notify()
                return
        self._discard(environment)

    def _discard(self, environment: ExecutionEnvironment) -> None:
        with self._freed:
            self._total -= 1
            self._freed.notify()
        environment.end()
