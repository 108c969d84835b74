"""Rows that outlive the process: what our own services acknowledged, in one SQLite file each.

A write is on disk (WAL, in the operating system's hands) before `put` returns, so a killed account comes back with
everything it answered for. JSON in, JSON out; never pickle. What is read often is kept as text: a query gives up Python's lock, and
has to wait for it again behind whoever is busy.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson

_KEPT = 512  # texts


class Records:
    """JSON documents by (kind, key), in insertion order within a kind; safe to share between threads."""

    def __init__(self, file: Path) -> None:
        file.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._texts: dict[tuple[str, str], str] = {}
        self._db = sqlite3.connect(file, check_same_thread=False, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.execute(
            "CREATE TABLE IF NOT EXISTS record (seq INTEGER PRIMARY KEY, kind TEXT, key TEXT, doc TEXT, UNIQUE (kind, key))"
        )

    def put(self, kind: str, key: str, doc: Any) -> None:
        text = json.dumps(doc)
        with self._lock:
            self._db.execute(
                "INSERT INTO record (kind, key, doc) VALUES (?, ?, ?) ON CONFLICT (kind, key) DO UPDATE SET doc = excluded.doc",
                (kind, key, text),
            )
            self._texts.pop((kind, key), None)

    def get(self, kind: str, key: str) -> Any | None:
        if (text := self._texts.get((kind, key))) is not None:
            return _read(text)
        with self._lock:
            row = self._db.execute("SELECT doc FROM record WHERE kind = ? AND key = ?", (kind, key)).fetchone()
            if row is None:
                return None
            if len(self._texts) >= _KEPT:
                self._texts.clear()
            self._texts[kind, key] = row[0]
        return _read(row[0])

    def delete(self, kind: str, key: str) -> None:
        with self._lock:
            self._db.execute("DELETE FROM record WHERE kind = ? AND key = ?", (kind, key))
            self._texts.pop((kind, key), None)

    def all(self, kind: str) -> Iterator[tuple[str, Any]]:
        """(key, document) of one kind, oldest first, as they stand now."""
        with self._lock:
            rows = self._db.execute("SELECT key, doc FROM record WHERE kind = ? ORDER BY seq", (kind,)).fetchall()
        for key, doc in rows:
            yield key, _read(doc)

    def close(self) -> None:
        with self._lock:
            self._db.close()


def _read(text: str) -> Any:
    try:
        return orjson.loads(text)
    except ValueError:  # NaN and the like, which json.dumps writes
        return json.loads(text)
