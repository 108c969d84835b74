"""The way down on a deployed stack: a candidate at 10 % is taken back, its slot emptied, and nothing of it is left."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator

import pytest

from cli.doctor_command import examine
from cli.rollout_commands import begin_rollback
from cli.rollout_wishes import put_wish
from cli.run_view import FINAL
from cli.site import Site
from cli.stage import read_release, read_traffic
from support.deployed import deployed
from support.small_releases import approve_release, put_release
from support.stage_kills import at_rest

pytestmark = pytest.mark.timeout(600)
PARAMETERS = {"RolloutStages": "1000,10000", "BakeSeconds": "3600", "LookSeconds": "1", "DrainSeconds": "3"}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    with deployed(tmp_path_factory.mktemp("rollback"), **PARAMETERS) as site:
        put_release(site, "r-1", age_s=60)
        approve_release(site, "r-1")
        until(lambda: read_traffic(site))
        yield site


def until(look, seconds=90.0):
    ends = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.2)
    return found


def ended(site: Site, arn: str, seconds: float = 120.0) -> dict:
    def look():
        described = site.client("stepfunctions").describe_execution(executionArn=arn)
        return described if described["status"] in FINAL else None

    return until(look, seconds)


def variants(site: Site, endpoint: str) -> set[str]:
    rows = site.client("sagemaker").describe_endpoint(EndpointName=f"{site.stack}-{endpoint}")["ProductionVariants"]
    return {row["VariantName"] for row in rows}


def put_candidate(site: Site, release_id: str) -> None:
    put_release(site, release_id)
    approve_release(site, release_id)
    until(lambda: (read_traffic(site)["candidate"] or {}).get("release") == release_id)


def test_a_candidate_at_ten_percent_is_taken_back_and_leaves_nothing(site):
    put_candidate(site, "r-2")
    assert variants(site, "two-tower") == {"blue", "green"}
    back = ended(site, begin_rollback(site, "r-2", "r-2", reason="a test", cause="alarm"))
    assert back["status"] == "SUCCEEDED", back
    traffic = read_traffic(site)
    assert (traffic["champion"]["release"], traffic["candidate"], traffic["share_bp"]) == ("r-1", None, 0)
    assert (variants(site, "two-tower"), variants(site, "ranker")) == ({"blue"}, {"blue"})
    assert read_release(site, "r-2")["status"] == "rejected"
    package = read_release(site, "r-2")["two_tower_package_arn"]
    described = site.client("sagemaker").describe_model_package(ModelPackageName=package)
    assert (described["ModelApprovalStatus"], described["ApprovalDescription"]) == ("Rejected", "a test")
    assert json.loads(back["output"])["taken_down"] is True
    until(lambda: not list(examine(site)), 20)


def ring(site: Site, slot: str) -> None:
    """The alarm on a slot's health goes into ALARM, as CloudWatch would bring it there."""
    cloudwatch, name = site.client("cloudwatch"), f"{site.stack}-health-{slot}"
    if not cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]:
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="Test",
            MetricName="Health",
            Statistic="Maximum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanThreshold",
        )
    for value in ("OK", "ALARM"):
        cloudwatch.set_alarm_state(AlarmName=name, StateValue=value, StateReason="a test")


def test_an_alarm_one_second_after_the_promotion_brings_the_release_before_back(site):
    put_candidate(site, "r-3")
    put_wish(site, "r-3", "promote", "a test", read_traffic(site)["version"])
    until(lambda: read_traffic(site)["champion"]["release"] == "r-3")
    time.sleep(1)
    ring(site, read_traffic(site)["champion"]["slot"])
    until(lambda: read_traffic(site)["champion"]["release"] == "r-1")
    at_rest(site)
    assert (read_release(site, "r-1")["status"], read_release(site, "r-3")["status"]) == ("champion", "rejected")
