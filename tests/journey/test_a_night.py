"""From raw events to served recommendations, over the wire: the template deployed, a night, a stage, answers, feedback, a second night."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from cli.data_commands import generate_world
from cli.monitor_runs import KINDS, MonitorRun, await_monitors, save_report, start_monitors
from cli.night_commands import start_night
from cli.night_estimate import read_estimate
from cli.report_page import render
from cli.report_story import read_story
from cli.run_view import RunView
from cli.score_commands import start_scoring
from cli.serving_commands import ask
from cli.site import Site
from cli.stage import read_release, read_releases, read_traffic
from cli.tastes import tastes_of
from simulator.traffic import Options, run
from support.dashboard import OF_NIGHTS, is_emitted, shown
from support.deployed import deployed, run_to_its_end
from support.live_lists import exported_lists, live_lists
from understudy.adapters.aws_items import from_item

pytestmark = pytest.mark.timeout(600)
WORLD = {"users": 300, "items": 240, "days": 12, "impressions_per_day": 2500, "seed": 3}
REQUEST = {"reason": "journey", "window_days": 11}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    with deployed(tmp_path_factory.mktemp("journey")) as site:
        yield site


def eventually(look: Callable[[], Any], seconds: float = 90.0) -> Any:
    """What `look` finds, as soon as it finds something."""
    ends = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.3)
    return found


@pytest.fixture(scope="module")
def first(site: Site) -> dict[str, Any]:
    """The first night's registration, once its release serves."""
    generate_world(site, **WORLD)
    night = run_to_its_end(site, start_night(site, REQUEST))
    assert night.status == "SUCCEEDED", night.failure()
    registration = json.loads(night.described["output"])
    eventually(lambda: read_traffic(site))
    return registration


@pytest.fixture(scope="module")
def answer(site: Site, first: dict[str, Any]) -> dict[str, Any]:
    """A warm answer to a known user: the first requests of a function's life may come late and say so."""

    def undegraded() -> dict[str, Any] | None:
        got = ask(site, "u000003", 10, [])
        return None if got["degraded"] else got

    return eventually(undegraded, 30.0)


def test_the_first_release_goes_straight_to_champion(site, first):
    assert first["registered"], first["reasons"]
    traffic = read_traffic(site)
    assert traffic is not None
    assert (traffic["champion"]["release"], traffic["candidate"], traffic["version"]) == (first["release_id"], None, 1)
    assert read_release(site, first["release_id"])["status"] == "champion"


def test_a_release_knows_where_it_comes_from(site, first):
    lineage = read_release(site, first["release_id"])["lineage"]
    assert {arn.split("/")[1].split("-night")[0] for arn in (job["arn"] for job in lineage["jobs"])} == {
        "prepare-data",
        "two-tower",
        "ranker",
        "embed-items",
        "index-items",
        "evaluate",
        "baseline",
    }
    assert lineage["snapshots"]["events"]
    assert lineage["cost_usd"] > 0


def test_a_night_tells_what_the_dashboard_shows_of_nights(site, first):
    of_nights = [one for one in shown(site) if one.name in OF_NIGHTS]
    assert {one.name for one in of_nights} == OF_NIGHTS
    eventually(lambda: all(is_emitted(site, one) for one in of_nights))


def test_the_report_tells_of_the_night_its_cost_and_who_serves_since(site, first):
    story = read_story(site, 1, datetime.now(UTC))
    assert story.silent == {}
    night, page = story.nights[0], render(story)
    assert (night.release, len(night.jobs)) == (first["release_id"], 7)
    assert story.history.changes[-1].champion.release == first["release_id"]
    assert {job.status for job in night.jobs} == {"Completed"}
    for said in (night.name, "passed the gate", f"{first['release_id']} 100 %"):
        assert said in page


def test_the_next_night_is_estimated_from_the_one_that_was(site, first):
    estimate = read_estimate(site, datetime.now(UTC), None, REQUEST["window_days"])
    (past,) = estimate.past
    assert past.rows == estimate.rows > 20_000
    found, cost = estimate.of_night(), estimate.of_cost()
    assert found.low < past.seconds < found.high
    assert cost is not None
    assert cost.middle == pytest.approx(read_release(site, first["release_id"])["lineage"]["cost_usd"], rel=0.05)


