"""HTTP answers in every form a server may choose, over real sockets."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

import pytest

from understudy.adapters.http_exchange import MAX_BODY_BYTES, Answer, Exchanger, Unreadable


@pytest.fixture
def serve() -> Iterator[Callable[..., str]]:
    """Start a server that plays scripts, one a connection, a list of parts for each request; the host it listens at."""
    listeners: list[socket.socket] = []

    def start(*connections: list[list[bytes | float]]) -> str:
        listener = socket.create_server(("127.0.0.1", 0))
        listeners.append(listener)

        def run() -> None:
            for requests in connections:
                peer, _ = listener.accept()
                with peer:
                    for parts in requests:
                        if not peer.recv(1 << 16):
                            break
                        with suppress(ConnectionError):  # a client that waits no longer
                            for part in parts:
                                time.sleep(part) if isinstance(part, float) else peer.sendall(part)

        threading.Thread(target=run, daemon=True).start()
        return f"127.0.0.1:{listener.getsockname()[1]}"

    yield start
    for listener in listeners:
        listener.close()


def ask(exchanger: Exchanger, host: str, timeout_s: float = 2.0) -> Answer:
    return exchanger.exchange("POST", "http", host, "/", {"host": host}, b"question", timeout_s)


@pytest.mark.parametrize(
    ("parts", "body"),
    [
        pytest.param([b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"], b"hello", id="a length"),
        pytest.param(
            [b"HTTP/1.1 200 OK\r\nConte", 0.01, b"nt-Length: 5\r\n\r\nhe", 0.01, b"llo"], b"hello", id="in pieces"
        ),
        pytest.param(
            [
                b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;x=y\r\nhel\r\n",
                0.01,
                b"2\r\nlo\r\n0\r\nt: v\r\n\r\n",
            ],
            b"hello",
            id="chunks and a trailer",
        ),
        pytest.param([b"HTTP/1.1 200 OK\r\n\r\nhello"], b"hello", id="until the other side closes"),
        pytest.param(
            [b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello"],
            b"hello",
            id="after a 100",
        ),
        pytest.param([b"HTTP/1.1 204 No Content\r\n\r\n"], b"", id="nothing"),
    ],
)
def test_every_form_of_an_answer_is_read(serve: Callable[..., str], parts: list[bytes | float], body: bytes) -> None:
    answer = ask(Exchanger(), serve([parts]))
    assert (answer.status // 100, answer.body) == (2, body)


def test_answers_follow_each_other_on_one_connection(serve: Callable[..., str]) -> None:
    chunked = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\none\r\n0\r\n\r\n"
    plain = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\ntwo"
    exchanger, host = Exchanger(), serve([[chunked], [plain], [chunked]])
    assert [ask(exchanger, host).body for _ in range(3)] == [b"one", b"two", b"one"]


def test_a_connection_that_was_closed_while_idle_is_replaced(serve: Callable[..., str]) -> None:
    plain = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\none"
    exchanger, host = Exchanger(), serve([[plain]], [[plain]])
    assert [ask(exchanger, host).body for _ in range(2)] == [b"one", b"one"]


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\nabc"], id="torn"),
        pytest.param([b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1)], id="too large"),
        pytest.param([b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n"], id="a negative length"),
        pytest.param([b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nxyz\r\n"], id="no chunk"),
        pytest.param([b"SSH-2.0-OpenSSH\r\n\r\n"], id="another protocol"),
        pytest.param([b"HTTP/1.1 200 OK\r\n" + b"a: b\r\n" * 20_000], id="a head without an end"),
    ],
)
def test_what_is_no_answer_is_an_error_and_the_question_is_not_asked_again(
    serve: Callable[..., str], parts: list[bytes | float]
) -> None:
    with pytest.raises(Unreadable):
        ask(Exchanger(), serve([parts]))


def test_an_answer_that_trickles_is_late_as_a_whole(serve: Callable[..., str]) -> None:
    trickle: list[bytes | float] = [b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n"]
    host = serve([trickle + [part for _ in range(99) for part in (0.05, b"x")]])
    with pytest.raises(TimeoutError):
        ask(Exchanger(), host, timeout_s=0.3)


def test_nobody_there_is_an_error(serve: Callable[..., str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host = f"127.0.0.1:{listener.getsockname()[1]}"
    with pytest.raises(ConnectionError):
        ask(Exchanger(), host)
