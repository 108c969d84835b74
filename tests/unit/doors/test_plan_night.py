"""functions/plan_night: one night at a time, and a plan that is the same for the same window, data, code and parameters."""

from __future__ import annotations

import io
import json
import tarfile
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from support.doors import CONTEXT, golden, load_door
from support.releases import release
from support.tuned import STORED
from understudy.adapters.memory import MemoryLeases, MemoryReleases, MemoryTraffic
from understudy.contracts.traffic import Standing, Traffic
from understudy.domain.lease import Lease
from understudy.errors import LeaseHeld
from understudy.settings import PlanNightSettings

BUCKET = "understudy-artifactbucket-1"
STARTED = datetime(2026, 11, 23, 4, tzinfo=UTC)


class States:
    """Executions by ARN and their status; anything else never existed."""

    def __init__(self, **running: str) -> None:
        self._status = running

    def describe_execution(self, executionArn: str) -> dict[str, str]:
        return {"status": self._status.get(executionArn, "FAILED")}


@pytest.fixture
def door(aws, artifacts, monkeypatch):
    """The door over memory stores and an in-process S3 and DynamoDB; `door.world_parts` are its stores."""
    module: Any = load_door("plan_night")
    dynamodb = aws.client("dynamodb")
    key = {
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    }
    dynamodb.create_table(TableName="state", BillingMode="PAY_PER_REQUEST", **key)
    settings = PlanNightSettings(
        lease_table="l",
        traffic_table="t",
        releases_table="r",
        state_table="state",
        artifact_bucket=BUCKET,
        hyperparameters_path="/understudy/u/hyperparameters",
        lake_bucket="lake",
        window_days=30,
        two_tower_parameters="{}",
        ranker_parameters='{"trees": 50}',
        opensearch_engine="faiss",
    )
    parts = SimpleNamespace(
        leases=MemoryLeases(),
        traffic=MemoryTraffic(),
        releases=MemoryReleases(),
        dynamodb=dynamodb,
        s3=artifacts,
        states=States(),
        ssm=aws.client("ssm"),
    )
    monkeypatch.setattr(module, "world", lambda: module.World(settings, **vars(parts)))
    module.parts = parts
    return module


def lake_through(door, through: str) -> None:
    door.parts.dynamodb.put_item(
        TableName="state", Item={"id": {"S": "lake"}, "data_through": {"S": through}, "data_version": {"N": "1"}}
    )


def test_a_night_ends_where_the_data_ends_when_no_user_was_served_since(door):
    lake_through(door, "2026-11-20T00:00:00+00:00")
    plan = door.handler(golden("plan_night/schedule"), CONTEXT)
    assert plan["as_of"] == "2026-11-20T00:00:00Z"
    assert plan["release_id"].startswith("r-20261120-")


def test_a_night_ends_now_once_feedback_of_served_users_has_come(door):
    lake_through(door, "2026-11-20T00:00:00+00:00")
    door.parts.s3.put_object(Bucket="lake", Key="feedback/2026/11/22/10/x", Body=b"{}")
    assert door.handler(golden("plan_night/schedule"), CONTEXT)["as_of"] == "2026-11-23T04:00:00Z"


def test_the_same_night_planned_anew_has_the_same_release_and_the_same_places(door):
    first = door.handler(golden("plan_night/schedule"), CONTEXT)
    door.parts.leases.release(door.parts.leases.holder("night"))
    second = door.handler({**golden("plan_night/schedule"), "run_id": "night-again"}, CONTEXT)
    assert (second["release_id"], second["work"]) == (first["release_id"], first["work"])
    assert second["fence"] == first["fence"] + 1


def test_a_parameter_moves_the_places_of_what_depends_on_it_and_of_nothing_else(door):
    plain = door.handler(golden("plan_night/schedule"), CONTEXT)
    event = golden("plan_night/schedule")
    event["request"]["ranker"] = {"trees": 51}
    changed = door.handler(event, CONTEXT)
    moved = {stage for stage in plain["work"] if plain["work"][stage] != changed["work"][stage]}
    assert moved == {"ranker", "index_items", "evaluate", "baseline"}  # the index carries the release's id
    assert changed["release_id"] != plain["release_id"]


def keep_tuned(door, parameters: dict[str, Any]) -> None:
    value = {**STORED, "parameters": parameters}
    name = "/understudy/u/hyperparameters/ranker"
    door.parts.ssm.put_parameter(Name=name, Value=json.dumps(value), Type="String", Overwrite=True)


