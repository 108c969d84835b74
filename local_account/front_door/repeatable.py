"""moto made repeatable: a replayed request draws the same ids and, in CloudWatch Logs, sees the same time.

moto has one random source for all threads, S3's upload ids come from `os.urandom`, and CloudWatch Logs refuses lines
from the future, where the account's clock may have been moved. All three are pointed at values that belong to the
thread that plays a request.
"""

from __future__ import annotations

import os
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from random import Random

import moto.logs.models
import moto.s3.models
from moto.moto_api._internal.moto_random import MotoRandom


class _OfThread(threading.local):
    source = Random()  # noqa: S311 - names of things, not secrets
    ahead_s = 0.0


_of_thread = _OfThread()


@contextmanager
def played(seed: int, ahead_s: float) -> Iterator[None]:
    """Within the block, this thread's moto ids follow from `seed`, and its logs are `ahead_s` ahead of the wall clock."""
    _of_thread.source, _of_thread.ahead_s = Random(seed), ahead_s  # noqa: S311 - names of things, not secrets
    try:
        yield
    finally:
        _of_thread.__dict__.clear()


def install() -> None:
    """Point moto's sources at the thread's own."""
    for owner, name, replacement in (
        (MotoRandom, "getrandbits", lambda self, k: _of_thread.source.getrandbits(k)),
        (MotoRandom, "random", lambda self: _of_thread.source.random()),
        (moto.s3.models, "os", types.SimpleNamespace(**{**vars(os), "urandom": _urandom})),
        (moto.logs.models, "utcnow", _utcnow),
    ):
        setattr(owner, name, replacement)


def _urandom(size: int) -> bytes:
    return _of_thread.source.randbytes(size)


def _utcnow() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None) + timedelta(seconds=_of_thread.ahead_s)
