"""Cyclic garbage, collected when nobody waits: a full collection holds the interpreter for half a second in a world of moto's size.

The young generations are collected as ever. The old one, which Python would go through in the middle of a request, is gone
through when few requests come, and what is left then is set aside (`gc.freeze`), so that the young ones stay small.
"""

from __future__ import annotations

import gc
import threading
import time
from collections.abc import Callable

_YOUNG = (10_000, 20)  # allocations before a collection of the youngest, and those before one of the middle
_NEVER = 1 << 30
_LOOK_EVERY_S = 1.0
_FEW = 5  # requests in the time between two looks
_AFTER_S = 60.0  # between two full collections at least
_AT_LAST_S = 600.0  # without a quiet moment


class Collector:
    """From `start` to `stop` the old generation is collected here and not by Python itself."""

    def __init__(self, answered: Callable[[], int]) -> None:
        self._answered = answered
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="collector", daemon=True)
        self._before = gc.get_threshold()

    def start(self) -> None:
        gc.set_threshold(*_YOUNG, _NEVER)
        _collect()
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        gc.set_threshold(*self._before)
        gc.unfreeze()

    def _run(self) -> None:
        collected, answered = time.monotonic(), self._answered()
        while not self._stopping.wait(_LOOK_EVERY_S):
            before, answered = answered, self._answered()
            age_s = time.monotonic() - collected
            if age_s > _AT_LAST_S or (age_s > _AFTER_S and answered - before < _FEW and gc.get_count()[2]):
                _collect()
                collected = time.monotonic()


def _collect() -> None:
    gc.unfreeze()
    gc.collect()
    gc.freeze()
