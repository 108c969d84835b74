"""Schedule expressions in time zones, and the timetable that follows them: no gap, no second run."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from local_account.clock import Clock
from local_account.event_bridge.cron import Expression
from local_account.event_bridge.timetable import Entry, Timetable
from local_account.records import Records
from support.soak import examples


def instants(expression: str, after: str, zone: str = "UTC", count: int = 3) -> list[str]:
    parsed, tz = Expression.parse(expression), ZoneInfo(zone)
    anchor = datetime.fromisoformat(after).replace(tzinfo=UTC).timestamp()
    at: float | None = anchor
    found: list[str] = []
    while len(found) < count and at is not None:
        at = parsed.next_after(at, tz, anchor)
        if at is not None:
            found.append(datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M"))
    return found


@pytest.mark.parametrize(
    ("expression", "after", "expected"),
    [
        ("cron(0 4 * * ? *)", "2026-11-23T03:59:59", ["2026-11-23T04:00", "2026-11-24T04:00"]),
        ("cron(0 4 * * ? *)", "2026-11-23T04:00:00", ["2026-11-24T04:00", "2026-11-25T04:00"]),
        ("cron(0/15 * * * ? *)", "2026-12-31T23:40:00", ["2026-12-31T23:45", "2027-01-01T00:00"]),
        ("cron(5,35 14 * * ? *)", "2026-11-23T14:05:00", ["2026-11-23T14:35", "2026-11-24T14:05"]),
        ("cron(0 18 ? * MON-FRI *)", "2026-11-27T18:00:00", ["2026-11-30T18:00", "2026-12-01T18:00"]),
        ("cron(0 10 ? * 6L *)", "2026-11-01T00:00:00", ["2026-11-27T10:00", "2026-12-25T10:00"]),
        ("cron(0 10 ? * 2#1 *)", "2026-11-03T00:00:00", ["2026-12-07T10:00", "2027-01-04T10:00"]),
        ("cron(0 0 L * ? *)", "2028-02-01T00:00:00", ["2028-02-29T00:00", "2028-03-31T00:00"]),
        ("cron(0 0 29 2 ? *)", "2026-01-01T00:00:00", ["2028-02-29T00:00", "2032-02-29T00:00"]),
        ("cron(0 0 15W * ? *)", "2026-08-01T00:00:00", ["2026-08-14T00:00", "2026-09-15T00:00"]),
        ("cron(0 0 1W * ? *)", "2026-08-01T00:00:00", ["2026-08-03T00:00", "2026-09-01T00:00"]),
        ("cron(0 22-2 * * ? *)", "2026-11-23T23:30:00", ["2026-11-24T00:00", "2026-11-24T01:00"]),
        ("cron(0 12 1 JAN,JUL ? 2027-2028)", "2026-01-01T00:00:00", ["2027-01-01T12:00", "2027-07-01T12:00"]),
        ("rate(5 minutes)", "2026-11-23T04:00:00", ["2026-11-23T04:05", "2026-11-23T04:10"]),
        ("rate(1 day)", "2026-11-23T04:00:00", ["2026-11-24T04:00", "2026-11-25T04:00"]),
        ("at(2026-11-23T04:00:00)", "2026-11-23T03:00:00", ["2026-11-23T04:00"]),
        ("at(2026-11-23T04:00:00)", "2026-11-23T04:00:00", []),
        ("cron(0 0 1 1 ? 2020)", "2026-01-01T00:00:00", []),
    ],
)
def test_an_expression_names_its_instants(expression, after, expected):
    assert instants(expression, after, count=2) == expected


def test_a_local_time_that_spring_leaves_out_is_skipped():
    found = instants("cron(30 2 * * ? *)", "2026-03-28T00:00:00", "Europe/Berlin")
    assert found == ["2026-03-28T01:30", "2026-03-30T00:30", "2026-03-31T00:30"]


def test_a_local_time_that_autumn_repeats_happens_once_at_its_first_passing():
    found = instants("cron(30 2 * * ? *)", "2026-10-24T12:00:00", "Europe/Berlin")
    assert found == ["2026-10-25T00:30", "2026-10-26T01:30", "2026-10-27T01:30"]


def test_four_in_the_morning_stays_four_in_the_morning_over_the_change():
    found = instants("cron(0 4 * * ? *)", "2026-03-27T12:00:00", "Europe/Berlin")
    assert found == ["2026-03-28T03:00", "2026-03-29T02:00", "2026-03-30T02:00"]


@pytest.mark.parametrize(
    "text",
    [
        "cron(0 4 * * *)", "cron(0 4 * * * *)", "cron(60 4 * * ? *)", "cron(0 4 32 * ? *)", "cron(0 4 ? * MOON *)",
        "cron(0/0 4 * * ? *)", "rate(1 minutes)", "rate(5 minute)", "rate(0 days)", "rate(5 weeks)", "at(tomorrow)", "",
    ],
)  # fmt: skip
def test_what_is_no_expression_is_refused(text):
    with pytest.raises(ValueError, match=r".+"):
        Expression.parse(text)


def test_a_rule_knows_no_at():
    with pytest.raises(ValueError, match="neither"):
        Expression.parse("at(2026-11-23T04:00:00)", at=False)


ZONES = ["UTC", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kathmandu"]


@settings(max_examples=examples(60, 2000), deadline=None)
@given(
    zone=st.sampled_from(ZONES),
    minute=st.integers(0, 59),
    hour=st.integers(0, 23),
    start=st.integers(1_767_225_600, 1_798_761_600),
    cuts=st.lists(st.integers(0, 86_400 * 10), max_size=8),
)
def test_cutting_time_into_pieces_loses_no_instant_and_doubles_none(zone, minute, hour, start, cuts):
    expression, tz = Expression.parse(f"cron({minute} {hour} * * ? *)"), ZoneInfo(zone)

    def between(after: float, until: float) -> list[float]:
        found, at = [], expression.next_after(after, tz, after)
        while at is not None and at <= until:
            found.append(at)
            at = expression.next_after(at, tz, after)
        return found

    edges = sorted({start, *(start + cut for cut in cuts), start + 86_400 * 10})
    pieces = [instant for after, until in pairwise(edges) for instant in between(after, until)]
    assert pieces == between(start, start + 86_400 * 10)
    assert len(pieces) == len(set(pieces)) <= 11


class Follower:
    """A timetable whose entries and clock a test holds."""

    def __init__(self, folder: Path) -> None:
        self.clock, self.fired, self.entries = Clock(), list[tuple[str, float]](), list[Entry]()
        self.records = Records(folder / "records.db")
        self.timetable = self.make()

    def make(self) -> Timetable:
        return Timetable(self.clock, self.records, lambda: self.entries, lambda arn, at: self.fired.append((arn, at)))


def every_hour(clock: Clock, **rest: Any) -> Entry:
    now = clock.epoch()
    return Entry("arn:hourly", Expression.parse("rate(1 hour)"), ZoneInfo("UTC"), begins=now, anchor=now, **rest)


def test_a_clock_that_jumps_over_many_instants_fires_each_once(tmp_path):
    follower = Follower(tmp_path)
    entry = every_hour(follower.clock)
    follower.entries = [entry]
    for jump in (100, 3600 * 3, 10, 3600):
        follower.clock.advance(jump)
        follower.timetable.look()
        follower.timetable.look()
    assert [round(at - entry.begins) for _arn, at in follower.fired] == [3600, 7200, 10_800, 14_400]


def test_of_the_instants_missed_while_the_account_was_down_only_the_latest_fires(tmp_path):
    follower = Follower(tmp_path)
    entry = every_hour(follower.clock)
    follower.entries = [entry]
    follower.clock.advance(3600)
    follower.timetable.look()
    follower.clock.advance(3600 * 24)
    after_restart = follower.make()
    after_restart._catch_up()
    after_restart.look()
    assert [round((at - entry.begins) / 3600) for _arn, at in follower.fired] == [1, 25]


def test_nothing_fires_after_its_end(tmp_path):
    follower = Follower(tmp_path)
    follower.entries = [every_hour(follower.clock, ends=follower.clock.epoch() + 7300)]
    follower.clock.advance(3600 * 10)
    follower.timetable.look()
    assert len(follower.fired) == 2


def test_a_flexible_window_delays_by_less_than_itself_and_always_by_the_same(tmp_path):
    entry = every_hour(Clock(), window_s=900.0)
    places = [entry.fires_at(float(n)) - n for n in range(200)]
    assert all(0 <= place < 900 for place in places)
    assert len(set(places)) > 190
    assert entry.fires_at(5.0) == entry.fires_at(5.0)
