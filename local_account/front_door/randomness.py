"""moto's ids, made repeatable: each request draws them from its own seed, so a replayed request names things as it did.

moto has one random source for all threads, and S3's upload ids come from `os.urandom`; both are pointed at a source
that belongs to the thread.
"""

from __future__ import annotations

import os
import threading
import types
from collections.abc import Iterator
from contextlib import contextmanager
from random import Random

import moto.s3.models
from moto.moto_api._internal.moto_random import MotoRandom

_of_thread = threading.local()


def _source() -> Random:
    source: Random | None = getattr(_of_thread, "source", None)
    return source if source is not None else _unseeded


_unseeded = Random()  # noqa: S311 - names of things, not secrets


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within the block, this thread's moto ids follow from `seed` alone."""
    _of_thread.source = Random(seed)  # noqa: S311 - names of things, not secrets
    try:
        yield
    finally:
        _of_thread.source = None


def _getrandbits(self: MotoRandom, k: int) -> int:
    return _source().getrandbits(k)


def _random(self: MotoRandom) -> float:
    return _source().random()


def _urandom(size: int) -> bytes:
    return _source().randbytes(size)


def install() -> None:
    """Point moto's sources of randomness at the thread's own."""
    for owner, name, replacement in (
        (MotoRandom, "getrandbits", _getrandbits),
        (MotoRandom, "random", _random),
        (moto.s3.models, "os", types.SimpleNamespace(**{**vars(os), "urandom": _urandom})),
    ):
        setattr(owner, name, replacement)
