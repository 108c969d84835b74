"""Everything moto acknowledged, on disk before the answer: an append-only file of requests, large bodies beside it.

A record is a frame: magic, lengths, CRC, a JSON head and the body. Written with one `write`, it is the operating
system's from then on and survives the process; a frame cut short by a kill fails its CRC and is dropped at the next
start, for nobody was told of it.
"""

from __future__ import annotations

import os
import secrets
import struct
import threading
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import orjson

from local_account.front_door.record import Record

_FRAME = struct.Struct("<2sIII")  # magic, length of head, length of body, CRC of both
_MAGIC = b"J1"
_INLINE_BYTES = 64 * 1024  # larger bodies become files, so that compaction moves names and not data


@dataclass
class Journal:
    """The journal of one state folder. `append` may be called from any thread."""

    folder: Path
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def __post_init__(self) -> None:
        self._blobs = self.folder / "blobs"
        self._blobs.mkdir(parents=True, exist_ok=True)
        self._file = self.folder / "journal"
        self._out = self._open()

    def append(self, record: Record) -> None:
        """Returns when the record would survive this process.

        Raises
        ------
        OSError
            If the disk takes no more; the journal is as it was.
        """
        data = self._encode(record)
        with self._lock:
            end = os.fstat(self._out).st_size
            try:
                _write_all(self._out, data)
            except OSError:
                os.ftruncate(self._out, end)
                raise

    def read(self) -> Iterator[Record]:
        """All records, oldest first; a torn frame at the end is cut off."""
        good = 0
        with self._file.open("rb") as stream:
            while (found := _read_frame(stream)) is not None:
                head, body = found
                good = stream.tell()
                yield self._decode(head, body)
        with self._lock:
            if os.fstat(self._out).st_size > good:
                os.ftruncate(self._out, good)

    def replace(self, records: Iterable[Record]) -> None:
        """Put a shorter history in the place of this one, whole or not at all. Nobody appends meanwhile."""
        draft = self._file.with_suffix(".draft")
        used = set()
        with draft.open("wb") as stream:
            for record in records:
                stream.write(self._encode(record))
                used.add(record.blob)
            stream.flush()
            os.fsync(stream.fileno())
        with self._lock:
            os.close(self._out)
            draft.replace(self._file)
            self._out = self._open()
        self.drop_blobs(used)

    def drop_blobs(self, used: set[str | None]) -> None:
        """Delete bodies that no record names."""
        for blob in self._blobs.iterdir():
            if blob.name not in used:
                blob.unlink()

    def close(self) -> None:
        os.close(self._out)

    def _open(self) -> int:
        return os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def _encode(self, record: Record) -> bytes:
        body = record.body
        if record.blob is None and len(body) > _INLINE_BYTES:
            record.blob = secrets.token_hex(16)
            (self._blobs / record.blob).write_bytes(body)
        if record.blob is not None:
            body = b""
        head = orjson.dumps(record.head())
        return _FRAME.pack(_MAGIC, len(head), len(body), zlib.crc32(body, zlib.crc32(head))) + head + body

    def _decode(self, head: bytes, body: bytes) -> Record:
        facts = orjson.loads(head)
        if facts["blob"] is not None:
            return Record.from_head(facts, (self._blobs / facts["blob"]).read_bytes)
        return Record.from_head(facts, lambda: body)


def _read_frame(stream: BinaryIO) -> tuple[bytes, bytes] | None:
    start = stream.read(_FRAME.size)
    if len(start) < _FRAME.size:
        return None
    magic, head_length, body_length, crc = _FRAME.unpack(start)
    if magic != _MAGIC:
        return None
    head, body = stream.read(head_length), stream.read(body_length)
    if len(head) + len(body) < head_length + body_length or zlib.crc32(body, zlib.crc32(head)) != crc:
        return None
    return head, body


def _write_all(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
