"""Rollouts on a deployed stack, over the wire: 10, 50, 100 % on evidence, a release that waits, one that fails its users."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest

from cli.run_view import RunView
from cli.site import Site
from cli.stage import read_release, read_traffic
from support.deployed import deployed, run_to_its_end
from support.small_releases import ITEMS, approve_release, put_release
from understudy.adapters.aws_coverage import DynamoShown
from understudy.adapters.aws_items import from_item, to_item
from understudy.domain.coverage import EMPTY, GROUPS, add
from understudy.domain.outcomes import hour_of, partition

pytestmark = pytest.mark.timeout(240)
PARAMETERS = {"BakeSeconds": "4", "LookSeconds": "1", "DrainSeconds": "3", "HoldbackBp": "1000"}
ENDPOINTS = ("understudy-two-tower", "understudy-ranker")
STEP = 19  # every 19th bucket has a user, so that each of the judge's groups of buckets has some


@dataclass
class Users:
    """Outcomes of whoever is on stage, as the aggregator would count them; `bad` names a release that fails its users."""

    site: Site
    bad: str = ""
    over: threading.Event = field(default_factory=threading.Event)
    statuses: list[int] = field(default_factory=list)
    answered_by: set[str] = field(default_factory=set)

    def count(self, candidate: str, control: str, *, first_version: int) -> None:
        """Outcomes of a whole rollout, written before it begins: the version of each of its stages is known."""
        for version, share in enumerate((1000, 5000, 9000), first_version):
            for release_id, buckets in ((candidate, range(0, share, STEP)), (control, range(share, 10000, STEP))):
                self._put(self._rows(release_id, version, buckets))
                self._show(release_id, version)

    def _rows(self, release_id: str, version: int, buckets: range) -> list[dict[str, Any]]:
        pk = partition(release_id, version, hour_of(datetime.now(UTC)))
        counts = {"requests": 20, "impressions": 100, "latency_le_20": 20, "errors": 8 * (release_id == self.bad)}
        return [{"pk": pk, "sk": f"{bucket:04d}", "clicks": 30 + bucket // STEP % 7, **counts} for bucket in buckets]

    def _show(self, release_id: str, version: int) -> None:
        """Every item, to users of every group: the few lists that somebody really asked for add nothing to that."""
        sketch, now = bytearray(EMPTY), datetime.now(UTC)
        for group in range(GROUPS):
            add(sketch, group, (f"i-{number}" for number in range(ITEMS)))
        rows = {partition(release_id, version, hour_of(now)): sketch}
        DynamoShown(self.site.client("dynamodb"), self.site.outputs["OutcomesTable"]).put(rows, "lists", now)

    def _put(self, rows: list[dict[str, Any]]) -> None:
        requests = [{"PutRequest": {"Item": to_item(row)}} for row in rows]
        for start in range(0, len(requests), 25):
            batch = {self.site.outputs["OutcomesTable"]: requests[start : start + 25]}
            self.site.client("dynamodb").batch_write_item(RequestItems=batch)

    def ask(self) -> None:
        number = 0
        while not self.over.wait(0.25):
            body = {"user_id": f"u{number}", "k": 5}
            status, said = self.site.signed("execute-api", "POST", f"{self.site.outputs['ApiUrl']}/recommend", body)
            self.statuses.append(status)
            self.answered_by.add(said.get("release_id", ""))
            number += 1


def eventually(look: Callable[[], Any], seconds: float = 60.0) -> Any:
    ends = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < ends, "it did not happen in time"
        time.sleep(0.1)
    return found


def arn_of(site: Site, name: str, machine: str = "RollOutMachineArn") -> str:
    return site.outputs[machine].replace(":stateMachine:", ":execution:") + f":{name}"


def rollout(site: Site, release_id: str) -> RunView:
    """The rollout of a release, at its end."""
    states, arn = site.client("stepfunctions"), arn_of(site, release_id)

    def started() -> bool:
        try:
            return bool(states.describe_execution(executionArn=arn))
        except states.exceptions.ExecutionDoesNotExist:
            return False

    eventually(started)
    return run_to_its_end(site, arn)


def slots(site: Site) -> list[dict[str, int]]:
    described = [site.client("sagemaker").describe_endpoint(EndpointName=name) for name in ENDPOINTS]
    return [{row["VariantName"]: row["CurrentInstanceCount"] for row in one["ProductionVariants"]} for one in described]


def targets(site: Site) -> dict[str, tuple[int, int]]:
    found = site.client("application-autoscaling").describe_scalable_targets(ServiceNamespace="sagemaker")
    return {one["ResourceId"]: (one["MinCapacity"], one["MaxCapacity"]) for one in found["ScalableTargets"]}


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Iterator[Site]:
    with deployed(tmp_path_factory.mktemp("rollout"), **PARAMETERS) as site:
        yield site


@pytest.fixture(scope="module")
def first(site: Site) -> RunView:
    put_release(site, "r-1", age_s=400)
    approve_release(site, "r-1")
    return rollout(site, "r-1")


@pytest.fixture(scope="module")
def users(site: Site, first: RunView) -> Iterator[Users]:
    users = Users(site, bad="r-4")
    users.count("r-2", "r-1", first_version=2)
    users.count("r-4", "r-2", first_version=6)  # 5: r-1 is retired
    thread = threading.Thread(target=users.ask)
    thread.start()
    yield users
    users.over.set()
    thread.join()


@pytest.fixture(scope="module")
def second(site: Site, users: Users) -> RunView:
    """r-2 on evidence, approved three times, its champion scaled; r-3 and r-4 are approved while it goes on."""
    scaling = site.client("application-autoscaling")
    scaling.register_scalable_target(
        ServiceNamespace="sagemaker",
        ResourceId=f"endpoint/{ENDPOINTS[1]}/variant/blue",
        ScalableDimension="sagemaker:variant:DesiredInstanceCount",
        MinCapacity=1,
        MaxCapacity=6,
    )
    site.client("sagemaker").update_endpoint_weights_and_capacities(
        EndpointName=ENDPOINTS[1], DesiredWeightsAndCapacities=[{"VariantName": "blue", "DesiredInstanceCount": 4}]
    )
    put_release(site, "r-2", age_s=300)
    for _ in range(3):
        approve_release(site, "r-2")
    for release_id, age_s in (("r-3", 200), ("r-4", 100)):
        put_release(site, release_id, age_s=age_s)
    eventually(lambda: (read_traffic(site) or {}).get("candidate"))
    for release_id in ("r-3", "r-4"):
        approve_release(site, release_id)
    return rollout(site, "r-2")


def test_the_first_release_becomes_champion_at_once(site, first):
    assert first.status == "SUCCEEDED", first.failure()
    assert "BakeStage" not in [state.name for state in first.states]
    assert read_release(site, "r-1")["status"] == "champion"


def test_the_second_goes_through_ten_fifty_and_a_hundred_percent_on_evidence(site, second):
    assert second.status == "SUCCEEDED", second.failure()
    assert [state.name for state in second.states].count("PutOnStage") == 3
    bucket = site.outputs["ArtifactBucket"]
    documents = [
        json.loads(site.client("s3").get_object(Bucket=bucket, Key=f"verdicts/r-2/{name}.json")["Body"].read())
        for name in ("0-share", "1-share", "2-watch")
    ]
    assert [(one["share_bp"], one["verdict"], one["action"]) for one in documents] == [
        (1000, "pass", "next"),
        (5000, "pass", "next"),
        (9000, "pass", "next"),
    ]
    assert documents[1]["evidence"]["is_last_gate"] is True
    assert (read_release(site, "r-2")["status"], read_release(site, "r-1")["status"]) == ("champion", "retired")


def test_an_approval_that_comes_three_times_is_one_rollout(site, second):
    listed = site.client("stepfunctions").list_executions(stateMachineArn=site.outputs["RollOutMachineArn"])
    assert sorted(one["name"] for one in listed["executions"]) == ["r-1", "r-2", "r-3", "r-4"]


def test_instances_were_raised_to_what_the_champion_had(site, second):
    assert slots(site)[1]["green"] == 4


def test_every_configuration_captures(site, second):
    sagemaker = site.client("sagemaker")
    configs = sagemaker.list_endpoint_configs()["EndpointConfigs"]
    assert configs
    for config in configs:
        described = sagemaker.describe_endpoint_config(EndpointConfigName=config["EndpointConfigName"])
        assert described["DataCaptureConfig"]["EnableCapture"] is True


def test_of_two_that_wait_the_newer_goes_on_and_the_older_is_superseded(site, second):
    older = rollout(site, "r-3")
    assert (older.status, older.states[-1].name) == ("SUCCEEDED", "LeftAlone")
    assert "superseded by r-4" in older.described["output"]
    assert read_release(site, "r-3")["status"] == "retired"


def test_a_release_that_fails_its_users_is_asked_to_be_rolled_back_with_the_reason(site, second, users):
    fourth = rollout(site, "r-4")
    assert (fourth.status, fourth.described["error"]) == ("FAILED", "RolledBack")
    assert [state.name for state in fourth.states].count("PutOnStage") == 1
    states = site.client("stepfunctions")
    machine = site.outputs["RollOutMachineArn"].replace("-roll-out", "-roll-back")
    asked = [
        json.loads(states.describe_execution(executionArn=one["executionArn"])["input"])
        for one in states.list_executions(stateMachineArn=machine)["executions"]
    ]
    assert {"release_id": "r-4", "rollout_id": "r-4", "cause": "verdict"}.items() <= asked[-1].items()
    assert "error" in asked[-1]["reason"]


def test_after_its_rollback_one_release_serves_everybody_and_nothing_of_the_other_is_left(site, second, users):
    rollout(site, "r-4")
    eventually(lambda: read_release(site, "r-4")["status"] == "rejected")
    eventually(lambda: [list(one) for one in slots(site)] == [["green"], ["green"]])
    traffic = read_traffic(site)
    assert traffic is not None
    assert (traffic["champion"]["release"], traffic["candidate"], traffic["previous"]) == ("r-2", None, None)
    lease = {"TableName": site.outputs["LeaseTable"], "Key": to_item({"name": "stage"})}
    eventually(lambda: from_item(site.client("dynamodb").get_item(**lease)["Item"])["owner"] == "")
    running = {
        site.client("sagemaker").describe_endpoint(EndpointName=name)["EndpointConfigName"] for name in ENDPOINTS
    }
    configs = site.client("sagemaker").list_endpoint_configs()["EndpointConfigs"]
    assert {config["EndpointConfigName"] for config in configs} == running
    assert targets(site) == {f"endpoint/{ENDPOINTS[1]}/variant/green": (1, 6)}


def test_who_watches_finds_what_was_seen_last(site, second):
    item = site.client("dynamodb").get_item(TableName=site.outputs["StateTable"], Key=to_item({"id": "rollout#r-2"}))
    seen = from_item(item["Item"])
    assert (seen["stage"]["kind"], seen["verdict"], seen["action"]) == ("watch", "pass", "next")
    assert [window["share_bp"] for window in seen["windows"]] == [1000, 5000, 9000]


def test_no_user_saw_an_error(site, second, users):
    assert set(users.statuses) == {200}
    assert len(users.statuses) > 30
    assert {"r-1", "r-2"} <= users.answered_by


def test_no_function_was_refused_by_its_role(site, second, users):
    logs = site.client("logs")
    groups = [
        group["logGroupName"] for group in logs.describe_log_groups(logGroupNamePrefix="/understudy/")["logGroups"]
    ]
    refused = [
        event["message"]
        for group in groups
        for event in logs.filter_log_events(logGroupName=group)["events"]
        if "is not authorized to perform" in event["message"]
    ]
    assert refused == []
