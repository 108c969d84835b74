"""Records of one stream on disk until they are in S3.

A buffer is one file, appended to with a single write per call. When it is full or old enough it is renamed, and its new
name holds what its S3 key is made of: a delivery that was cut off is done again under the same key, which makes no
second object.
"""

from __future__ import annotations

import os
import struct
import threading
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

_LENGTH = struct.Struct("<I")
_OPEN, _READY = ".open", ".ready"


class Spool:
    """The buffer that records go to, and the ones that wait to be delivered."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._folder = folder
        self._lock = threading.Lock()
        self._file: int | None = None
        self._path = folder
        self._size = 0
        self._since = 0.0
        for left in folder.glob(f"*{_OPEN}"):  # a buffer that was open when the account ended
            left.rename(left.with_suffix(_READY))

    def append(self, records: Sequence[bytes], now: float) -> None:
        """Records are in the operating system's hands when this returns."""
        data = b"".join(_LENGTH.pack(len(record)) + record for record in records)
        with self._lock:
            if self._file is None:
                self._path = self._folder / f"{int(now * 1000)}~{uuid.uuid4()}{_OPEN}"
                self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
                self._size, self._since = 0, now
            _write_whole(self._file, data)
            self._size += len(data)

    def rotate_if(self, now: float, size: int, age_s: float) -> None:
        """Close the buffer for delivery when it is that large or that old."""
        with self._lock:
            if self._file is not None and (self._size >= size or now - self._since >= age_s):
                os.close(self._file)
                self._file = None
                self._path.rename(self._path.with_suffix(_READY))

    def ready(self) -> list[Path]:
        """Buffers to deliver, oldest first."""
        return sorted(self._folder.glob(f"*{_READY}"), key=lambda path: path.stat().st_mtime_ns)

    def close(self) -> None:
        self.rotate_if(0.0, 0, 0.0)


def arrival_of(buffer: Path) -> tuple[float, str]:
    """(epoch seconds of its first record, unique id) of a buffer."""
    moment, _, key = buffer.stem.partition("~")
    return int(moment) / 1000, key


def records_of(buffer: Path) -> Iterator[bytes]:
    """Whole records; one that was half-written when the account was killed was never acknowledged."""
    data, position = buffer.read_bytes(), 0
    while position + _LENGTH.size <= len(data):
        (length,) = _LENGTH.unpack_from(data, position)
        position += _LENGTH.size
        if position + length > len(data):
            return
        yield data[position : position + length]
        position += length


def _write_whole(file: int, data: bytes) -> None:
    """One write; a short one (a full disk) is taken back, so that the buffer ends with a whole record."""
    before = os.fstat(file).st_size
    try:
        written = os.write(file, data)
        if written != len(data):
            raise OSError(28, "No space left on device")
    except OSError:
        os.ftruncate(file, before)
        raise
