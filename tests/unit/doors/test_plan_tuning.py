"""functions/plan_tuning: over which data, within which ranges, beside which parameters of tonight."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any

import pytest

from support.doors import CONTEXT, golden, load_door
from support.releases import release
from support.tuned import STORED
from understudy.adapters.memory import MemoryReleases, MemoryTraffic
from understudy.adapters.work import write_json
from understudy.contracts.traffic import Standing, Traffic
from understudy.settings import PlanTuningSettings

BUCKET = "understudy-artifactbucket-1"
PREPARED = f"s3://{BUCKET}/work/prepare_data/0000"
PATH = "/understudy/u/hyperparameters"


@pytest.fixture
def door(aws, artifacts, monkeypatch):
    """The door over memory stores and an in-process S3 and Parameter Store, one release with its data there."""
    module: Any = load_door("plan_tuning")
    settings = {"traffic_table": "t", "releases_table": "r", "artifact_bucket": BUCKET, "hyperparameters_path": PATH}
    module.given = {"two_tower_parameters": "{}", "ranker_parameters": "{}"}
    limits = {"tune_jobs": 16, "tune_parallel": 2, "tune_strategy": "Bayesian"}
    module.parts = SimpleNamespace(
        traffic=MemoryTraffic(), releases=MemoryReleases(), s3=artifacts, ssm=aws.client("ssm")
    )
    module.parts.releases.register(release("r-20261123-0a1b2c3d").model_copy(update={"prepared_s3": PREPARED}))
    write_json(artifacts, f"{PREPARED}/manifest.json", {"stage": "prepare_data", "files": []})
    monkeypatch.setattr(
        module,
        "world",
        lambda: module.World(PlanTuningSettings(**settings, **module.given, **limits), **vars(module.parts)),
    )
    return module


def plan(door, event: str = "plan_tuning/schedule", **request: Any) -> dict[str, Any]:
    asked = golden(event)
    return door.handler({**asked, "request": {**asked["request"], **request}}, CONTEXT)


def given(hyperparameters: dict[str, str]) -> dict[str, Any]:
    return {name: json.loads(value) for name, value in hyperparameters.items() if not name.startswith("sagemaker_")}


def test_both_models_are_searched_over_the_newest_releases_data(door):
    older = release("r-20261101-0a1b2c3d").model_copy(update={"created_at": datetime(2026, 11, 1, tzinfo=UTC)})
    door.parts.releases.register(older)
    made = plan(door)
    assert (made["prepared_uri"], made["release_id"]) == (PREPARED, "r-20261123-0a1b2c3d")
    assert [each["model"] for each in made["models"]] == ["two_tower", "ranker"]
    for each in made["models"]:
        assert len(f"{each['name']}-9-9") <= 32
        assert each["config"]["ResourceLimits"] == {"MaxNumberOfTrainingJobs": 16, "MaxParallelTrainingJobs": 2}
        assert given(each["today_hyperparameters"]) == {"program": f"{each['model']}/train.py"}


def test_the_same_execution_plans_the_same_search_and_another_one_another(door):
    assert plan(door) == plan(door)
    assert (
        plan(door)["models"][0]["name"]
        != plan(door, "plan_tuning/by_hand_one_model", models=["two_tower"])["models"][0]["name"]
    )


def test_todays_training_has_one_place_for_every_search_over_the_same_data_and_parameters(door):
    first = plan(door)["models"][1]
    again = plan(door, "plan_tuning/by_hand_one_model")["models"][0]
    assert again["today_uri"] == first["today_uri"]
    assert again["trials_uri"] != first["trials_uri"]
    door.given["ranker_parameters"] = '{"num_leaves": 15}'
    assert plan(door)["models"][1]["today_uri"] != first["today_uri"]


def test_what_the_deployment_fixes_is_not_searched_but_is_what_every_trial_has(door):
    door.given["ranker_parameters"] = '{"num_leaves": 15, "num_iterations": 50}'
    ranker = plan(door)["models"][1]
    names = {row["Name"] for rows in ranker["config"]["ParameterRanges"].values() for row in rows}
    assert "num_leaves" not in names
    assert given(ranker["static_hyperparameters"])["num_leaves"] == 15
    assert given(ranker["today_hyperparameters"])["num_iterations"] == 50


def test_what_an_earlier_search_found_is_what_today_is_trained_with(door):
    door.parts.ssm.put_parameter(Name=f"{PATH}/ranker", Value=json.dumps(STORED), Type="String")
    ranker = plan(door)["models"][1]
    assert ranker["today"] == STORED["parameters"]
    assert ranker["since"] == 1
    assert "learning_rate" not in ranker["static_hyperparameters"]  # it has a range
    grid = plan(door, "plan_tuning/by_hand_one_model")["models"][0]  # varies the learning rate alone, in 4 jobs
    assert given(grid["static_hyperparameters"])["num_leaves"] == STORED["parameters"]["num_leaves"]
    assert grid["kept"] == {"num_leaves": STORED["parameters"]["num_leaves"]}


def test_a_grid_has_categories_only_and_no_more_combinations_than_jobs(door):
    config = plan(door, "plan_tuning/by_hand_one_model", jobs=16)["models"][0]["config"]
    values = [row["Values"] for row in config["ParameterRanges"]["CategoricalParameterRanges"]]
    assert [len(each) for each in values] == [4, 4]
    assert "MaxNumberOfTrainingJobs" not in config["ResourceLimits"]


def test_towers_start_warm_from_the_champion_as_in_a_night(door):
    champion = door.parts.releases.list()[0]
    standing = Standing(release=champion.release_id, slot="blue")
    moment = datetime(2026, 11, 23, tzinfo=UTC)
    door.parts.traffic.replace(
        None, Traffic(change_id="c", champion=standing, salt="s", reason="r", changed_at=moment), 1
    )
    assert plan(door)["warm_uri"] == champion.two_tower_model_s3


def test_without_a_release_or_its_data_there_is_nothing_to_search_and_the_plan_says_so(door):
    door.parts.s3.delete_object(Bucket=BUCKET, Key="work/prepare_data/0000/manifest.json")
    made = plan(door)
    assert (made["models"], made["nothing"]) == (
        [],
        "the prepared data of r-20261123-0a1b2c3d is gone: a search needs the data of a night",
    )
    door.parts.releases = MemoryReleases()
    assert plan(door)["nothing"].startswith("no release yet")


@pytest.mark.parametrize(
    "broken", [{"models": []}, {"models": ["chess"]}, {"jobs": 1}, {"strategy": "Hyperband"}, {"colour": "red"}]
)
def test_a_request_that_cannot_be_planned_is_refused(door, broken):
    with pytest.raises(ValueError, match="validation error"):
        plan(door, **broken)
