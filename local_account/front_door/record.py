"""What must be known to make a request to moto again and get the same world."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from typing import Any


@dataclass(kw_only=True)
class Record:
    service: str
    operation: str
    method: str
    path: str
    query: str
    headers: dict[str, str]
    at: float = field(default_factory=time.time)  # wall clock, epoch seconds
    ahead_s: float = 0.0  # how far the account's clock was ahead of it
    seed: int = field(default_factory=lambda: secrets.randbits(63))
    note: str = ""  # what compaction must know of the answer: the id of a multipart upload
    blob: str | None = None  # name of the file that holds the body, if it is large
    load: Callable[[], bytes] = bytes

    @property
    def body(self) -> bytes:
        return self.load()

    def head(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in _HEAD}

    @classmethod
    def from_head(cls, head: dict[str, Any], load: Callable[[], bytes]) -> Record:
        return cls(**head, load=load)


_HEAD = [entry.name for entry in fields(Record) if entry.name != "load"]
