"""functions/ingest_events: good events become canonical, bad ones are named, nothing is lost in silence."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from types import ModuleType
from typing import Any

import pytest

from support.doors import CONTEXT, golden, load_door
from understudy.adapters.aws_ingest import IngestWorld
from understudy.domain.tokens import Shown, item_mark, new_request_id, sign
from understudy.domain.traffic import user_hash
from understudy.settings import IngestEventsSettings

NOW = datetime(2026, 3, 1, 4, 1, tzinfo=UTC)
ISSUED = NOW - timedelta(minutes=1)
KEY = b"key"
REQUEST_ID = new_request_id(int(ISSUED.timestamp() * 1000), bytes(10))
ITEMS = ("i-1", "i-2", "i-3")
SHOWN = Shown(
    request_id=REQUEST_ID,
    user_hash=user_hash("u-1"),
    release_id="r-1",
    assigned_release_id="r-2",
    arm="candidate",
    bucket=17,
    traffic_version=7,
    issued_s=int(ISSUED.timestamp()),
    expires_s=int(ISSUED.timestamp()) + 604_800,
    marks=tuple(item_mark(REQUEST_ID, item) for item in ITEMS),
    explored=(2,),
    propensity=0.98,
    propensity_explored=0.001,
)
SETTINGS = IngestEventsSettings(feedback_stream="feedback", token_secret_arn="secret", clock_skew_s=300)


@dataclass
class Stream:
    """A delivery stream that refuses single records as `refuse(attempt, event)` says, and takes its time."""

    kept: list[Mapping[str, Any]] = field(default_factory=list)
    refuse: Callable[[int, Mapping[str, Any]], bool] = lambda attempt, event: False
    attempts: list[int] = field(default_factory=list)
    now: float = 0.0

    def put_batch(self, records: Sequence[Mapping[str, Any]], timeout_s: float) -> list[str | None]:
        self.attempts.append(len(records))
        self.now += 0.01
        refusals = [self.refuse(len(self.attempts), record) for record in records]
        self.kept += [record for record, refused in zip(records, refusals, strict=True) if not refused]
        return ["ServiceUnavailableException" if refused else None for refused in refusals]

    def get(self, now_s: float, timeout_s: float) -> bytes:
        return KEY

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture(scope="module")
def door() -> ModuleType:
    return load_door("ingest_events")


@pytest.fixture
def stream() -> Stream:
    return Stream()


@pytest.fixture
def send(door: ModuleType, stream: Stream, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, Any]]:
    def call(event: Any, shown: Shown = SHOWN, at: datetime = NOW) -> tuple[int, Any]:
        s: Any = stream
        w = IngestWorld(SETTINGS, s, s, lambda: stream.now, at.timestamp, stream.sleep, random.Random(0))
        monkeypatch.setattr(door, "world", lambda: w)
        event = event | {"body": event["body"].replace("TOKEN", sign(shown, KEY))}
        answer = door.handler(event, CONTEXT)
        return answer["statusCode"], json.loads(answer["body"])

    return call


def body(*events: dict[str, Any], **fields: Any) -> dict[str, Any]:
    whole = {"recommendation_id": "TOKEN", "user_id": "u-1", "events": events} | fields
    return golden("ingest_events/one_click") | {"body": json.dumps(whole)}


def click(**fields: Any) -> dict[str, Any]:
    return {"event_id": "e-1", "type": "click", "item_id": "i-2", "event_time": NOW.isoformat()} | fields


def test_a_click_becomes_a_canonical_event_with_the_tokens_knowledge(send: Any, stream: Stream) -> None:
    status, answer = send(golden("ingest_events/one_click"))
    assert (status, answer) == (202, {"accepted": 1, "duplicates": 0, "rejected": []})
    assert stream.kept == [
        {
            "event_id": f"{REQUEST_ID}:e-1",
            "event_time": "2026-03-01T04:00:30+00:00",
            "known_at": NOW.isoformat(),
            "event_type": "click",
            "user_id": "u-1",
            "item_id": "i-2",
            "position": 2,
            "request_id": REQUEST_ID,
            "propensity": 0.001,
            "value": None,
            "release_id": "r-1",
            "assigned_release_id": "r-2",
            "arm": "candidate",
            "bucket": 17,
            "traffic_version": 7,
        }
    ]


def test_one_bad_event_does_not_cost_the_others(send: Any, stream: Stream) -> None:
    status, answer = send(golden("ingest_events/one_of_three_is_bad"))
    assert (status, answer["accepted"], [each["index"] for each in answer["rejected"]]) == (202, 2, [1])
    assert [event["position"] for event in stream.kept] == [1, 3]  # the client's 9 does not count


@pytest.mark.parametrize(
    ("offset_s", "accepted"),
    [
        pytest.param(300, 1, id="a clock five minutes ahead is tolerated"),
        pytest.param(301, 0, id="one second more is refused"),
        pytest.param(-360, 1, id="five minutes before the recommendation is tolerated"),
        pytest.param(-361, 0, id="one second earlier is refused"),
    ],
)
def test_a_clients_clock_may_be_five_minutes_off(send: Any, stream: Stream, offset_s: int, accepted: int) -> None:
    status, answer = send(body(click(event_time=(NOW + timedelta(seconds=offset_s)).isoformat())))
    assert (status, answer["accepted"], len(answer["rejected"])) == (202, accepted, 1 - accepted)
    for event in stream.kept:
        assert event["event_time"] <= event["known_at"]


def test_an_event_days_late_is_taken_while_the_token_is_good(send: Any, stream: Stream) -> None:
    status, _ = send(body(click()), at=NOW + timedelta(days=6))
    assert (status, len(stream.kept)) == (202, 1)


def test_a_duplicate_in_one_request_is_counted_and_sent_once(send: Any, stream: Stream) -> None:
    _, answer = send(body(click(), click(), click(event_id="e-2", type="impression")))
    assert answer == {"accepted": 2, "duplicates": 1, "rejected": []}
    assert len(stream.kept) == 2


def test_an_item_that_was_not_shown_cannot_be_credited(send: Any, stream: Stream) -> None:
    _, answer = send(body(click(item_id="i-9")))
    assert answer["rejected"] == [
        {"index": 0, "what": "item_id was not in this recommendation", "expected": "an item of the answer"}
    ]
    assert stream.kept == []


@pytest.mark.parametrize(
    ("event", "shown", "reason"),
    [
        pytest.param(body(click(), user_id="u-2"), SHOWN, "other_user", id="of another user"),
        pytest.param(body(click()), replace(SHOWN, expires_s=SHOWN.issued_s + 60), "expired", id="expired"),
        pytest.param(body(click(), recommendation_id="TOKENAAAA"), SHOWN, "forged", id="altered"),
        pytest.param(body(click(), recommendation_id="x"), SHOWN, "malformed", id="no token at all"),
    ],
)
def test_a_token_that_is_not_good_is_refused_and_counted(
    send: Any, stream: Stream, event: Any, shown: Shown, reason: str, capsys: pytest.CaptureFixture[str]
) -> None:
    status, answer = send(event, shown)
    assert (status, answer["error"]["code"]) == (403, "token_refused")
    assert answer["error"]["what"] == "the recommendation_id is not good for this user"  # and no more than that
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["Reason"] for line in lines if "TokensRefused" in line} == {reason}
    assert stream.kept == []


def test_only_what_the_stream_refused_is_sent_again(send: Any, stream: Stream) -> None:
    stream.refuse = lambda attempt, event: attempt == 1 and event["item_id"] == "i-2"
    _, answer = send(body(click(), click(event_id="e-2", item_id="i-1"), click(event_id="e-3", item_id="i-3")))
    assert (answer["accepted"], answer["rejected"]) == (3, [])
    assert stream.attempts == [3, 1]
    assert [event["item_id"] for event in stream.kept] == ["i-1", "i-3", "i-2"]


def test_what_the_stream_never_takes_is_told_within_the_budget(send: Any, stream: Stream) -> None:
    stream.refuse = lambda attempt, event: event["item_id"] == "i-2"
    _, answer = send(body(click(), click(event_id="e-2", item_id="i-1")))
    assert (answer["accepted"], [each["index"] for each in answer["rejected"]]) == (1, [0])
    assert len(stream.attempts) > 2
    assert stream.now <= SETTINGS.deadline_ms / 1000 + 0.05


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        '{"recommendation_id": "t", "user_id": "u", "events": []}',
        json.dumps({"recommendation_id": "t", "user_id": "u", "events": [click()] * 101}),
        '{"recommendation_id": "t", "user_id": "u", "events": [' + "[" * 5000 + "]" * 5000 + "]}",
        '{"recommendation_id": 7, "user_id": "u", "events": [{}]}',
        json.dumps({"recommendation_id": "t" * 5000, "user_id": "u", "events": [{}]}),
        "x" * 10_000_000,
    ],
    ids=["empty", "array", "no events", "101 events", "deep", "token a number", "token too long", "ten megabytes"],
)
def test_a_bad_envelope_is_a_4xx(send: Any, stream: Stream, text: str) -> None:
    status, answer = send(golden("ingest_events/one_click") | {"body": text})
    assert 400 <= status < 500
    assert set(answer["error"]) == {"code", "what", "expected"}
    assert stream.attempts == []


@pytest.mark.parametrize(
    "event",
    [
        {},
        click(event_time="yesterday"),
        click(event_time="2026-03-01T04:00:00"),
        click(position=0),
        click(position=101),
        click(position="2"),
        click(type="CLICK"),
        click(event_id=""),
        click(item_id="a\x00b"),
        click(extra=1),
        click(event_time=1e300),
    ],
)
def test_a_bad_event_is_rejected_by_its_index(send: Any, stream: Stream, event: dict[str, Any]) -> None:
    status, answer = send(body(event))
    assert (status, answer["accepted"], answer["rejected"][0]["index"]) == (202, 0, 0)
    assert stream.attempts == []
