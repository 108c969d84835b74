"""An index on disk: an append log of documents, and its vectors as one matrix beside it.

A block is written whole and counts from its last byte on; what a kill left half-written is cut off when the log is
next opened. Vectors go first, so that a block in the log always finds its rows.
"""

from __future__ import annotations

import mmap
import os
import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import orjson

_HEADER = struct.Struct("<4sIIQ")  # magic, crc of the payload, length of the JSON head, length of the payload
_MAGIC = b"DOC1"


@dataclass(slots=True)
class Block:
    """Operations of one bulk, in order. `offset` is where the first source lies in the log, once written."""

    operations: list[tuple[str, str]] = field(default_factory=list)  # ("i" or "d", id)
    sources: list[bytes] = field(default_factory=list)  # of the "i" operations
    vectors: np.ndarray | None = None  # (number of "i" operations, dimension); NaN where a document has none
    offset: int = 0


class Storage:
    """The two files of one index. One writer at a time; readers see what `source` and `matrix` were asked for after a write."""

    def __init__(self, folder: Path, dimension: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._dimension = dimension
        self._log = (folder / "documents.log").open("ab+")
        self._matrix = (folder / "vectors.f32").open("ab+")
        self._map: mmap.mmap | None = None

    def blocks(self) -> Iterator[Block]:
        """Every whole block from the beginning; cuts both files after the last one."""
        size = os.fstat(self._log.fileno()).st_size
        position = rows = 0
        while position + _HEADER.size <= size:
            magic, crc, head_size, payload_size = _HEADER.unpack(os.pread(self._log.fileno(), _HEADER.size, position))
            start = position + _HEADER.size
            payload = os.pread(self._log.fileno(), payload_size, start) if magic == _MAGIC else b""
            if magic != _MAGIC or len(payload) < payload_size or zlib.crc32(payload) != crc:
                break
            block = _read(payload, head_size, start)
            if self._dimension:
                block.vectors = self._rows(rows, len(block.sources))
            rows += len(block.sources)
            position = start + payload_size
            yield block
        self._log.truncate(position)
        self._matrix.truncate(rows * self._dimension * 4)

    def append(self, block: Block) -> None:
        """The block is in the operating system's hands when this returns."""
        if block.vectors is not None:
            self._matrix.write(block.vectors.tobytes())
            self._matrix.flush()
        head = orjson.dumps({"operations": block.operations, "lengths": [len(source) for source in block.sources]})
        payload = head + b"".join(block.sources)
        self._log.seek(0, os.SEEK_END)
        block.offset = self._log.tell() + _HEADER.size + len(head)
        self._log.write(_HEADER.pack(_MAGIC, zlib.crc32(payload), len(head), len(payload)) + payload)
        self._log.flush()

    def source(self, start: int, length: int) -> bytes:
        view = self._map
        if view is None or start + length > len(view):
            self._map = view = mmap.mmap(self._log.fileno(), 0, access=mmap.ACCESS_READ)
        return view[start : start + length]

    def matrix(self, rows: int) -> np.ndarray:
        """The first `rows` vectors as they lie on disk, mapped, (rows, dimension) float32."""
        if not rows or not self._dimension:
            return np.empty((0, self._dimension), np.float32)
        return np.memmap(self._matrix.name, np.float32, "r", shape=(rows, self._dimension))

    def size(self) -> int:
        return os.fstat(self._log.fileno()).st_size + os.fstat(self._matrix.fileno()).st_size

    def close(self) -> None:
        self._log.close()
        self._matrix.close()

    def _rows(self, start: int, count: int) -> np.ndarray:
        width = self._dimension * 4
        data = os.pread(self._matrix.fileno(), count * width, start * width)
        return np.frombuffer(data, np.float32).reshape(count, self._dimension)


def _read(payload: bytes, head_size: int, start: int) -> Block:
    head = orjson.loads(payload[:head_size])
    sources, position = [], head_size
    for length in head["lengths"]:
        sources.append(payload[position : position + length])
        position += length
    return Block([(kind, key) for kind, key in head["operations"]], sources, offset=start + head_size)
