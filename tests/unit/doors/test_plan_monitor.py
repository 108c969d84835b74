"""functions/plan_monitor: whose window, which objects of the lake, under which names; windows leave no gap and no overlap."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from support.doors import CONTEXT, golden, load_door
from support.releases import release
from understudy.adapters.memory import MemoryReleases, MemoryTraffic
from understudy.contracts.monitor import MonitorRequest
from understudy.contracts.traffic import Standing, Traffic
from understudy.domain.monitoring import Pace, window_of
from understudy.errors import InvalidInput
from understudy.settings import PlanMonitorSettings

BUCKET = "understudy-artifactbucket-1"
AT = datetime(2026, 11, 23, 6, tzinfo=UTC)


@pytest.fixture
def door(artifacts, monkeypatch):
    module: Any = load_door("plan_monitor")
    settings = PlanMonitorSettings(
        stack="understudy",
        traffic_table="t",
        releases_table="r",
        lake_bucket="lake",
        artifact_bucket=BUCKET,
        ranker_endpoint="understudy-ranker",
        monitor_namespace="Understudy/Monitors",
        monitor_period_seconds=3600,
    )
    parts = SimpleNamespace(settings=settings, traffic=MemoryTraffic(), releases=MemoryReleases(), s3=artifacts)
    monkeypatch.setattr(module, "world", lambda: module.World(**vars(parts)))
    module.parts = parts
    return module


def on_stage(door, release_id="r-1"):
    door.parts.releases.register(release(release_id))
    standing = Standing(release=release_id, slot="blue")
    door.parts.traffic.replace(None, Traffic(change_id="c", champion=standing, salt="s", reason="r", changed_at=AT), 1)


def put(door, key, *records):
    body = "\n".join(json.dumps(record) for record in records)
    door.parts.s3.put_object(Bucket="lake", Key=key, Body=body.encode())


def listed(door, plan):
    """Name of each list -> keys that it names."""
    found = {}
    for one in plan["inputs"]:
        if one["data_type"] == "ManifestFile":
            key = one["uri"].removeprefix(f"s3://{BUCKET}/")
            head, *keys = json.loads(door.parts.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read())
            assert head == {"prefix": "s3://lake/"}
            found[one["name"]] = keys
    return found


def fill(door):
    for hour in range(6):
        put(door, f"served/2026/11/24/{hour:02}/x", {"hour": hour})
        put(door, f"capture/understudy-ranker/{'blue' if hour % 2 else 'green'}/2026/11/24/{hour:02}/x", {})
        put(door, f"feedback/2026/11/24/{hour:02}/x", {})
    put(door, "capture/understudy-two-tower/blue/2026/11/24/03/x", {})


def test_an_hourly_run_looks_at_the_last_whole_hour_with_the_objects_that_may_hold_it(door):
    on_stage(door)
    fill(door)
    plan = door.handler(golden("plan_monitor/hourly"), CONTEXT)
    assert (plan["action"], plan["release_id"]) == ("run", "r-1")
    assert (plan["window_start"], plan["window_end"]) == ("2026-11-24T03:00:00Z", "2026-11-24T04:00:00Z")
    lists = listed(door, plan)
    assert lists["served"] == [f"served/2026/11/24/{hour:02}/x" for hour in (3, 4, 5)]
    assert lists["capture"] == [
        f"capture/understudy-ranker/{slot}/2026/11/24/{hour:02}/x"
        for slot, hour in (("blue", 3), ("blue", 5), ("green", 4))
    ]
    assert lists["feedback"] == [f"feedback/2026/11/24/{hour:02}/x" for hour in (3, 4, 5)]
    folders = {one["name"]: one["uri"] for one in plan["inputs"] if one["data_type"] == "S3Prefix"}
    assert folders["baseline"] == release("r-1").baseline_s3
    assert folders["users"] == f"{release('r-1').prepared_s3}/users"
    code = folders["code"].removeprefix(f"s3://{BUCKET}/")
    assert door.parts.s3.head_object(Bucket=BUCKET, Key=f"{code}/sourcedir.tar.gz")["ContentLength"] > 0


def test_names_say_kind_window_and_schedule_and_fit(door):
    on_stage(door)
    fill(door)
    hourly, by_hand = (door.handler(golden(f"plan_monitor/{name}"), CONTEXT) for name in ("hourly", "by_hand"))
    assert len(hourly["job"]) <= len("monitor-data-quality-") + 34  # a scheduler's execution is named by a UUID
    assert by_hand["job"] == "monitor-ranking-quality-hand-20261124-041500-3"
    assert hourly["schedule"] == "understudy-data-quality"
    assert hourly["endpoint"] == "understudy-ranker"
    assert by_hand["report_uri"] == f"s3://{BUCKET}/monitors/ranking-quality/2026-11-24T03-45-00"
    assert (by_hand["window_start"], by_hand["window_end"]) == ("2026-11-24T03:45:00Z", "2026-11-24T04:15:00Z")


def test_the_day_of_complete_labels_is_its_own_releases_whoever_serves_now(door):
    on_stage(door, "r-now")
    door.parts.releases.register(release("r-then"))
    times = ("2026-11-20T00:00:00+00:00", "2026-11-20T23:59:59.999999+00:00")
    for hour, at in zip((0, 23), times, strict=True):
        put(door, f"served/2026/11/20/{hour:02}/x", {"release_id": "r-then", "event_time": at}, {"torn": 1})
    put(door, "served/2026/11/21/00/x", *[{"release_id": "r-now", "event_time": "2026-11-21T00:00:00+00:00"}] * 9)
    put(door, "capture/understudy-ranker/blue/2026/11/20/12/x", {})
    put(door, "feedback/2026/11/24/23/x", {})
    put(door, "feedback/2026/11/25/01/x", {})
    plan = door.handler(golden("plan_monitor/complete_labels"), CONTEXT)
    assert (plan["window_start"], plan["window_end"]) == ("2026-11-20T00:00:00Z", "2026-11-21T00:00:00Z")
    assert plan["release_id"] == "r-then"
    assert plan["report_uri"].endswith("monitors/model-quality/2026-11-20T00-00-00-complete")
    assert listed(door, plan)["feedback"] == ["feedback/2026/11/24/23/x"]


def counted(capsys):
    """Lines in the embedded metric format."""
    return [line for text in capsys.readouterr().out.splitlines() if "_aws" in (line := json.loads(text))]


def test_nobody_on_stage_is_nothing_to_monitor_and_no_silence(door, capsys):
    plan = door.handler(golden("plan_monitor/hourly"), CONTEXT)
    assert (plan["action"], plan["inputs"]) == ("nothing", [])
    (line,) = counted(capsys)
    assert line["_aws"]["CloudWatchMetrics"][0]["Namespace"] == "Understudy/Monitors"
    assert (line["runs"], line["MonitoringSchedule"]) == (1, f"understudy-{plan['kind']}")


def test_a_plan_is_no_run_while_there_is_a_release(door, capsys):
    on_stage(door)
    assert door.handler(golden("plan_monitor/hourly"), CONTEXT)["action"] == "no_data"
    fill(door)
    assert door.handler(golden("plan_monitor/hourly"), CONTEXT)["action"] == "run"
    assert not counted(capsys)


@pytest.mark.parametrize("there", ["served", "capture", ""])
def test_an_empty_lake_is_no_data_and_says_what_is_missing(door, there):
    on_stage(door)
    put(door, "feedback/2026/11/24/03/x", {})
    if there:
        put(door, f"{'served' if there == 'served' else 'capture/understudy-ranker/blue'}/2026/11/24/03/x", {})
    plan = door.handler(golden("plan_monitor/hourly"), CONTEXT)
    assert plan["action"] == "no_data"
    assert plan["reason"].startswith("Job inputs had no data")
    missing = [name for name in ("served", "capture") if name != there]
    assert all(name in plan["reason"] for name in missing)


def test_before_any_feedback_there_is_no_list_of_it(door):
    on_stage(door)
    put(door, "served/2026/11/24/03/x", {})
    put(door, "capture/understudy-ranker/blue/2026/11/24/03/x", {})
    assert set(listed(door, door.handler(golden("plan_monitor/hourly"), CONTEXT))) == {"served", "capture"}


def test_a_champion_that_the_table_does_not_know_is_an_error(door):
    on_stage(door)
    fill(door)
    door.parts.releases = MemoryReleases()
    with pytest.raises(InvalidInput, match="r-1"):
        door.handler(golden("plan_monitor/hourly"), CONTEXT)


@pytest.mark.parametrize(
    "request_",
    [
        {"kind": "mood"},
        {"kind": "bias", "window_end": "2026-11-24T03:00:00Z"},
        {"kind": "bias", "window_start": "2026-11-24T03:00:00Z", "window_end": "2026-11-24T03:00:00Z"},
        {"kind": "bias", "window_start": "2026-11-24T03:00:00"},
        {"kind": "bias", "colour": "red"},
    ],
)
def test_a_request_that_says_no_window_is_refused(door, request_):
    with pytest.raises(ValueError, match="validation error"):
        door.handler({**golden("plan_monitor/hourly"), "request": request_}, CONTEXT)


@pytest.mark.parametrize(
    ("zone", "day"),
    [
        pytest.param("Europe/Berlin", (2026, 3, 29), id="a clock goes forward"),
        pytest.param("Europe/Berlin", (2026, 10, 25), id="a clock goes back"),
        pytest.param("UTC", (2028, 2, 29), id="a leap day"),
        pytest.param("UTC", (2026, 12, 31), id="a year ends"),
    ],
)
@pytest.mark.parametrize("period", [10, 60, 900, 3600])
def test_runs_of_every_period_leave_no_gap_and_no_overlap(zone, day, period):
    pace, first = Pace(period, 180, 3), datetime(*day, tzinfo=ZoneInfo(zone)).astimezone(UTC)
    runs = [first + timedelta(seconds=period * number + 7) for number in range(30 * 3600 // max(period, 600))]
    windows = [window_of(MonitorRequest(kind="bias"), at, pace) for at in runs]
    assert {end - start for start, end in windows} == {timedelta(seconds=period)}
    assert [start for start, _ in windows[1:]] == [end for _, end in windows[:-1]]
    assert all(end <= at - timedelta(seconds=180) for (_, end), at in zip(windows, runs, strict=True))


def test_days_of_complete_labels_leave_no_gap_over_a_leap_day():
    asked, pace = MonitorRequest(kind="model-quality", labels="complete"), Pace(3600, 180, 3)
    days = [window_of(asked, datetime(2028, 2, 28, 5, 40, tzinfo=UTC) + timedelta(days=n), pace) for n in range(6)]
    assert [start for start, _ in days[1:]] == [end for _, end in days[:-1]]
    assert datetime(2028, 2, 29, tzinfo=UTC) in [start for start, _ in days]


@pytest.mark.parametrize(("period", "resolution"), [(10, "1"), (30, "1"), (60, "60"), (3600, "60")])
def test_only_periods_below_a_minute_need_metrics_by_the_second(period, resolution):
    assert Pace(period, 180, 3).resolution == resolution
