"""The shadow stage: which requests are copied, what the candidate makes of them, and that users see nothing of it."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest

from support.doors import CONTEXT, golden, load_door
from support.kitchen import BLUE, GREEN, NOW, RECORDS, Clock, Dependencies, traffic, world
from support.outcome_logs import MemoryOutcomes
from understudy.adapters.aws_replay import ReplayWorld
from understudy.adapters.cached import CachedReleases, CachedTraffic
from understudy.adapters.memory import MemoryReleases, MemoryTraffic
from understudy.contracts.shadow import ShadowCopy
from understudy.contracts.traffic import Traffic
from understudy.domain.outcomes import Row
from understudy.domain.shadow import overlap, shadow_sums
from understudy.domain.traffic import bucket_of
from understudy.errors import StepFailed
from understudy.settings import ReplayShadowSettings

EVENT = golden("replay_shadow/one_copy_and_one_unreadable")
COPY = ShadowCopy.model_validate_json(EVENT["Records"][0]["body"])
REHEARSAL = traffic(version=3, candidate=GREEN, shadow_bp=10_000)
ROW = Row("shadow#r-green", 3, "2026-03-01T04", 17)
SETTINGS = ReplayShadowSettings(
    traffic_table="traffic",
    releases_table="releases",
    outcomes_table="outcomes",
    two_tower_endpoint="two-tower",
    ranker_endpoint="ranker",
    opensearch_url="http://index",
)


def ask(deps: Dependencies, on_stage: Traffic, monkeypatch: pytest.MonkeyPatch, **fields: Any) -> tuple[int, Any]:
    w = world(on_stage, deps)
    door = load_door("recommend")
    monkeypatch.setattr(door, "world", lambda: w)
    event = golden("recommend/known_user") | {"body": json.dumps({"user_id": "u-1"} | fields)}
    answer = door.handler(event, CONTEXT)
    return answer["statusCode"], json.loads(answer["body"])


def stage(deps: Dependencies, outcomes: MemoryOutcomes, on_stage: Traffic | None = REHEARSAL) -> ReplayWorld:
    kitchen = world(on_stage, deps).kitchen
    releases = MemoryReleases(*RECORDS.values())
    return ReplayWorld(
        SETTINGS,
        CachedTraffic(MemoryTraffic(on_stage).current, 2.0, NOW.timestamp),
        CachedReleases(lambda release_id, _: releases.get(release_id)),
        kitchen,
        outcomes,
        deps.clock,
        NOW.timestamp,
    )


BUCKET = bucket_of("salt", "u-1")


@pytest.mark.parametrize(
    ("on_stage", "copied"),
    [
        pytest.param({"candidate": GREEN, "shadow_bp": BUCKET + 1}, 1, id="the user's bucket is in the shadow"),
        pytest.param({"candidate": GREEN, "shadow_bp": BUCKET}, 0, id="it is the first outside"),
        pytest.param(
            {"candidate": GREEN, "share_bp": 10_000, "shadow_bp": 10_000}, 0, id="the candidate itself answers"
        ),
        pytest.param({"previous": GREEN, "holdback_bp": 500}, 0, id="nobody rehearses"),
    ],
)
def test_what_the_champion_answers_in_the_shadow_is_copied(
    monkeypatch: pytest.MonkeyPatch, on_stage: dict[str, Any], copied: int
) -> None:
    deps = Dependencies(Clock())
    deps.users["u-1"] = {"age": 31, "seen": ["i-3"]}
    status, answer = ask(deps, traffic(version=3, **on_stage), monkeypatch, k=5)
    assert (status, len(deps.copies)) == (200, copied)
    if copied:
        copy = ShadowCopy.model_validate_json(json.dumps(deps.copies[0]))
        assert copy.items == [item["item_id"] for item in answer["items"]]
        assert (copy.user, copy.request.k, copy.candidate, copy.traffic_version) == (deps.users["u-1"], 5, GREEN, 3)
        assert answer["release_id"] == "r-blue"
        assert all(asked[1] != "green" for asked in deps.asked)  # the candidate was not asked in the user's time


@pytest.mark.parametrize("how", ["down", "late"])
def test_a_queue_that_fails_costs_the_answer_nothing(monkeypatch: pytest.MonkeyPatch, how: str) -> None:
    deps = (
        Dependencies(Clock(), fails={"shadow": "down"}) if how == "down" else Dependencies(Clock(), takes={"shadow": 9})
    )
    started = deps.clock.now
    status, answer = ask(deps, REHEARSAL, monkeypatch)
    assert (status, answer["degraded"], deps.copies) == (200, [], [])
    assert len(deps.served) == 1
    assert deps.clock.now - started < 0.1


def test_a_batch_is_replayed_and_the_unreadable_copy_delivered_again(monkeypatch: pytest.MonkeyPatch) -> None:
    deps, outcomes = Dependencies(Clock()), MemoryOutcomes()
    door = load_door("replay_shadow")
    w = stage(deps, outcomes)
    monkeypatch.setattr(door, "world", lambda: w)
    unreadable = EVENT["Records"][1]["messageId"]
    for _ in range(2):  # delivered twice, counted once
        assert door.handler(EVENT, CONTEXT) == {"batchItemFailures": [{"itemIdentifier": unreadable}]}
    assert outcomes.rows == {
        ROW: {
            "requests": 1,
            "latency_le_3": 1,
            "champion_latency_le_13": 1,
            "compared": 1,
            "overlap_sum": 0.4,  # i-19 and i-18 of five
        }
    }
    assert {asked[1] for asked in deps.asked} == {"green", "items-r-green"}


@pytest.mark.parametrize("broken", ["user_tower", "index", "ranker"])
@pytest.mark.parametrize("how", ["down", "late"])
def test_a_candidate_that_fails_is_an_error_of_its_own(broken: str, how: str) -> None:
    deps, outcomes = Dependencies(Clock()), MemoryOutcomes()
    if how == "down":
        deps.fails[broken] = "down"
    else:
        deps.takes[broken] = 60.0
    played = stage(deps, outcomes).play(COPY)
    assert played is not None
    assert broken in (played.why or "")
    assert outcomes.rows[ROW] == {"requests": 1, "errors": 1, "latency_le_inf": 1, "champion_latency_le_13": 1}


def test_a_record_that_cannot_be_read_is_the_candidates_error_too() -> None:
    outcomes = MemoryOutcomes()
    w = stage(Dependencies(Clock()), outcomes)

    def unreadable(release_id: str, timeout_s: float) -> Any:
        raise StepFailed("release", "down")

    w.releases.get = unreadable  # type: ignore[method-assign]
    w.play(COPY)
    assert outcomes.rows[ROW]["errors"] == 1


@pytest.mark.parametrize(
    "now_on_stage",
    [
        pytest.param(None, id="an empty stage"),
        pytest.param(traffic(), id="it was taken down"),
        pytest.param(traffic(champion=GREEN, previous=BLUE), id="it was promoted"),
    ],
)
def test_a_copy_whose_candidate_left_is_dropped(now_on_stage: Traffic | None) -> None:
    deps, outcomes = Dependencies(Clock()), MemoryOutcomes()
    assert stage(deps, outcomes, now_on_stage).play(COPY) is None
    assert (outcomes.rows, deps.asked) == ({}, [])


def test_sums_tell_both_releases_apart_by_bucket() -> None:
    outcomes = MemoryOutcomes()
    deps = Dependencies(Clock())
    w = stage(deps, outcomes)
    for number, changes in enumerate([{}, {"latency_ms": None}, {"bucket": 18}, {"items": []}]):
        request_id = COPY.request_id[:-1] + str(number)
        w.play(COPY.model_copy(update={"request_id": request_id, "at": NOW + timedelta(minutes=number), **changes}))
    deps.fails["ranker"] = "down"
    w.play(COPY.model_copy(update={"request_id": COPY.request_id[:-1] + "9"}))
    sums = shadow_sums({row.bucket: counts for row, counts in outcomes.rows.items()})
    assert (sums.requests, sums.errors, sums.champion_errors, sums.compared) == (5, 1, 1, 2)
    assert sums.mean_overlap == pytest.approx(0.4)
    assert sums.candidate[17] == {"requests": 4, "errors": 1, "latency_le_3": 3, "latency_le_inf": 1}
    assert sums.champion[17] == {"requests": 4, "errors": 1, "latency_le_13": 3, "latency_le_inf": 1}
    assert sums.candidate[18] == {"requests": 1, "latency_le_3": 1}


@pytest.mark.parametrize(
    ("champion", "candidate", "share"), [("abc", "cab", 1.0), ("ab", "cd", 0.0), ("abcd", "ab", 0.5), ("", "ab", None)]
)
def test_overlap_is_the_share_of_the_champions_places(champion: str, candidate: str, share: float | None) -> None:
    assert overlap(list(champion), list(candidate)) == share