def test_an_answer_comes_from_the_release_on_stage_whole(site, first, answer):
    assert (answer["release_id"], answer["degraded"]) == (first["release_id"], [])
    assert [item["position"] for item in answer["items"]] == list(range(1, 11))
    assert all(item["title"] for item in answer["items"])


def test_a_user_nobody_knows_is_answered_too(site, answer):
    assert len(ask(site, "never-seen-before", 5, [])["items"]) == 5


def test_a_topic_asked_for_is_the_only_one_answered(site, first, answer):
    release = read_release(site, first["release_id"])
    query = {"size": 1, "_source": ["item_topic"], "query": {"match_all": {}}}
    _, found = site.signed("es", "POST", f"{site.outputs['ItemIndexUrl']}/{release['index']}/_search", query)
    topic = found["hits"]["hits"][0]["_source"]["item_topic"]
    ids = [item["item_id"] for item in ask(site, "u000003", 5, [topic])["items"]]
    query = {"size": 5, "_source": ["item_topic"], "query": {"terms": {"item_id": ids}}}
    _, found = site.signed("es", "POST", f"{site.outputs['ItemIndexUrl']}/{release['index']}/_search", query)
    assert {hit["_source"]["item_topic"] for hit in found["hits"]["hits"]} == {topic}


@pytest.mark.parametrize(
    "body", [{}, {"user_id": "u", "k": 0}, {"user_id": "u", "k": 10**9}, {"user_id": ""}, {"user_id": "u", "colour": 1}]
)
def test_bad_input_is_answered_with_what_was_wrong_and_what_was_expected(site, answer, body):
    status, said = site.signed("execute-api", "POST", f"{site.outputs['ApiUrl']}/recommend", body)
    assert 400 <= status < 500
    assert set(said["error"]) == {"code", "what", "expected"}


def test_a_caller_without_a_signature_gets_no_data(site, answer):
    from botocore.awsrequest import AWSRequest
    from botocore.httpsession import URLLib3Session

    request = AWSRequest("POST", f"{site.outputs['ApiUrl']}/recommend", data=b'{"user_id":"u000003"}')
    said = URLLib3Session().send(request.prepare())
    assert said.status_code == 403
    assert b"items" not in said.content


@pytest.fixture(scope="module")
def scored(site: Site, first: dict[str, Any], answer: dict[str, Any]) -> RunView:
    """Everybody's list of the day."""
    return run_to_its_end(site, start_scoring(site, {}))


