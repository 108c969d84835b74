"""Traffic over real sockets: against an API that answers as ours does, and one that misbehaves in every way."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random
from types import SimpleNamespace
from typing import Any, ClassVar

import numpy as np
import pytest
from botocore.credentials import Credentials

from simulator.traffic import Background, Options, run

QUICK = Options(rps=200, seconds=0.5, late_s=0.1, timeout_s=0.3)


class Fans:
    """Ten people who click everything they look at."""

    def visitor(self, rng: Random) -> str:
        return f"u{rng.randrange(10)}"

    def likings(self, user_id: str, item_ids: Any) -> np.ndarray:
        return np.ones(len(item_ids))

    def best(self, user_id: str, k: int) -> np.ndarray:
        return np.ones(k)


class Api(BaseHTTPRequestHandler):
    """POST /recommend and /events in the form of docs/seams.md; `sick` says what goes wrong with every third recommendation."""

    protocol_version = "HTTP/1.1"
    sick = ""
    asked: ClassVar[Counter[str]]
    kept: ClassVar[list[dict[str, Any]]]
    signed: ClassVar[set[bool]]
    connections: ClassVar[set[int]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        kind = type(self)
        what = self.path.removeprefix("/stage/")
        kind.asked[what] += 1
        kind.signed.add("/us-east-1/execute-api/aws4_request" in self.headers["authorization"])
        kind.connections.add(self.client_address[1])
        if what == "recommend" and kind.asked[what] % 3 == 0 and self._misbehave(kind.sick):
            return
        if what == "recommend":
            items = [{"item_id": f"i{n}", "title": "T", "score": 0.5, "position": n + 1} for n in range(body["k"])]
            token = base64.b64encode(body["user_id"].encode()).decode()
            self._reply(200, {"items": items, "release_id": "r-1", "recommendation_id": token, "degraded": []})
        else:
            kind.kept.append(body)
            self._reply(202, {"accepted": len(body["events"]), "duplicates": 0, "rejected": []})

    def _misbehave(self, how: str) -> bool:
        if how == "500":
            self._reply(500, {"message": "Internal Server Error"})
        elif how == "404":
            self._reply(404, {"error": {"code": "no_release_on_stage", "what": "", "expected": ""}})
        elif how == "silence":
            time.sleep(0.8)
        elif how == "hang up":
            self.close_connection = True
        elif how == "html":
            self.send_response(200)
            self.send_header("content-length", "6")
            self.end_headers()
            self.wfile.write(b"<html>")
        return bool(how)

    def _reply(self, status: int, body: dict[str, Any]) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None: ...


@pytest.fixture
def api() -> Iterator[Any]:
    class Handler(Api):
        asked: ClassVar[Counter[str]] = Counter()
        kept: ClassVar[list[dict[str, Any]]] = []
        signed: ClassVar[set[bool]] = set()
        connections: ClassVar[set[int]] = set()

    class Server(ThreadingHTTPServer):
        daemon_threads, request_queue_size = True, 256

        def handle_error(self, *_: Any) -> None: ...  # a client that hangs up is what some tests are about

    server = Server(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield SimpleNamespace(handler=Handler, url=f"http://127.0.0.1:{server.server_port}/stage")
    server.shutdown()
    server.server_close()
    thread.join()


def site(url: str) -> Any:
    credentials = Credentials("AKIA", "secret")
    session = SimpleNamespace(region_name="us-east-1", get_credentials=lambda: credentials)
    return SimpleNamespace(session=session, outputs={"ApiUrl": url})


def test_every_answer_is_looked_at_told_of_and_written_down(api, tmp_path):
    options = Options(rps=200, seconds=0.5, duplicate_share=0.2, late_share=0.2, late_s=0.1, log=tmp_path / "log.jsonl")
    tally = run(site(api.url), Fans(), options)
    assert tally.client_errors == 0
    assert tally.asked == tally.answered == api.handler.asked["recommend"] > 50
    assert api.handler.signed == {True}
    assert tally.posts == tally.answered + tally.duplicates_sent == len(api.handler.kept)
    assert tally.duplicates_sent > 0 < tally.late_sent
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert Counter(line["what"] for line in lines) == {"recommend": tally.answered, "events": tally.posts}
    assert {line["status"] for line in lines} == {200, 202}
    rate = tally.releases["r-1"].rate()
    assert rate.impressions == 10 * tally.answered
    told = [
        event["type"]
        for body in {json.dumps(body) for body in api.handler.kept}
        for event in json.loads(body)["events"]
    ]
    assert told.count("impression") == rate.impressions
    assert told.count("click") == rate.clicks


def test_connections_are_kept(api):
    tally = run(site(api.url), Fans(), Options(rps=30, seconds=1.0, late_share=0))
    assert len(api.handler.connections) < tally.asked / 2


@pytest.mark.parametrize(
    ("sick", "said"),
    [
        ("500", "HTTP 500"),
        ("404", "HTTP 404 no_release_on_stage"),
        ("silence", "no answer within 0.3 s"),
        ("hang up", "the connection was closed"),
        ("html", "HTTP 200"),
    ],
)
def test_what_a_client_would_call_an_error_is_counted_as_one(api, sick, said):
    api.handler.sick = sick
    tally = run(site(api.url), Fans(), QUICK)
    assert tally.errors.total() + tally.answered == tally.asked
    assert tally.errors.total() > 0
    assert all(reason.startswith(said) for reason in tally.errors)


def test_an_api_that_is_not_there_is_an_error_for_everybody_and_no_crash():
    tally = run(site("http://127.0.0.1:9"), Fans(), QUICK)
    assert tally.asked == tally.errors.total() > 0


def test_a_slow_answer_does_not_slow_down_the_visits_that_follow(api):
    api.handler.sick = "silence"
    tally = run(site(api.url), Fans(), QUICK)
    assert tally.asked > 60, "a closed loop of waiting clients would have sent a handful"


def test_traffic_in_the_background_ends_when_it_is_told_to(api):
    with Background(site(api.url), Fans(), Options(rps=100, seconds=600)) as traffic:
        ends = time.monotonic() + 10
        while api.handler.asked["recommend"] < 20 and time.monotonic() < ends:
            time.sleep(0.01)
        tally = traffic.stop()
    assert tally.answered >= 20
    assert tally.client_errors == 0


def test_trouble_of_the_traffic_itself_is_not_swallowed(api):
    class Nobody(Fans):
        def visitor(self, rng: Random) -> str:
            raise LookupError("nobody comes")

    traffic = Background(site(api.url), Nobody(), QUICK)
    with pytest.raises(ExceptionGroup) as failure, traffic:
        time.sleep(0.3)
    assert failure.group_contains(LookupError, match="nobody comes")
