"""A packed release is one release, and answers as `recommend`'s own code does."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from features.job import JobFailed
from scoring import inference
from scoring.list_users import plain
from support.scored_release import ENVIRONMENT, ScoredRelease
from understudy.adapters.aws_items import from_attribute, to_attribute


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> ScoredRelease:
    return ScoredRelease(tmp_path_factory.mktemp("release"))


@pytest.fixture(scope="module")
def packed(made, tmp_path_factory):
    return made.pack(tmp_path_factory.mktemp("packed"))


@pytest.fixture
def model(packed, monkeypatch):
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "path", list(sys.path))
    return inference.model_fn(str(packed))


def lists(model: Any, users: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    body = "\n".join(json.dumps({"user_id": user_id, "features": features}) for user_id, features in users.items())
    data = inference.input_fn(body.encode(), "application/jsonlines")
    text, kind = inference.output_fn(inference.predict_fn(data, model), "application/jsonlines")
    assert kind == "application/jsonlines"
    return [json.loads(line) for line in text.splitlines()]


def test_every_user_gets_a_full_list_of_the_release_without_what_he_has_seen(made, model):
    users = made.users()
    answered = lists(model, users)
    assert [one["user_id"] for one in answered] == list(users)
    assert {one["release_id"] for one in answered} == {"r-1"}
    assert all(len(one["items"]) == len(set(one["items"])) == 10 and not one["degraded"] for one in answered)
    assert not any(set(one["items"]) & set(users[one["user_id"]]["seen"]) for one in answered)
    assert all(one["scores"] == sorted(one["scores"], reverse=True) or one["scores"] for one in answered)


def test_a_user_without_features_is_answered_as_a_stranger_is_live(made, model):
    (answered,) = lists(model, {"nobody": {}})
    assert (len(answered["items"]), answered["degraded"]) == (10, [])


def test_a_user_whose_features_no_model_takes_gets_the_popular_list_and_costs_nobody_else_his(made, model):
    users = made.users()
    (name, features) = next(iter(users.items()))
    broken, whole = lists(model, {"odd": {**features, "clicks_7d": "many"}, name: features})
    assert broken["degraded"] == ["ranker"]
    assert len(broken["items"]) == 10
    assert whole["degraded"] == []


@pytest.mark.parametrize(
    ("line", "said"),
    [
        pytest.param(
            '{"user_id": "u2", "featu', "line 2 of the request is no JSON, it may have been cut off", id="truncated"
        ),
        pytest.param('{"features": {}}', "line 2 of the request has no user_id", id="nobody"),
        pytest.param('{"user_id": "u2"}', "line 2 of the request has no map `features`", id="no map"),
    ],
)
def test_a_line_that_is_no_user_refuses_the_request_by_its_number(line, said):
    with pytest.raises(ValueError, match=said):
        inference.input_fn('{"user_id": "u1", "features": {}}\n' + line, "application/jsonlines")


def test_a_file_of_the_packed_release_that_was_altered_is_named(packed, tmp_path, monkeypatch):
    import shutil

    copy = tmp_path / "copy"
    shutil.copytree(packed, copy)
    (copy / "items.jsonl").write_bytes((copy / "items.jsonl").read_bytes()[:-20])
    with pytest.raises(ValueError, match=r"items.jsonl of the packed release is missing, truncated or altered"):
        inference.model_fn(str(copy))


def test_a_job_without_a_time_says_which_variable_is_missing(packed, monkeypatch):
    monkeypatch.delenv("SCORING_AT", raising=False)
    with pytest.raises(ValueError, match="lacks 'SCORING_AT'"):
        inference.model_fn(str(packed))


@pytest.mark.parametrize(
    ("name", "said"),
    [("tower_id", "the two_tower model is tttttttttttt, r-1 has xxxxxxxxxxxx"), ("ranker_id", "the ranker model is")],
)
def test_parts_of_two_releases_are_never_packed(made, tmp_path, name, said):
    record = made.record.model_dump(mode="json")
    made.write_record({**record, name: "x" * 64})
    try:
        with pytest.raises(JobFailed, match=said):
            made.pack(tmp_path)
    finally:
        made.write_record(record)


def test_a_feature_read_from_the_online_table_is_what_the_recommender_reads():
    features = {
        "age": 30,
        "ctr_7d": 0.0625,
        "last_5_clicks": ["i-1"],
        "topic_shares_30d": {"film": 1, "music": -0.5},
        "city": None,
    }
    assert plain(to_attribute(features)) == from_attribute(to_attribute(features)) == features