def test_every_users_list_of_the_day_is_what_the_champion_answers_live(site, first, scored, tmp_path):
    assert scored.status == "SUCCEEDED", scored.failure()
    output = json.loads(scored.described["output"])
    lists = exported_lists(site, output["scores"], tmp_path)
    assert (len(lists), {len(items) for items in lists.values()}) == (WORLD["users"], {10})
    some = sorted(lists)[:: WORLD["users"] // 15]
    live = live_lists(site, some, output["scored_for"], first["release_id"])
    assert {user: lists[user] for user in some} == live


def exported(site: Site) -> str:
    """Where the table's metadata lies: another place after every commit."""
    found = site.client("glue").get_table(DatabaseName=site.outputs["GlueDatabase"], Name="recommendations")
    return str(found["Table"]["Parameters"]["metadata_location"])


def test_lists_that_were_made_are_found_again_and_the_table_is_not_written_twice(site, scored):
    before = exported(site)
    time.sleep(1.1)  # executions are named by the second
    again = run_to_its_end(site, start_scoring(site, {}))
    assert again.status == "SUCCEEDED", again.failure()
    assert [state.job.split("-score-")[0] for state in again.states if state.job] == ["collect-scores"]
    assert exported(site) == before


def feedback(answer: dict[str, Any], *events: dict[str, Any]) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {
        "recommendation_id": answer["recommendation_id"],
        "user_id": "u000003",
        "events": [{"event_id": uuid.uuid4().hex, "event_time": now, **event} for event in events],
    }


def test_feedback_is_credited_to_the_signed_recommendation_and_counted_once(site, first, answer):
    shown = answer["items"][0]["item_id"]
    body = feedback(
        answer,
        {"type": "impression", "item_id": shown, "position": 1},
        {"type": "click", "item_id": shown, "position": 1},
    )
    statuses = [site.signed("execute-api", "POST", f"{site.outputs['ApiUrl']}/events", body)[0] for _ in range(3)]
    assert statuses == [202] * 3

    def counted() -> list[dict[str, Any]]:
        items = site.client("dynamodb").scan(TableName=site.outputs["OutcomesTable"])["Items"]
        rows = [from_item(item) for item in items]
        return [row for row in rows if row.get("clicks")]

    rows = eventually(counted, 150.0)
    assert sum(row["clicks"] for row in rows) == 1
    assert first["release_id"] in json.dumps(rows)


def test_a_forged_recommendation_id_is_refused(site, answer):
    body = feedback(answer, {"type": "click", "item_id": answer["items"][0]["item_id"], "position": 1})
    body["recommendation_id"] = body["recommendation_id"][:-2] + (
        "AA" if not body["recommendation_id"].endswith("AA") else "BB"
    )
    status, said = site.signed("execute-api", "POST", f"{site.outputs['ApiUrl']}/events", body)
    assert 400 <= status < 500
    assert said["error"]["what"]


@pytest.fixture(scope="module")
def watched(site: Site, first: dict[str, Any], answer: dict[str, Any], tmp_path_factory) -> list[MonitorRun]:
    """Every monitor, over some seconds of simulated people."""
    began = datetime.now(UTC)
    options = Options(rps=12, seconds=8, log=tmp_path_factory.mktemp("traffic") / "log.jsonl")
    asked = run(site, tastes_of(site), options).asked
    s3, bucket, ranker = site.client("s3"), site.outputs["LakeBucket"], f"capture/{site.stack}-ranker/"

    def lines(prefix: str) -> int:
        found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        return sum(s3.get_object(Bucket=bucket, Key=one["Key"])["Body"].read().count(b"\n") for one in found)

    eventually(lambda: lines("served/") >= asked and lines(ranker) >= 20 and lines("feedback/") > asked)
    runs = start_monitors(site, KINDS, began, datetime.now(UTC))
    await_monitors(site, runs)
    return runs


def test_every_monitor_looks_at_real_traffic_and_tells_cloudwatch(site, first, watched):
    assert {monitor.kind: monitor.status for monitor in watched} == dict.fromkeys(KINDS, "SUCCEEDED"), [
        monitor.said for monitor in watched
    ]
    assert {monitor.release_id for monitor in watched} == {first["release_id"]}
    pages = site.client("cloudwatch").get_paginator("list_metrics").paginate(Namespace="Understudy/Monitors")
    emitted = {
        (metric["MetricName"], *sorted((one["Name"], one["Value"]) for one in metric["Dimensions"]))
        for page in pages
        for metric in page["Metrics"]
    }
    for kind in KINDS:
        common = (("Endpoint", f"{site.stack}-ranker"), ("MonitoringSchedule", f"{site.stack}-{kind}"))
        assert {(f"{which}violations", *common) for which in ("", "schema_", "drift_")} <= emitted


def test_a_monitors_report_lies_in_the_bucket_whole(site, watched, tmp_path):
    for monitor in watched:
        file = save_report(site, monitor, tmp_path)
        assert file is not None
        page = file.read_text()
        assert monitor.release_id in page
        assert "What was read" in page
    assert "<svg" in (tmp_path / "data-quality.html").read_text()


def test_a_window_in_which_nobody_came_is_no_data(site, first):
    (monitor,) = start_monitors(site, ["bias"], datetime(2020, 1, 1, tzinfo=UTC), datetime(2020, 1, 2, tzinfo=UTC))
    await_monitors(site, [monitor])
    assert monitor.status == "FAILED"
    assert monitor.said.startswith("Job inputs had no data")


@pytest.fixture(scope="module")
def second(site: Site, first: dict[str, Any], answer: dict[str, Any]) -> RunView:
    """A second night over the same window, while the first release serves."""
    champion = read_release(site, first["release_id"])
    arn = start_night(site, {**REQUEST, "as_of": champion["lineage"]["as_of"]})
    rival = (
        start_night(site, {**REQUEST, "as_of": champion["lineage"]["as_of"], "reason": "rival"}, anew=True)
        if _later()
        else ""
    )
    view = run_to_its_end(site, arn)
    view.described["rival"] = rival
    return view


def _later() -> bool:
    """Executions are named by the second."""
    time.sleep(1.1)
    return True


def test_two_nights_at_once_are_one_and_the_other_is_told_which(site, second):
    rival = run_to_its_end(site, second.described["rival"])
    assert (rival.status, rival.described["error"]) == ("FAILED", "LeaseHeld")
    assert second.arn in rival.described["cause"]


def test_a_second_nights_release_is_measured_beside_the_champion_and_begins_to_rehearse(site, first, second):
    assert second.status == "SUCCEEDED", second.failure()
    registration = json.loads(second.described["output"])
    releases = {release["release_id"]: release for release in read_releases(site)}
    assert set(releases) == {first["release_id"], registration["release_id"]}
    assert releases[registration["release_id"]]["lineage"]["champion"] == first["release_id"]
    traffic = eventually(lambda: (found := read_traffic(site)) and found["candidate"] and found)
    assert traffic["champion"]["release"] == first["release_id"]
    assert (traffic["candidate"]["release"], traffic["share_bp"]) == (registration["release_id"], 1000)


def test_the_champions_index_outlives_the_second_night(site, first, second):
    answers = {ask(site, f"u{number:06d}", 5, [])["release_id"] for number in range(20)}
    assert first["release_id"] in answers
    status, counted = site.signed("es", "GET", f"{site.outputs['ItemIndexUrl']}/items-{first['release_id']}/_count")
    assert (status, counted["count"]) == (200, read_release(site, first["release_id"])["metrics"]["index"]["count"])


def test_finished_work_of_the_same_window_is_found_and_not_done_again(site, second):
    jobs = [state.job for state in second.states if state.job]
    assert not [job for job in jobs if job.startswith(("prepare-data", "ranker"))]
    assert [job for job in jobs if job.startswith("two-tower")], "it starts warm from the champion, so it is new work"


def test_no_function_was_refused_by_its_role_and_nothing_is_undelivered(site, second):
    url = site.outputs["UndeliveredEventsUrl"]
    left = site.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])[
        "Attributes"
    ]
    assert left == {"ApproximateNumberOfMessages": "0"}
    logs = site.client("logs")
    groups = [
        group["logGroupName"]
        for page in logs.get_paginator("describe_log_groups").paginate()
        for group in page["logGroups"]
    ]
    refused = [
        event["message"]
        for group in groups
        if group.startswith("/understudy/")
        for event in logs.filter_log_events(logGroupName=group)["events"]
        if "is not authorized to perform" in event["message"]
    ]
    assert refused == []


def test_a_night_whose_training_was_stopped_fails_with_the_reason_and_the_next_finishes_without_repeating_jobs(
    site, first, second
):
    as_of = read_release(site, first["release_id"])["lineage"]["as_of"]
    arn = start_night(site, {**REQUEST, "as_of": as_of, "two_tower": {"seed": 11}}, anew=True)
    sagemaker = site.client("sagemaker")

    def running() -> list[dict[str, Any]]:
        return sagemaker.list_training_jobs(NameContains="two-tower", StatusEquals="InProgress")["TrainingJobSummaries"]

    sagemaker.stop_training_job(TrainingJobName=eventually(running)[0]["TrainingJobName"])
    night = run_to_its_end(site, arn)
    assert (night.status, night.described["error"]) == ("FAILED", "TrainingFailed")
    assert len(read_releases(site)) == 2, "nothing half-registered"

    again = run_to_its_end(site, start_night(site, {}))
    assert again.status == "SUCCEEDED", again.failure()
    jobs = [state.job.split("-night")[0] for state in again.states if state.job]
    assert jobs[:2] == ["two-tower", "embed-items"]
    assert sorted(jobs[2:]) == ["baseline", "evaluate", "index-items"]
