"""functions/recommend: one answer whatever the world does, and never a 5xx."""

from __future__ import annotations

import json
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from support.doors import CONTEXT, golden, load_door
from support.kitchen import GREEN, NOW, SETTINGS, Clock, Dependencies, traffic, world
from understudy.domain.recommendation import RESERVE, SECOND_TRY
from understudy.domain.tokens import verify
from understudy.domain.traffic import bucket_of, user_hash

BUDGET_S = SETTINGS.deadline_ms / 1000


@pytest.fixture(scope="module")
def door() -> ModuleType:
    return load_door("recommend")


@pytest.fixture
def deps() -> Dependencies:
    return Dependencies(Clock())


@pytest.fixture
def ask(door: ModuleType, deps: Dependencies, monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, Any]]:
    """`ask(event, traffic)` -> status and body."""

    def call(event: Any, on_stage: Any = "champion", settings: Any = SETTINGS) -> tuple[int, Any]:
        w = world(traffic() if on_stage == "champion" else on_stage, deps, settings)
        monkeypatch.setattr(door, "world", lambda: w)
        answer = door.handler(event, CONTEXT)
        return answer["statusCode"], json.loads(answer["body"])

    return call


def body(**fields: Any) -> dict[str, Any]:
    return golden("recommend/known_user") | {"body": json.dumps({"user_id": "u-1"} | fields)}


def steps(deps: Dependencies) -> list[str]:
    return [asked[0] for asked in deps.asked]


def test_a_known_user_gets_ranked_items_and_a_token(ask: Any, deps: Dependencies) -> None:
    status, answer = ask(golden("recommend/known_user"))
    assert (status, answer["release_id"], answer["degraded"]) == (200, "r-blue", [])
    # the fake ranker scores later rows higher: its order, not recall's, is shown
    assert [item["item_id"] for item in answer["items"]] == ["i-19", "i-18", "i-17", "i-16", "i-15"]
    assert [item["position"] for item in answer["items"]] == [1, 2, 3, 4, 5]
    assert answer["items"][0]["title"] == "Title 19"
    shown = verify(answer["recommendation_id"], b"key", user_id="u-1", now_s=NOW.timestamp())
    assert (shown.position("i-17"), shown.position("i-3"), shown.release_id) == (3, None, "r-blue")


def test_the_served_list_says_what_was_shown_to_whom(ask: Any, deps: Dependencies) -> None:
    _, answer = ask(golden("recommend/known_user"))
    (record,) = deps.served
    assert record["items"] == [item["item_id"] for item in answer["items"]]
    assert record["propensities"] == [1.0] * 5
    assert (record["arm"], record["bucket"], record["user_id"]) == ("champion", bucket_of("salt", "u-1"), "u-1")
    assert set(record["latencies_ms"]) == {"features", "user_tower", "index", "ranker"}
    assert record["traffic_version"] == 1
    shown = verify(answer["recommendation_id"], b"key", user_id="u-1", now_s=NOW.timestamp())
    assert (shown.traffic_version, shown.bucket) == (1, record["bucket"])


def test_everything_in_a_request_is_of_one_release(ask: Any, deps: Dependencies) -> None:
    ask(body(), traffic(candidate=GREEN, share_bp=10_000))
    which = {asked[0]: asked[1] for asked in deps.asked}
    assert (which["user_tower"], which["index"], which["ranker"]) == ("green", "items-r-green", "green")


def test_filters_go_to_the_index(ask: Any, deps: Dependencies) -> None:
    deps.users["u-1"] = {"seen": ["i-1"], "age": 30, "last_5_clicks": ["i-9"]}
    ask(golden("recommend/with_context"))
    question = next(asked[3] for asked in deps.asked if asked[0] == "index")
    assert (question.topics, question.excluded) == (["travel"], ["i-0", "i-1"])
    user = next(asked[3] for asked in deps.asked if asked[0] == "user_tower")
    assert user == {"user_id": "u-1", "age": 30, "city": None, "segment": None, "last_5_clicks": ["i-9"]}


@pytest.mark.parametrize(
    ("broken", "degraded", "first"),
    [
        pytest.param("features", ["features"], "i-19", id="features down: a cold user's answer"),
        pytest.param("user_tower", ["user_tower"], "p-0", id="user tower down: popular items"),
        pytest.param("index", ["index"], "p-0", id="index down: popular items"),
        pytest.param("ranker", ["ranker"], "i-0", id="ranker down: recall's order"),
        pytest.param("served_list", [], "i-19", id="stream down: the answer does not care"),
    ],
)
@pytest.mark.parametrize("how", ["down", "late"])
def test_what_is_down_or_late_costs_one_step(
    ask: Any, deps: Dependencies, broken: str, degraded: list[str], first: str, how: str
) -> None:
    if how == "down":
        deps.fails[broken] = "down"
    else:
        deps.takes[broken] = 60.0
    started = deps.clock.now
    status, answer = ask(body())
    assert (status, answer["degraded"], answer["items"][0]["item_id"]) == (200, degraded, first)
    spent = deps.clock.now - started
    assert spent <= BUDGET_S + (0.05 if broken == "served_list" else 0.0)


