"""functions/plan_scoring: the whole champion, a place for each job's work by the hash of what makes it, and the rules' code."""

from __future__ import annotations

import io
import json
import tarfile
from types import SimpleNamespace
from typing import Any

import pytest

from local_account.deploy.transform import read_template
from scoring import pack_release
from support.doors import CONTEXT, ROOT, golden, load_door
from support.releases import release
from understudy.adapters import scoring
from understudy.adapters.aws_items import to_item
from understudy.adapters.memory import MemoryReleases, MemoryTraffic
from understudy.contracts.traffic import Traffic
from understudy.errors import InvalidInput
from understudy.settings import PlanScoringSettings, RecommendSettings

BUCKET, ASKED = "understudy-artifactbucket-1", "r-20261123-1a2b3c4d"
SHAPES = ("candidates", "max_per_author", "max_per_topic_share")


@pytest.fixture
def door(aws, artifacts, monkeypatch):
    """The door over memory stores and an in-process S3 and DynamoDB; r-9 is on stage."""
    module: Any = load_door("plan_scoring")
    dynamodb = aws.client("dynamodb")
    key = {
        "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
    }
    dynamodb.create_table(TableName="state", BillingMode="PAY_PER_REQUEST", **key)
    settings = PlanScoringSettings(
        traffic_table="t", releases_table="r", state_table="state", artifact_bucket=BUCKET, list_length=10
    )
    fields = {
        "change_id": "c",
        "champion": {"release": "r-9", "slot": "blue"},
        "salt": "s",
        "reason": "test",
        "changed_at": "2026-11-23T05:00:00Z",
    }
    traffic = MemoryTraffic(Traffic.model_validate(fields))
    releases = MemoryReleases(
        release("r-9", status="champion"), release(ASKED, status="retired"), release("r-7", status="rejected")
    )
    parts = SimpleNamespace(traffic=traffic, releases=releases, dynamodb=dynamodb, s3=artifacts)
    monkeypatch.setattr(module, "world", lambda: module.World(settings, **vars(parts)))
    module.parts = parts
    return module


def plan(door, event: str = "schedule", **request: Any) -> dict[str, Any]:
    asked = golden(f"plan_scoring/{event}")
    return door.handler({**asked, "request": {**asked["request"], **request}}, CONTEXT)


def users_as_of(door, feature_time: str, data_version: int = 1) -> None:
    for item in (
        {"id": "online_features", "feature_time": feature_time, "feature_set": "1"},
        {"id": "lake", "data_version": data_version},
    ):
        door.parts.dynamodb.put_item(TableName="state", Item=to_item(item))


def test_the_daily_lists_are_the_champions_for_the_middle_of_the_day_and_exported(door):
    made = plan(door)
    assert (made["release_id"], made["at"], made["k"], made["export"]) == (
        "r-9",
        "2026-11-24T12:00:00+00:00",
        "10",
        "yes",
    )
    assert made["parts"]["vectors_s3"] == release("r-9").vectors_s3
    assert made["parts"]["manifest_s3"] == f"s3://{BUCKET}/releases/r-9/manifest.json"
    assert made["scores_uri"] == f"s3://{BUCKET}/scores/r-9/2026-11-24"


def test_another_releases_lists_are_made_by_hand_and_leave_the_table_alone(door):
    made = plan(door, "by_hand_of_a_release")
    assert (made["release_id"], made["at"], made["k"], made["export"]) == (
        ASKED,
        "2026-11-25T12:00:00+00:00",
        "20",
        "no",
    )


def test_nobody_on_stage_is_nothing_to_do(door):
    door.parts.traffic = MemoryTraffic(None)
    assert plan(door)["release_id"] is None


@pytest.mark.parametrize(
    ("wanted", "said"),
    [
        pytest.param("r-0", "there is no release r-0", id="unknown"),
        pytest.param("r-7", "release r-7 is rejected", id="rejected"),
    ],
)
def test_a_release_that_may_not_be_shown_is_refused(door, wanted, said):
    with pytest.raises(InvalidInput, match=said):
        plan(door, release_id=wanted)


def test_the_same_day_release_and_users_find_the_same_work_whatever_the_run_is_called(door):
    users_as_of(door, "2026-11-24T00:00:00+00:00")
    first = plan(door)
    again = door.handler({**golden("plan_scoring/schedule"), "run_id": "score-2"}, CONTEXT)
    assert again["work"] == first["work"]


@pytest.mark.parametrize(
    ("change", "anew"),
    [
        pytest.param("features", {"list_users", "score_users"}, id="newer features"),
        pytest.param("import", {"list_users", "score_users"}, id="an import, which may bring users"),
        pytest.param("day", {"score_users"}, id="another day"),
        pytest.param("places", {"score_users"}, id="longer lists"),
        pytest.param("release", {"pack_release", "score_users"}, id="another release"),
    ],
)
def test_what_depends_on_a_change_is_made_anew_and_nothing_else(door, change, anew):
    users_as_of(door, "2026-11-24T00:00:00+00:00")
    first, request = plan(door), {}
    match change:
        case "features":
            users_as_of(door, "2026-11-25T00:00:00+00:00")
        case "import":
            users_as_of(door, "2026-11-24T00:00:00+00:00", 2)
        case "day":
            request = {"day": "2026-11-26"}
        case "places":
            request = {"k": 11}
        case "release":
            request = {"release_id": ASKED}
    second = plan(door, **request)
    assert {stage for stage in first["work"] if second["work"][stage] != first["work"][stage]} == anew


def test_the_code_of_the_jobs_brings_the_very_rules_of_this_layer(door):
    uri = plan(door)["code_uri"]
    key = f"{uri.removeprefix(f's3://{BUCKET}/')}/sourcedir.tar.gz"
    body = door.parts.s3.get_object(Bucket=BUCKET, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as archive:
        names = archive.getnames()
        rules = archive.extractfile("understudy/domain/recommendation.py")
        assert rules is not None
        there = rules.read()
    assert {"scoring/inference.py", "item_index/documents.py", "features/job.py", "launch.py"} <= set(names)
    assert there == (ROOT / "layers/understudy/python/understudy/domain/recommendation.py").read_bytes()


def test_plan_and_packing_agree_on_which_files_the_rules_are():
    assert scoring.RULES == pack_release.RULES


def test_lists_of_the_day_are_shaped_as_live_ones():
    functions = read_template(ROOT / "template.yaml")["Resources"]
    given = [
        functions[name]["Properties"]["Environment"]["Variables"]
        for name in ("RecommendFunction", "PlanScoringFunction")
    ]
    defaults = [
        {name: settings.__dataclass_fields__[name].default for name in SHAPES}
        for settings in (RecommendSettings, PlanScoringSettings)
    ]
    live, daily = (
        {name: one.get(name.upper(), default[name]) for name in SHAPES}
        for one, default in zip(given, defaults, strict=True)
    )
    assert json.dumps(daily, default=str) == json.dumps(live, default=str)
