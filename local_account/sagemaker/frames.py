"""Frames between the account and an endpoint's server: two lengths, a JSON head, a body of bytes."""

from __future__ import annotations

import json
import socket
import struct
from typing import Any

LENGTHS = struct.Struct(">II")
LARGEST = 64 * 2**20

Head = dict[str, Any]


def pack(head: Head, body: bytes) -> bytes:
    text = json.dumps(head).encode()
    return LENGTHS.pack(len(text), len(body)) + text + body


def lengths(data: bytes | bytearray) -> tuple[int, int]:
    """Lengths of head and body; ConnectionError if they are none of ours."""
    head, body = LENGTHS.unpack(data)
    if head + body > LARGEST:
        raise ConnectionError(f"a frame of {head + body} bytes")
    return head, body


def receive(connection: socket.socket) -> tuple[Head, bytes]:
    """The next frame of a blocking socket; ConnectionError if it closes first."""
    head, body = lengths(_exactly(connection, LENGTHS.size))
    data = _exactly(connection, head + body)
    return json.loads(data[:head]), data[head:]


def _exactly(connection: socket.socket, count: int) -> bytes:
    data = connection.recv(count)
    if len(data) == count:
        return data
    parts = [data]
    left = count - len(data)
    while left:
        if not parts[-1]:
            raise ConnectionError("the endpoint's server closed the connection")
        parts.append(connection.recv(min(left, 1 << 20)))
        left -= len(parts[-1])
    return b"".join(parts)
