"""The weekly search over the wire: a night, a search that finds better parameters, one that finds none, and the night that uses them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from cli.data_commands import generate_world
from cli.night_commands import start_night
from cli.site import Site
from cli.tune_command import Models, best_trials, forget_tuned, read_tuned, start_search
from support.deployed import deployed, run_to_its_end
from support.sagemaker_room import until

pytestmark = pytest.mark.timeout(600)
WORLD = {"users": 400, "items": 240, "days": 12, "impressions_per_day": 6000, "seed": 3}
WINDOW = {"window_days": 11}
# All that a search may change of the ranker is fixed but one, which moves next to nothing: nothing better is to be found.
FIXED_RANKER = {
    "num_iterations": 3,
    "learning_rate": 0.1,
    "num_leaves": 3,
    "lambda_l2": 5.0,
    "feature_fraction": 1.0,
    "smoothing": 20.0,
}
# Towers that hardly move: what an unlucky search could have left, and any other learning rate does better.
LAST_WEEKS = {"learning_rate": 0.0001, "batch_size": 512, "epochs": 6}


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    given = {"TwoTowerParameters": '{"teacher": "none"}', "RankerParameters": json.dumps(FIXED_RANKER)}
    with deployed(tmp_path_factory.mktemp("search"), TuneState="DISABLED", **given) as site:
        yield site


def keep(site: Site, parameters: dict[str, Any]) -> None:
    found = {
        "model": "two_tower", "parameters": parameters, "metric": "recall.recall_at_50", "today": 0.1, "tuned": 0.2,
        "interval": [0.05, 0.15], "training_job": "two-tower-0-0-0-001-0", "release_id": "r-20260101-00000000",
        "prepared_s3": "s3://b/work/prepare_data/0", "adopted_at": datetime.now(UTC).isoformat(),
    }  # fmt: skip
    name = f"/understudy/{site.stack}/hyperparameters/two_tower"
    site.client("ssm").put_parameter(Name=name, Value=json.dumps(found), Type="String")


def plan_of(site: Site, arn: str) -> dict[str, Any]:
    """What a night was planned with: the answer of its first state, as soon as there is one."""

    def answer() -> str | None:
        history = site.client("stepfunctions").get_execution_history(executionArn=arn, includeExecutionData=True)
        ended = (event for event in history["events"] if event["type"] == "TaskSucceeded")
        return next((event["taskSucceededEventDetails"]["output"] for event in ended), None)

    plan: dict[str, Any] = json.loads(until(answer, 120.0))["Payload"]
    return plan


@pytest.fixture(scope="module")
def searched(site: Site) -> dict[str, Any]:
    """Last week's parameters, a night with them, and this week's search of both models: its results by model."""
    keep(site, LAST_WEEKS)
    generate_world(site, **WORLD)
    night = run_to_its_end(site, start_night(site, {"reason": "journey", **WINDOW}))
    assert night.status == "SUCCEEDED", night.failure()
    assert (
        json.loads(plan_of(site, night.arn)["two_tower_hyperparameters"]["learning_rate"])
        == LAST_WEEKS["learning_rate"]
    )
    search = run_to_its_end(site, start_search(site, Models.ALL.names(), jobs=4, parallel=2, strategy="grid"))
    assert search.status == "SUCCEEDED", search.failure()
    return {result["model"]: result for result in json.loads(search.described["output"])["models"]}


def test_parameters_that_beat_todays_on_the_holdout_are_the_next_nights(site, searched):
    result = searched["two_tower"]
    assert result["adopted"], result["reason"]
    assert result["tuned"] > result["today"]
    assert result["interval"][0] > 0
    (kept,) = read_tuned(site, ["two_tower"])
    assert kept["parameters"] == {
        **LAST_WEEKS,
        **result["parameters"],
    }  # a grid of few jobs varies the learning rate alone
    assert kept["training_job"] == result["training_job"]
    arn = start_night(site, {"reason": "the night after", **WINDOW}, anew=True)
    plan = plan_of(site, arn)
    site.client("stepfunctions").stop_execution(executionArn=arn)
    used = {
        name: json.loads(value)
        for name, value in plan["two_tower_hyperparameters"].items()
        if name in kept["parameters"]
    }
    assert used == kept["parameters"]


def test_parameters_that_do_not_beat_todays_are_not_adopted_and_it_says_why(site, searched):
    result = searched["ranker"]
    assert not result["adopted"]
    assert "not shown to be better" in result["reason"]
    assert result["parameters"].keys() == {"min_data_in_leaf"}
    assert read_tuned(site, ["ranker"]) == []


def test_a_search_can_be_looked_at_afterwards_and_what_it_found_be_dropped(site, searched):
    ranked = best_trials(site, searched["two_tower"]["training_job"].rsplit("-", 2)[0])
    assert ranked[0]["TrainingJobName"] == searched["two_tower"]["training_job"]
    assert 1 <= len(ranked) <= 4
    assert forget_tuned(site, Models.ALL.names()) == ["two_tower"]
    assert read_tuned(site, Models.ALL.names()) == []
