"""Every alarm of the template watches a metric that a run really emits, by the very names and dimensions.

A deployed stack with two small releases on stage is asked; all monitors run through their machine, over an hour of a
real release's lists; a message lies among the dead letters. Then each alarm's (namespace, metric, dimensions) is looked
up in what CloudWatch stores.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from cli.model_faults import ModelFault, order_fault
from cli.site import Site
from cli.stage import read_traffic
from evaluation.release import open_release
from features.declaration import load
from monitors.baseline_files import read_baseline, read_model
from monitors.formats import Kind
from monitors.replay import Replay, Rules, read_requests
from support.dashboard import OF_NIGHTS, is_emitted, shown, undefined_names, widgets
from support.deployed import deployed, run_to_its_end
from support.live_feedback import deliver_feedback
from support.monitor_logs import START, at_times, with_clicks, write_logs
from support.prepared import make_prepared
from support.release_folders import store_ranker, store_tower
from support.small_releases import approve_release, put_release
from understudy.domain.alarms import parse_name

pytestmark = pytest.mark.timeout(600)
ROOT = Path(__file__).parents[3]
HOUR = f"{START:%Y/%m/%d/%H}"
# Both slots are on stage for as long as the test looks; the schedules' next start is minutes away.
PARAMETERS = {
    "RolloutStages": "5000,10000",
    "BakeSeconds": "600",
    "LookSeconds": "600",
    "HealthPeriodSeconds": "10",
    "HealthErrorRate": "0.5",
    "HealthMinimumCalls": "3",
    "MonitorState": "ENABLED",
}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with deployed(tmp_path_factory.mktemp("alarms"), **PARAMETERS) as site:
        yield site


def eventually(look: Callable[[], Any]) -> Any:
    ends = time.monotonic() + 180
    while not (found := look()):
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.2)
    return found


@pytest.fixture(scope="module")
def stage(site: Site) -> Site:
    """r-1 is champion in blue, r-2 candidate in green, half the users each; a message lies among the dead letters."""
    stack = site.client("cloudformation").describe_stack_resources(StackName=site.stack)["StackResources"]
    queue = next(one["PhysicalResourceId"] for one in stack if one["LogicalResourceId"] == "UndeliveredEvents")
    site.client("sqs").send_message(QueueUrl=queue, MessageBody="a drill")  # early: SQS tells by the minute
    for release_id, age_s in (("r-1", 200), ("r-2", 100)):
        put_release(site, release_id, age_s=age_s)
        approve_release(site, release_id)
        eventually(lambda release_id=release_id: release_id in json.dumps(read_traffic(site), default=str))
    eventually(lambda: (read_traffic(site) or {}).get("share_bp"))
    ask(site, 40)
    return site


def ask(site: Site, users: int) -> list[str]:
    def one(number: int) -> str:
        body = {"user_id": f"u{number}", "k": 5}
        status, said = site.signed("execute-api", "POST", f"{site.outputs['ApiUrl']}/recommend", body)
        assert status == 200, said
        return str(said["release_id"])

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(one, range(users)))


@pytest.fixture(scope="module")
def monitored(stage: Site, tmp_path_factory: pytest.TempPathFactory) -> Site:
    """An hour of a real release's lists in the lake as r-1's, and every monitor over it."""
    folder = tmp_path_factory.mktemp("release")
    baseline = _release_and_its_logs(folder)
    artifacts, lake = stage.outputs["ArtifactBucket"], stage.outputs["LakeBucket"]
    _put(stage, baseline, artifacts, "work/baseline/small")
    _put(stage, folder / "prepared" / "users", artifacts, "work/prepare_data/small/users")
    _put(stage, folder / "logs" / "capture" / "understudy-ranker" / "blue", lake, "capture/understudy-ranker/blue")
    for name in ("served", "feedback"):
        _put(stage, folder / "logs" / name / "2026", lake, f"{name}/{HOUR}")
    places = {
        "baseline_s3": f"s3://{artifacts}/work/baseline/small",
        "prepared_s3": f"s3://{artifacts}/work/prepare_data/small",
    }
    for name, uri in places.items():
        stage.client("dynamodb").update_item(
            TableName=stage.outputs["ReleasesTable"],
            Key={"release_id": {"S": "r-1"}},
            UpdateExpression="SET #name = :uri",
            ExpressionAttributeNames={"#name": name},
            ExpressionAttributeValues={":uri": {"S": uri}},
        )
    window = {"window_start": START.isoformat(), "window_end": (START + timedelta(hours=1)).isoformat()}
    started = [
        stage.client("stepfunctions").start_execution(
            stateMachineArn=stage.outputs["MonitorMachineArn"], input=json.dumps({"kind": kind.value, **window})
        )["executionArn"]
        for kind in Kind
    ]
    for arn in started:
        view = run_to_its_end(stage, arn)
        assert view.status == "SUCCEEDED", view.failure()
    return stage


def _release_and_its_logs(folder: Path) -> Path:
    prepared = make_prepared(folder / "prepared", users=250)
    tower, vectors = store_tower(prepared, folder / "tower", "a" * 64)
    ranker = store_ranker(prepared, folder / "ranker")
    given = {
        "prepared": prepared,
        "two-tower": tower,
        "vectors": vectors,
        "ranker": ranker,
        "output": folder / "baseline",
    }
    arguments = [part for name, path in given.items() for part in (f"--{name}", str(path))]
    more = ["--release-id", "r-1", "--candidates", "40", "--message-file", str(folder / "message")]
    command = [sys.executable, "launch.py", "monitors/baseline.py", *arguments, *more]
    subprocess.run(
        command, cwd=ROOT / "model_code", env={"PYTHONPATH": str(ROOT / "model_code")}, check=True, timeout=300
    )
    release = open_release(tower, ranker, vectors, folder / "opened")
    scorer, _ = read_model(release.ranker)
    replay = Replay(release, scorer, load(prepared / "features.yaml"), prepared, Rules(candidates=40))
    shown = at_times(replay.shown(read_requests(prepared, 500, seed=3)), START, 1)
    hours = (shown.at_us // 3_600_000_000 % 24).astype(float)
    shown = replace(shown, raw={**shown.raw, "hour": hours})
    made = read_baseline(folder / "baseline")
    shown = with_clicks(shown, made.probabilities(shown))
    write_logs(folder / "logs", shown, made.first_place(shown), endpoint="understudy-ranker")
    return folder / "baseline"


def _put(site: Site, folder: Path, bucket: str, prefix: str) -> None:
    for file in folder.rglob("*"):
        if file.is_file():
            site.client("s3").upload_file(str(file), bucket, f"{prefix}/{file.relative_to(folder).as_posix()}")


def alarms(site: Site) -> dict[str, dict[str, Any]]:
    pages = site.client("cloudwatch").get_paginator("describe_alarms").paginate(AlarmNamePrefix=f"{site.stack}-")
    return {one["AlarmName"]: one for page in pages for one in page["MetricAlarms"]}


def watched(alarm: dict[str, Any]) -> list[dict[str, Any]]:
    if not alarm.get("Metrics"):
        return [alarm]
    return [query["MetricStat"]["Metric"] for query in alarm["Metrics"] if "MetricStat" in query]


def is_stored(site: Site, metric: dict[str, Any]) -> bool:
    """Metrics of these very dimensions, no more and no fewer."""
    found = site.client("cloudwatch").list_metrics(
        Namespace=metric["Namespace"], MetricName=metric["MetricName"], Dimensions=metric["Dimensions"]
    )["Metrics"]
    return any(len(one["Dimensions"]) == len(metric["Dimensions"]) for one in found)


def test_there_is_an_alarm_for_each_subject_and_each_is_known_by_its_name(site: Site) -> None:
    names = [parse_name(site.stack, name) for name in alarms(site)]
    assert None not in names
    subjects = [name.subject for name in names if name is not None]
    counted = {subject: subjects.count(subject) for subject in set(subjects)}
    assert counted == {"drift": 5, "schema": 5, "silent": 5, "errors": 4, "latency": 4, "health": 2, "dead-letters": 1}


def test_every_alarm_watches_a_metric_that_is_emitted(monitored: Site) -> None:
    metrics = [metric for alarm in alarms(monitored).values() for metric in watched(alarm)]
    assert len({json.dumps([one["Namespace"], one["MetricName"], one["Dimensions"]]) for one in metrics}) == 26
    of_sqs = [metric for metric in metrics if metric["Namespace"] == "AWS/SQS"]
    assert [metric for metric in metrics if metric not in of_sqs and not is_stored(monitored, metric)] == []
    eventually(lambda: all(is_stored(monitored, metric) for metric in of_sqs))
    eventually(lambda: alarms(monitored)[f"{monitored.stack}-dead-letters"]["StateValue"] == "ALARM")


def test_every_metric_of_the_dashboard_is_emitted(monitored: Site) -> None:
    """But those of a night, which the journey of a night looks up."""
    deliver_feedback(monitored, {"champion": "r-1", "candidate": "r-2", "holdback": "r-1"})
    asked = [one for one in shown(monitored) if one.name not in OF_NIGHTS]
    assert len(asked) == 39
    assert {one.name for one in shown(monitored)} > OF_NIGHTS
    clicks = [one for one in asked if one.name in ("Clicks", "Impressions")]
    eventually(lambda: all(is_emitted(monitored, one) for one in clicks))  # a log object is on its way through a queue
    assert [one for one in asked if not is_emitted(monitored, one, "r-1")] == []


def test_every_name_in_an_expression_of_the_dashboard_is_a_line_of_its_widget(site: Site) -> None:
    assert undefined_names(site) == []


def test_the_dashboard_shows_every_alarm(site: Site) -> None:
    listed = [arn for one in widgets(site) if one["type"] == "alarm" for arn in one["properties"]["alarms"]]
    assert sorted(arn.rpartition(":")[2] for arn in listed) == sorted(alarms(site))


def test_a_candidate_that_fails_its_users_rings_the_alarms_of_its_slot(monitored: Site) -> None:
    order_fault(monitored, "r-2", ModelFault("errors", share=1.0))

    def rings() -> set[str]:
        assert set(ask(monitored, 20)) == {"r-1"}  # the champion helps, so nobody sees an error
        return {name for name, alarm in alarms(monitored).items() if alarm["StateValue"] == "ALARM"}

    found = eventually(lambda: {name for name in rings() if name.endswith("-green")})
    assert found <= {f"{monitored.stack}-errors-ranker-green", f"{monitored.stack}-health-green"}
