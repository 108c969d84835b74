"""functions/adopt_parameters: what a search found is kept only if the holdout shows it to be better."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest

from support.doors import CONTEXT, golden, load_door
from support.tuned import STORED
from understudy.adapters.work import write_json
from understudy.settings import AdoptParametersSettings

PATH = "/understudy/u/hyperparameters"
EVENT = golden("adopt_parameters/better")
TUNED = {
    "learning_rate": 0.04,
    "num_leaves": 15,
    "min_data_in_leaf": 80,
    "lambda_l2": 3.5,
    "feature_fraction": 0.6,
    "smoothing": 33.0,
}


@pytest.fixture
def door(aws, artifacts, monkeypatch):
    """The door over an in-process S3 and Parameter Store."""
    module: Any = load_door("adopt_parameters")
    module.parts = SimpleNamespace(s3=artifacts, ssm=aws.client("ssm"))
    settings = AdoptParametersSettings(hyperparameters_path=PATH)
    monkeypatch.setattr(module, "world", lambda: module.World(settings, **vars(module.parts)))
    return module


def interval(low: float | None, high: float | None) -> dict[str, Any]:
    middle = None if low is None or high is None else (low + high) / 2
    return {"value": middle, "low": low, "high": high, "level": 0.95}


def compared(door, **intervals: dict[str, Any]) -> None:
    """A comparison of the ranker whose AUC rises from .70 to .71; other intervals by their short names."""
    named = {f"ranking.{name}": value for name, value in {"auc": interval(0.004, 0.016), **intervals}.items()}
    figures = {"ranking.auc": 0.70, "ranking.log_loss": 0.5, "ranking.ndcg_at_10": 0.4}
    write_json(
        door.parts.s3,
        f"{EVENT['search']['comparison_uri']}/comparison.json",
        {
            "model": "ranker",
            "primary": "ranking.auc",
            "today": figures,
            "tuned": {**figures, "ranking.auc": 0.71},
            "intervals": named,
            "users": 120,
        },
    )


def kept(door) -> list[dict[str, Any]]:
    return [json.loads(row["Value"]) for row in door.parts.ssm.get_parameters(Names=[f"{PATH}/ranker"])["Parameters"]]


def test_parameters_shown_to_be_better_are_kept_with_what_shows_it(door):
    compared(door)
    answer = door.handler(EVENT, CONTEXT)
    assert answer["adopted"] is True
    (found,) = kept(door)
    assert found["parameters"] == TUNED
    assert {type(found["parameters"][name]) for name in ("num_leaves", "min_data_in_leaf")} == {int}
    assert (found["today"], found["tuned"], found["interval"]) == (0.70, 0.71, [0.004, 0.016])
    assert (found["training_job"], found["release_id"]) == (EVENT["best"]["TrainingJobName"], EVENT["release_id"])


@pytest.mark.parametrize(
    ("intervals", "said"),
    [
        pytest.param({"auc": interval(0.0, 0.02)}, "not shown to be better", id="the interval touches zero"),
        pytest.param({"auc": interval(-0.03, -0.01)}, "not shown to be better", id="worse"),
        pytest.param({"auc": interval(None, None)}, "could not be compared", id="no interval"),
        pytest.param({"log_loss": interval(0.001, 0.01)}, "worse in ranking.log_loss", id="higher log loss is worse"),
        pytest.param({"ndcg_at_10": interval(-0.1, -0.01)}, "worse in ranking.ndcg_at_10", id="lower NDCG is worse"),
    ],
)
def test_parameters_that_do_not_beat_todays_are_not_kept_and_the_answer_says_why(door, intervals, said):
    compared(door, **intervals)
    answer = door.handler(EVENT, CONTEXT)
    assert (answer["adopted"], kept(door)) == (False, [])
    assert said in answer["reason"]
    assert answer["parameters"] == TUNED  # told all the same


@pytest.mark.parametrize(
    "intervals",
    [
        pytest.param({"auc": interval(0.0001, 0.02)}, id="just above zero"),
        pytest.param({"log_loss": interval(-0.01, 0.01)}, id="another figure that may be worse is not shown to be"),
        pytest.param({"log_loss": interval(-0.02, -0.01)}, id="lower log loss is better"),
        pytest.param({"ndcg_at_10": interval(None, None)}, id="another figure that is not defined"),
    ],
)
def test_what_is_not_shown_to_be_worse_does_not_stand_in_the_way(door, intervals):
    compared(door, **intervals)
    assert door.handler(EVENT, CONTEXT)["adopted"] is True


def test_a_repeated_answer_writes_nothing_twice(door):
    compared(door)
    first = door.handler(EVENT, CONTEXT)
    again = door.handler(EVENT, CONTEXT)
    assert (first["adopted"], again["adopted"]) == (True, True)
    (row,) = door.parts.ssm.get_parameters(Names=[f"{PATH}/ranker"])["Parameters"]
    assert row["Version"] == 1


def test_parameters_that_were_compared_with_yesterdays_are_not_kept(door):
    compared(door)
    door.parts.ssm.put_parameter(Name=f"{PATH}/ranker", Value=json.dumps(STORED), Type="String")
    answer = door.handler(EVENT, CONTEXT)
    assert answer["adopted"] is False
    assert "changed meanwhile" in answer["reason"]
    assert kept(door) == [STORED]


def test_what_an_earlier_search_found_and_this_one_did_not_vary_stays(door):
    compared(door)
    event = {**EVENT, "best": {**EVENT["best"], "TunedHyperParameters": {"learning_rate": "0.12"}}}
    event["search"] = {**EVENT["search"], "kept": {"num_leaves": 15}}
    door.handler(event, CONTEXT)
    assert kept(door)[0]["parameters"] == {"num_leaves": 15, "learning_rate": 0.12}