def test_tuned_parameters_stand_below_the_deployments_and_the_requests_own(door):
    keep_tuned(door, {"learning_rate": 0.05, "num_leaves": 15, "smoothing": 40.0})
    event = golden("plan_night/schedule")
    event["request"]["ranker"] = {"num_leaves": 63, "trees": 51}  # the deployment's own says trees: 50
    plan = door.handler(event, CONTEXT)
    given = {name: json.loads(value) for name, value in plan["ranker_hyperparameters"].items()}
    names = ("learning_rate", "num_leaves", "smoothing", "trees")
    assert [given[name] for name in names] == [0.05, 63, 40.0, 51]
    assert "learning_rate" not in plan["two_tower_hyperparameters"]


@pytest.mark.parametrize(
    "parameters",
    [
        pytest.param({"gone": 3}, id="a name that the program no longer has"),
        pytest.param({"num_leaves": 12.5}, id="a fraction where a whole number is due"),
        pytest.param({"num_leaves": 100_000}, id="beyond the search space"),
        pytest.param({"num_leaves": "15; rm"}, id="no number"),
    ],
)
def test_a_tuned_parameter_that_could_fail_every_night_is_left_out(door, parameters):
    keep_tuned(door, {**parameters, "learning_rate": 0.05})
    plan = door.handler(golden("plan_night/schedule"), CONTEXT)
    assert not parameters.keys() & plan["ranker_hyperparameters"].keys()
    assert plan["ranker_hyperparameters"]["learning_rate"] == "0.05"


def test_a_night_goes_on_without_tuned_parameters_that_cannot_be_read(door):
    door.parts.ssm.put_parameter(Name="/understudy/u/hyperparameters/ranker", Value="no JSON", Type="String")
    plan = door.handler(golden("plan_night/schedule"), CONTEXT)
    assert "learning_rate" not in plan["ranker_hyperparameters"]


def test_a_second_night_is_refused_with_the_first_ones_execution(door):
    door.handler(golden("plan_night/schedule"), CONTEXT)
    running = golden("plan_night/schedule")["execution_arn"]
    door.parts.states.__init__(**{running: "RUNNING"})
    with pytest.raises(LeaseHeld, match=running):
        door.handler(golden("plan_night/by_hand_with_parameters"), CONTEXT)


def test_a_lease_that_a_dead_night_left_behind_is_taken_over_with_a_higher_fence(door):
    dead: Lease = door.parts.leases.acquire("night", "arn:dead", 40_000, STARTED)
    assert door.handler(golden("plan_night/schedule"), CONTEXT)["fence"] == dead.fence + 1


def test_the_champion_warms_the_towers_and_its_index_is_kept(door):
    record = door.parts.releases.register(release("r-0"))
    door.parts.traffic.replace(
        None,
        Traffic(change_id="c", champion=Standing(release="r-0", slot="blue"), salt="s", reason="r", changed_at=STARTED),
        1,
    )
    plan = door.handler(golden("plan_night/schedule"), CONTEXT)
    assert plan["champion"]["two_tower_model_s3"] == record.two_tower_model_s3
    assert plan["keep_indices"] == "items-r-0"


def test_the_deployed_code_lies_where_jobs_look_for_it_under_the_hash_of_its_content(door):
    plan = door.handler(golden("plan_night/schedule"), CONTEXT)
    key = plan["code_uri"].removeprefix(f"s3://{BUCKET}/")
    body = door.parts.s3.get_object(Bucket=BUCKET, Key=f"{key}/sourcedir.tar.gz")["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        names = set(archive.getnames())
    assert {
        "launch.py",
        "features/features.yaml",
        "two_tower/train.py",
        "ranker/train.py",
        "item_index/index_items.py",
        "evaluation/evaluate.py",
        "monitors/baseline.py",
        "monitors/run.py",
    } <= names
    assert door.parts.s3.head_object(Bucket=BUCKET, Key=f"{key}/launch.py")["ContentLength"] > 0


@pytest.mark.parametrize(
    "broken",
    [
        {"run_id": "x" * 45},
        {"run_id": "a b"},
        {"started_at": "soon"},
        {"request": {"window_days": 1}},
        {"request": {"colour": "red"}},
    ],
)
def test_a_request_that_cannot_be_planned_is_refused(door, broken):
    with pytest.raises(ValueError, match="validation error"):
        door.handler({**golden("plan_night/schedule"), **broken}, CONTEXT)


def test_the_drift_that_a_night_answers_goes_with_its_plan_and_changes_no_place(door):
    plain = door.handler(golden("plan_night/schedule"), CONTEXT)
    event = golden("plan_night/schedule")
    event["request"] |= {"episode": "20261123t140507-12be", "alarms": ["understudy-drift-bias"]}
    plan = door.handler(event, CONTEXT)
    assert (plan["episode"], plan["alarms"]) == ("20261123t140507-12be", ["understudy-drift-bias"])
    assert (plan["release_id"], plan["work"]) == (plain["release_id"], plain["work"])