def test_with_everything_down_popular_items_are_shown_in_time(ask: Any, deps: Dependencies) -> None:
    deps.takes = dict.fromkeys(("features", "user_tower", "index", "ranker"), 60.0)
    started = deps.clock.now
    status, answer = ask(body(k=3))
    assert (status, [item["item_id"] for item in answer["items"]]) == (200, ["p-0", "p-1", "p-2"])
    assert deps.clock.now - started < BUDGET_S


def test_a_vector_of_another_tower_never_meets_the_index(ask: Any, deps: Dependencies) -> None:
    deps.tower_id = lambda slot: "tower-of-yesterday"
    status, answer = ask(body())
    assert (status, answer["degraded"]) == (200, ["user_tower"])
    assert "index" not in steps(deps)


@pytest.mark.parametrize("scores", [[], [1.0], [float("nan")] * 20], ids=["none", "too few", "not numbers"])
def test_garbage_from_the_ranker_is_recalls_order(ask: Any, deps: Dependencies, scores: list[float]) -> None:
    deps.scores_of = lambda rows: scores
    _, answer = ask(body())
    assert (answer["degraded"], answer["items"][0]["item_id"]) == (["ranker"], "i-0")


@pytest.mark.parametrize("broken", ["user_tower", "index", "ranker"])
@pytest.mark.parametrize("how", ["down", "late"])
def test_a_failed_candidate_is_run_again_whole_on_the_champion(
    ask: Any, deps: Dependencies, broken: str, how: str, capsys: pytest.CaptureFixture[str]
) -> None:
    which = (broken, "items-r-green" if broken == "index" else "green")
    if how == "down":
        deps.fails[which] = "down"
    else:
        deps.takes[which] = 60.0
    started = deps.clock.now
    status, answer = ask(body(), traffic(candidate=GREEN, share_bp=10_000))
    assert (status, answer["release_id"], answer["degraded"]) == (200, "r-blue", [])
    assert deps.clock.now - started < BUDGET_S
    (record,) = deps.served
    assert (record["arm"], record["assigned_release_id"], record["release_id"]) == ("candidate", "r-green", "r-blue")
    assert broken in record["error"]
    metrics = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    (counted,) = [line for line in metrics if "AssignedErrors" in line]
    assert (counted["AssignedErrors"], counted["Release"], counted["Slot"]) == (1, "r-green", "green")


FIRST_TRY_S = BUDGET_S * (1 - SECOND_TRY)
MAY_END_S = {step: FIRST_TRY_S * (1 - RESERVE[step]) for step in ("user_tower", "index", "ranker")}


