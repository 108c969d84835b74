"""`understudy ab` on logs and users in a lake: what was told twice, late, by others or at another time, and the table and plots."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from cli import ab_command
from cli.ab_command import By
from cli.ab_lake import served_spans, user_outcomes
from cli.live_log import live_log
from cli.site import Problem, Site
from features.lake import Lake
from features.schema import CANONICAL
from understudy.domain.tokens import new_request_id

pytest_plugins = ["support.lake_account"]

NOW = datetime.now(UTC).replace(microsecond=0)
HOUR = timedelta(hours=1)


class Logs:
    """Requests and what users did, as they land."""

    def __init__(self) -> None:
        self.served: list[str] = []
        self.feedback: list[str] = []
        self._made = 0

    def request(self, user: str, release: str, version: int, at: datetime = NOW - HOUR) -> dict[str, Any]:
        self._made += 1
        line = {
            "request_id": new_request_id(int(at.timestamp() * 1000), self._made.to_bytes(10, "big")),
            "user_id": user,
            "assigned_release_id": release,
            "traffic_version": version,
            "event_time": at.isoformat(),
        }
        self.served.append(json.dumps(line | {"release_id": release, "items": ["i-1"], "latency_ms": 5.0}))
        return line

    def tell(self, request: dict[str, Any], what: str, item: str, after: timedelta = timedelta(minutes=1)) -> None:
        known_at = datetime.fromisoformat(request["event_time"]) + after
        told = {
            "event_type": what,
            "item_id": item,
            "known_at": known_at.isoformat(),
            "event_id": f"{what}{item}{after}",
        }
        self.feedback.append(json.dumps(request | told))

    def land(self, bucket: str) -> None:
        """Two objects a log, which share some lines, and lines nobody can read."""
        s3 = boto3.client("s3")
        for log, lines in (("served", self.served), ("feedback", self.feedback)):
            half = len(lines) // 2
            for part, held in enumerate((lines[: half + 3], [*lines[half:], "{torn", "[]"])):
                key = f"{log}/{NOW:%Y/%m/%d/%H}/{log}-{part}"
                s3.put_object(Bucket=bucket, Key=key, Body=("\n".join(held) + "\n").encode())


@pytest.fixture
def site(lake: Lake) -> Site:
    made = Site(boto3.Session(), "test")
    outputs = {"LakeBucket": lake.bucket, "GlueDatabase": lake.database}
    made.__dict__.update(outputs=outputs, parameters={"ClickWindowHours": "24"})
    return made


@pytest.fixture
def logs(lake: Lake, tmp_path: Path) -> Logs:
    """200 users a release under versions 3 and 4; the candidate's click twice as often. Users 0 to 9 signed up today."""
    made = Logs()
    for n in range(400):
        release = "r-new" if n % 2 else "r-old"
        for version in (3, 4):
            request = made.request(f"u{n}", release, version)
            for place in range(5):
                made.tell(request, "impression", f"i-{place}")
            for place in range((n // 2) % 3 * (2 if n % 2 else 1)):
                made.tell(request, "click", f"i-{place}")
    columns = CANONICAL["users"]
    old = {"age": 30, "city": "Rome", "segment": "s", "signup_time": NOW - 90 * 24 * HOUR, "known_at": NOW - 9 * HOUR}
    rows = [{"user_id": f"u{n}", **old, "age": 15 + n % 50} for n in range(399)]
    rows += [{**row, "city": "Paris", "known_at": NOW} for row in rows[:200]]
    rows += [{**row, "signup_time": NOW - HOUR, "city": "Paris", "known_at": NOW + HOUR} for row in rows[:10]]
    pq.write_table(pa.Table.from_pylist(rows, schema=columns), tmp_path / "users.parquet")
    lake.add("users", [tmp_path / "users.parquet"])
    return made


def outcomes(site: Site, since: datetime = NOW - 3 * HOUR, window: timedelta = 24 * HOUR) -> dict[tuple[str, int], Any]:
    with live_log(site, since, window) as log:
        return {(row.user, row.version): row for row in user_outcomes(log, site, "r-new", "r-old", [3, 4])}


def test_users_are_counted_once_whatever_was_told_twice_and_joined_with_what_is_known_of_them(
    site: Site, lake: Lake, logs: Logs
) -> None:
    request = logs.request("u1", "r-new", 5)  # a version in which the other did not serve
    logs.tell(request, "click", "i-1")
    forged = {**request, "request_id": "i" * 26, "traffic_version": 3}
    logs.tell(forged, "click", "i-1")
    before = logs.request("u1", "r-new", 3, NOW - 4 * HOUR)
    logs.tell(before, "click", "i-1")  # known in time to count, of a request that was not asked for
    slow = logs.request("u3", "r-new", 3, NOW - 2 * HOUR)
    logs.tell(slow, "click", "i-9", 2 * HOUR)
    logs.tell(slow, "click", "i-8", 2 * HOUR)
    logs.tell(slow, "click", "i-8", HOUR / 2)
    logs.land(lake.bucket)
    found = outcomes(site, window=HOUR)
    assert len(found) == 800
    one, three, last = found["u1", 3], found["u3", 3], found["u399", 4]
    assert (one.release, one.impressions, one.clicks, one.late_clicks) == ("r-new", 5, 0, 0)
    assert (three.clicks, three.late_clicks) == (2 + 1, 1)  # i-8 was told in time as well
    assert one.groups == {"segment": "s", "city": "Paris", "age": "under 18", "new": "new"}
    assert found["u250", 3].groups == {"segment": "s", "city": "Rome", "age": "under 18", "new": "old"}
    assert set(last.groups.values()) == {"unknown"}


def test_spans_say_when_each_release_served_under_which_version(site: Site, lake: Lake, logs: Logs) -> None:
    logs.request("u1", "r-older", 2, NOW - 2 * HOUR)
    logs.land(lake.bucket)
    with live_log(site, NOW - 3 * HOUR) as log:
        spans = served_spans(log)
    assert {release: sorted(versions) for release, versions in spans.items()} == {
        "r-new": [3, 4],
        "r-old": [3, 4],
        "r-older": [2],
    }
    assert (spans["r-old"][3].requests, spans["r-older"][2].since) == (200, NOW - 2 * HOUR)


def test_the_command_shows_a_table_and_writes_a_plot(
    site: Site,
    lake: Lake,
    logs: Logs,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    logs.land(lake.bucket)
    monkeypatch.setattr(ab_command, "connect", lambda stack, state: site)
    monkeypatch.setattr(ab_command.console, "_width", 140)
    for name in ("forest.html", "forest.png", "forest.svg"):
        ab_command.ab("r-new", "r-old", by=[By.CITY, By.NEW], since="3h", plot=tmp_path / name)
        assert (tmp_path / name).stat().st_size > 5_000
    out = capsys.readouterr().out
    assert "r-new against r-old" in out
    for words in (
        "city: Paris",
        "city: Rome",
        "sign-up: new",
        "sign-up: old",
        "+100.",
        "too few clicks",
        "traffic versions 3, 4",
    ):
        assert words in out
    with pytest.raises(Problem) as refused:
        ab_command.ab("r-new", "r-old", plot=tmp_path / "forest.pdf")
    assert ".png" in refused.value.sentence


def test_releases_that_never_served_together_are_refused(
    site: Site, lake: Lake, logs: Logs, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs.request("u1", "r-older", 2)
    logs.land(lake.bucket)
    monkeypatch.setattr(ab_command, "connect", lambda stack, state: site)
    with pytest.raises(Problem) as refused:
        ab_command.ab("r-new", "r-older")
    assert "never served at the same time" in refused.value.sentence
    assert "under traffic versions 2" in refused.value.sentence


def test_an_empty_log_is_a_refusal_too(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ab_command, "connect", lambda stack, state: site)
    with pytest.raises(Problem) as refused:
        ab_command.ab("r-new", "r-old")
    assert "r-new served no request" in refused.value.sentence


def test_the_stack_says_when_a_click_is_late(
    site: Site,
    lake: Lake,
    logs: Logs,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for _ in range(3):
        logs.tell(logs.request("u1", "r-new", 3, NOW - 3 * HOUR), "click", "i-1", 2 * HOUR)
    logs.land(lake.bucket)
    monkeypatch.setattr(ab_command, "connect", lambda stack, state: site)
    monkeypatch.setattr(ab_command.console, "_width", 140)
    for window, late in (("24", "(0)"), ("1", "(3)")):
        site.__dict__["parameters"]["ClickWindowHours"] = window
        ab_command.ab("r-new", "r-old")
        shown = capsys.readouterr().out
        assert late in shown
        assert f"clicks count for {window} h" in " ".join(shown.split())
    ab_command.ab("r-new", "r-old", click_window_hours=24)
    assert "(3)" not in capsys.readouterr().out


def test_a_time_that_is_none_is_refused() -> None:
    with pytest.raises(Problem):
        ab_command.moment_of("yesterday", NOW)
    assert ab_command.moment_of("2026-03-01T04:00", NOW) == datetime(2026, 3, 1, 4, tzinfo=UTC)
    assert ab_command.moment_of("90m", NOW) == NOW - timedelta(minutes=90)
