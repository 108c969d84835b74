"""The account's socket, opened before anything heavy is imported: a taken port is known at once, and early clients queue."""

from __future__ import annotations

import socket


def listen(port: int = 0) -> socket.socket:
    """A listening loopback socket on `port`, or on a free one for 0."""
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind(("127.0.0.1", port))
    listener.listen(2048)
    return listener