@pytest.mark.parametrize("arm", ["champion", "candidate", "holdback"])
@pytest.mark.parametrize("step", MAY_END_S)
@pytest.mark.parametrize("late", [False, True])
def test_a_release_fails_by_the_same_rule_in_every_arm(
    ask: Any, deps: Dependencies, arm: str, step: str, late: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    """A champion, which has the whole budget, is measured as if it had a candidate's: else its arm would look better."""
    on_stage = {"candidate": {"candidate": GREEN, "share_bp": 10_000}, "holdback": {"previous": GREEN}}.get(arm, {})
    if arm == "holdback":
        on_stage["holdback_bp"] = 10_000
    started, before = deps.clock.now, list(MAY_END_S).index(step)
    deps.takes[step] = MAY_END_S[step] - 0.001 * (1 + before) + (0.0005 if late else -0.0005)  # others take 1 ms each
    status, answer = ask(body(), traffic(version=4, **on_stage))
    (record,) = deps.served
    assert (status, record["arm"], record["traffic_version"]) == (200, arm, 4)
    assert (record["assigned_latency_ms"] is None) == late
    assert f'"AssignedErrors":{int(late)}' in capsys.readouterr().out  # what the alarm on the slot's health sees
    if not late:
        assert 0 < record["assigned_latency_ms"] <= (deps.clock.now - started) * 1000
    if arm == "champion":
        assert (answer["release_id"], answer["degraded"]) == ("r-blue", [])  # its users saw nothing of it


def test_what_no_release_can_help_is_no_failure_of_it(ask: Any, deps: Dependencies) -> None:
    deps.fails["features"] = "down"
    ask(body())
    assert deps.served[0]["degraded"] == ["features"]
    assert deps.served[0]["assigned_latency_ms"] is not None
    deps.fails = {"ranker": "down"}
    ask(body())
    assert deps.served[1]["assigned_latency_ms"] is None


def test_a_holdback_user_stays_on_the_previous_release(ask: Any, deps: Dependencies) -> None:
    _, answer = ask(body(), traffic(previous=GREEN, holdback_bp=10_000))
    assert answer["release_id"] == "r-green"
    assert deps.served[0]["arm"] == "holdback"


def test_before_the_first_release_the_stage_is_empty(ask: Any) -> None:
    status, answer = ask(body(), None)
    assert (status, answer["error"]["code"]) == (404, "no_release_on_stage")


def test_an_empty_200_is_never_given(ask: Any, deps: Dependencies) -> None:
    deps.catalogue = 0
    status, answer = ask(body(k=2))
    assert (status, answer["degraded"], len(answer["items"])) == (200, ["candidates"], 2)
    status, answer = ask(body(k=2, context={"blocked": [f"p-{n}" for n in range(30)]}))
    assert (status, answer["error"]["code"]) == (404, "nothing_to_recommend")


def test_seen_items_come_back_when_nothing_else_is_popular_but_blocked_ones_do_not(
    ask: Any, deps: Dependencies
) -> None:
    deps.fails["index"] = "down"
    deps.users["u-1"] = {"seen": [f"p-{n}" for n in range(30)]}
    _, answer = ask(body(k=1, context={"blocked": ["p-0"]}))
    assert answer["items"][0]["item_id"] == "p-1"


def test_without_the_key_there_is_an_answer_whose_feedback_cannot_be_taken(ask: Any, deps: Dependencies) -> None:
    deps.fails["token_key"] = "down"
    status, answer = ask(body())
    assert (status, answer["degraded"]) == (200, ["token_key"])
    assert len(answer["recommendation_id"]) == 26


def test_explored_places_are_logged_with_their_propensity(ask: Any, deps: Dependencies) -> None:
    from dataclasses import replace

    ask(body(k=10), settings=replace(SETTINGS, exploration_bp=5000))
    (record,) = deps.served
    assert set(record["propensities"]) == {0.5, 0.5 / 10}  # 20 candidates: a pool of 10 below ten places


def test_a_log_names_a_user_by_hash_only(ask: Any, deps: Dependencies, capsys: pytest.CaptureFixture[str]) -> None:
    deps.fails["ranker"] = "down"
    ask(body(user_id="a-telling-name"))
    out = capsys.readouterr().out
    assert user_hash("a-telling-name") in out
    assert "a-telling-name" not in out


BAD = {
    "k_of_zero": golden("recommend/k_of_zero")["body"],
    "k below": json.dumps({"user_id": "u", "k": -1}),
    "k above": json.dumps({"user_id": "u", "k": 101}),
    "k huge": '{"user_id": "u", "k": 1e9}',
    "k a number beyond any": '{"user_id": "u", "k": ' + "9" * 5000 + "}",
    "k a string": '{"user_id": "u", "k": "5"}',
    "k true": '{"user_id": "u", "k": true}',
    "k NaN": '{"user_id": "u", "k": NaN}',
    "no user": "{}",
    "empty user": '{"user_id": ""}',
    "long user": json.dumps({"user_id": "u" * 129}),
    "control character": '{"user_id": "a\\u0000b"}',
    "newline": '{"user_id": "a\\nb"}',
    "lone surrogate": '{"user_id": "\\ud800"}',
    "unknown field": '{"user_id": "u", "admin": true}',
    "too many topics": json.dumps({"user_id": "u", "context": {"topics": ["t"] * 21}}),
    "topics no list": json.dumps({"user_id": "u", "context": {"topics": "t"}}),
    "deep nesting": '{"user_id": ' + "[" * 10_000 + "]" * 10_000 + "}",
    "no json": "{user_id: u}",
    "empty": "",
    "an array": "[]",
    "null": "null",
    "ten megabytes": '{"user_id": "' + "u" * 10_000_000 + '"}',
}


@pytest.mark.parametrize("text", BAD.values(), ids=BAD.keys())
def test_bad_input_is_a_4xx_that_says_what_was_expected(ask: Any, deps: Dependencies, text: str) -> None:
    status, answer = ask(golden("recommend/known_user") | {"body": text})
    assert 400 <= status < 500
    assert set(answer["error"]) == {"code", "what", "expected"}
    assert deps.asked == []


@pytest.mark.parametrize("k", [1, 100])
def test_both_ends_of_k_are_good(ask: Any, k: int) -> None:
    status, answer = ask(body(k=k))
    assert (status, len(answer["items"])) == (200, min(k, 30))


def test_a_user_of_any_alphabet_is_welcome(ask: Any) -> None:
    assert ask(body(user_id="Ünïcødé-用户-🎭"))[0] == 200


def test_a_base64_body_is_read_and_a_broken_one_refused(ask: Any) -> None:
    event = golden("recommend/known_user")
    assert ask(event | {"body": "eyJ1c2VyX2lkIjoidSJ9", "isBase64Encoded": True})[0] == 200
    assert ask(event | {"body": "%%%", "isBase64Encoded": True})[0] == 400
