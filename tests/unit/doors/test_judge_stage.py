"""functions/judge_stage: a look reads both arms at the stage's own traffic version, and says, writes and tells what follows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from support.doors import CONTEXT, golden, load_door
from understudy.adapters.aws_items import from_item, to_item
from understudy.adapters.judging import look
from understudy.adapters.memory import MemoryTraffic
from understudy.adapters.stage_looks import RolloutState
from understudy.contracts.rollout import JudgeStageEvent
from understudy.contracts.traffic import Standing, Traffic
from understudy.domain.coverage import EMPTY
from understudy.domain.judge import JudgePolicy
from understudy.errors import StageLost

EVENT = golden("judge_stage/first_look")
ID, START = EVENT["release_id"], datetime.fromisoformat(EVENT["started_at"])
OLD, NEW = Standing(release="r-0", slot="blue"), Standing(release=ID, slot="green")
GOOD = {"requests": 20, "impressions": 200, "clicks": 20, "latency_le_20": 20}


class Outcomes:
    """Counts by (source, version); what nobody counted is empty."""

    def __init__(self) -> None:
        self.counts: dict[tuple[str, int], dict[int, dict[str, float]]] = {}

    def put(self, source: str, version: int, buckets: range, **changes: float) -> None:
        self.counts[source, version] = {bucket: {**GOOD, **changes} for bucket in buckets}

    def outcomes_since(self, names: list[str], versions: list[int], since: datetime, until: datetime) -> Any:
        assert since <= until
        return {name: self.counts.get((name, versions[0]), {}) for name in names}

    def since(self, names: list[str], *_: Any) -> dict[str, bytes]:
        return dict.fromkeys(names, EMPTY)


class Burst(Outcomes):
    """While the control's rows are read, a log object is counted: everybody's requests become so many times as many."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def outcomes_since(self, names: list[str], *read: Any) -> Any:
        found = super().outcomes_since(names, *read)
        if "r-0" in names:
            self.counts = {
                key: {bucket: {name: self.times * count for name, count in row.items()} for bucket, row in rows.items()}
                for key, rows in self.counts.items()
            }
            found["r-0"] = super().outcomes_since(["r-0"], *read)["r-0"]
        return found


def traffic(version=2, **changes):
    fields = {"candidate": NEW, "share_bp": 1000, "champion": OLD, "change_id": "c", "salt": "s", "reason": "r"}
    fields |= {"version": version, "changed_at": START, **changes}
    return MemoryTraffic(Traffic.model_validate(fields))


@pytest.fixture
def door(aws, artifacts, monkeypatch):
    module: Any = load_door("judge_stage")
    dynamodb = aws.client("dynamodb")
    dynamodb.create_table(
        TableName="state",
        BillingMode="PAY_PER_REQUEST",
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
    )
    parts = SimpleNamespace(traffic=traffic(), outcomes=Outcomes(), s3=artifacts, dynamodb=dynamodb, policy="abort")
    state = RolloutState(dynamodb, "state")

    def world() -> Any:
        return module.Judging(
            parts.traffic,
            parts.outcomes,
            parts.outcomes,
            state,
            artifacts,
            "understudy-artifactbucket-1",
            JudgePolicy(),
            60,
            parts.policy,
        )

    monkeypatch.setattr(module, "world", world)
    module.parts, module.state = parts, state
    return module


def at(door, seconds, event=EVENT):
    """A look so many seconds into the stage."""
    asked = JudgeStageEvent.model_validate(event)
    return look(door.world(), asked, START + timedelta(seconds=seconds)).model_dump()


def seen(door, key=f"rollout#{EVENT['rollout_id']}"):
    return from_item(door.parts.dynamodb.get_item(TableName="state", Key=to_item({"id": key}))["Item"])


def put_wish(door, ask, seconds, version=EVENT["version"]):
    at_ = (START + timedelta(seconds=seconds)).isoformat()
    item = to_item({"id": f"wish#{EVENT['rollout_id']}", "ask": ask, "by": "ada", "at": at_, "version": version})
    door.parts.dynamodb.put_item(TableName="state", Item=item)


def good_arms(door, version=2, share=1000):
    door.parts.outcomes.put(ID, version, range(0, share, 10))
    door.parts.outcomes.put("r-0", version, range(share, 10000, 10))


def verdicts(door):
    listed = door.parts.s3.list_objects_v2(Bucket="understudy-artifactbucket-1", Prefix="verdicts/").get("Contents", [])
    keys = [one["Key"] for one in listed]
    return {
        key: json.loads(door.parts.s3.get_object(Bucket="understudy-artifactbucket-1", Key=key)["Body"].read())
        for key in keys
    }


def test_the_door_looks_now(door):
    good_arms(door)
    event = {**EVENT, "started_at": datetime.now(UTC).isoformat()}
    assert door.handler(event, CONTEXT)["action"] == "look_again"


def test_a_good_release_bakes_to_the_end_and_goes_on(door):
    good_arms(door)
    early, end = at(door, 60), at(door, 14400)
    assert (early["action"], early["verdict"], early["wait_s"]) == ("look_again", "pass", 72)
    assert (end["action"], end["verdict"]) == ("next", "pass")


def test_a_release_that_fails_its_users_is_taken_down_at_once(door):
    good_arms(door)
    door.parts.outcomes.put(ID, 2, range(0, 1000, 10), errors=10)
    assert at(door, 60)["action"] == "roll_back"
    (document,) = verdicts(door).values()
    assert (document["verdict"], document["action"], document["control"]) == ("fail", "roll_back", "r-0")


def test_without_traffic_in_the_bake_nothing_is_promoted(door):
    assert at(door, 14400)["action"] == "extend"
    extended = {**EVENT, "extended": True}
    end = at(door, 28800, extended)
    assert (end["action"], end["verdict"]) == ("roll_back", "inconclusive")
    door.parts.policy = "promote"
    assert "InconclusivePolicy is promote" in at(door, 28800, extended)["reason"]


def test_both_arms_bad_hold_the_share_and_end_the_child_so_that_somebody_is_told(door):
    for source, buckets in ((ID, range(0, 1000, 10)), ("r-0", range(1000, 10000, 10))):
        door.parts.outcomes.put(source, 2, buckets, errors=4)
    first, told = at(door, 14400), at(door, 14400, {**EVENT, "held": True})
    assert (first["action"], first["rest"]) == ("hold", True)
    assert (told["action"], told["rest"]) == ("hold", False)


def test_only_outcomes_of_the_stages_own_version_count(door):
    good_arms(door)
    door.parts.outcomes.put(ID, 1, range(0, 1000, 10), errors=20)
    assert at(door, 60)["verdict"] == "pass"


def test_a_later_stage_is_judged_on_the_earlier_ones_too(door):
    good_arms(door)
    at(door, 60)
    stage = {**EVENT["stage"], "index": 1, "share_bp": 5000, "next": 2, "before_promotion": True}
    event = {**EVENT, "stage": stage, "version": 3, "started_at": (START + timedelta(seconds=100)).isoformat()}
    door.parts.traffic = traffic(3, share_bp=5000)
    good_arms(door, 3, 5000)
    at(door, 200, event)
    assert [window["version"] for window in seen(door)["windows"]] == [2, 3]
    assert [window["share_bp"] for window in seen(door)["evidence"]["windows"]] == [1000, 5000]
    assert seen(door)["evidence"]["is_last_gate"] is True
    at(door, 300, event)
    assert [window["version"] for window in seen(door)["windows"]] == [2, 3]


def test_the_watch_compares_the_new_champion_with_the_holdback(door):
    door.parts.traffic = traffic(5, champion=NEW, candidate=None, share_bp=0, previous=OLD, holdback_bp=500)
    door.parts.outcomes.put(ID, 5, range(0, 9500, 10))
    door.parts.outcomes.put("r-0", 5, range(9500, 10000, 10))
    stage = {**EVENT["stage"], "index": 2, "kind": "watch", "share_bp": 10000, "holdback_bp": 500, "next": None}
    event = {**EVENT, "stage": stage, "version": 5}
    assert at(door, 14400, event)["action"] == "next"
    assert seen(door)["windows"][-1] | {"share_bp": 9500, "control": "r-0"} == seen(door)["windows"][-1]
    door.parts.outcomes.put(ID, 5, range(0, 9500, 10), errors=10)
    assert at(door, 60, event)["action"] == "roll_back"


def test_a_watch_without_a_holdback_has_no_control_and_ends_with_its_time(door):
    door.parts.traffic = traffic(5, champion=NEW, candidate=None, share_bp=0, previous=OLD)
    stage = {**EVENT["stage"], "index": 2, "kind": "watch", "share_bp": 10000, "next": None}
    event = {**EVENT, "stage": stage, "version": 5}
    assert at(door, 14400, event)["action"] == "extend"
    assert at(door, 28800, {**event, "extended": True})["action"] == "next"


def shadow(door):
    door.parts.traffic = traffic(2, share_bp=0, shadow_bp=1000)
    return {**EVENT, "stage": {**EVENT["stage"], "kind": "shadow", "share_bp": 0, "shadow_bp": 1000}}


def test_a_shadow_is_judged_by_its_pairs(door):
    event = shadow(door)
    pairs = {"champion_latency_le_20": 20, "compared": 20, "overlap_sum": 12.0}
    door.parts.outcomes.put(f"shadow#{ID}", 2, range(0, 10000, 50), **pairs)
    assert at(door, 60, event)["action"] == "look_again"
    assert at(door, 14400, event)["action"] == "next"
    door.parts.outcomes.put(f"shadow#{ID}", 2, range(0, 10000, 50), errors=10, **pairs)
    assert at(door, 120, event)["action"] == "roll_back"


def test_a_stage_that_another_change_ended_is_lost(door):
    good_arms(door)
    door.parts.traffic = traffic(3, candidate=None, share_bp=0, change_id="r-1-back-0a1b2c3d")
    with pytest.raises(StageLost, match="r-1-back-0a1b2c3d"):
        at(door, 60)
    door.parts.traffic = MemoryTraffic()
    with pytest.raises(StageLost, match="nobody serves"):
        at(door, 60)


def test_an_operators_wishes_are_heard(door):
    good_arms(door)
    put_wish(door, "pause", 10)
    assert at(door, 14400)["action"] == "hold"
    put_wish(door, "resume", 20)
    assert at(door, 60)["action"] == "look_again"
    put_wish(door, "promote", 30)
    answer = at(door, 60)
    assert (answer["action"], answer["reason"]) == ("next", "ada asked to go on")
    put_wish(door, "shout", 40)
    assert at(door, 60)["action"] == "look_again"
    put_wish(door, "promote", 50, version=EVENT["version"] - 1)  # of the stage before, or written late
    assert at(door, 60)["action"] == "look_again"


@pytest.mark.parametrize("ask", ["pause", "promote"])
def test_a_failed_guardrail_acts_whatever_an_operator_wishes(door, ask):
    door.parts.outcomes.put(ID, 2, range(0, 1000, 10), errors=8)
    door.parts.outcomes.put("r-0", 2, range(1000, 10000, 10))
    put_wish(door, ask, 10)
    answer = at(door, 60)
    assert (answer["action"], answer["verdict"]) == ("roll_back", "fail")


def test_a_child_rests_after_two_hundred_looks(door):
    good_arms(door)
    assert at(door, 60, {**EVENT, "looks": 198}) | {"looks": 199, "rest": False} == at(
        door, 60, {**EVENT, "looks": 198}
    )
    assert at(door, 60, {**EVENT, "looks": 199})["rest"] is True


def test_the_final_verdict_is_written_once(door):
    good_arms(door)
    at(door, 60)
    assert verdicts(door) == {}
    at(door, 14400)
    ((key, first),) = verdicts(door).items()
    assert key == f"verdicts/{EVENT['rollout_id']}/0-share.json"
    door.parts.outcomes.put(ID, 2, range(0, 1000, 10), errors=10)
    at(door, 14500)
    assert verdicts(door) == {key: first}


def test_every_look_leaves_what_somebody_who_watches_wants_to_know(door):
    good_arms(door)
    at(door, 60)
    item = seen(door)
    assert (item["release_id"], item["verdict"], item["action"]) == (ID, "pass", "look_again")
    assert item["stage"] == {"index": 0, "kind": "share", "share_bp": 1000}
    assert datetime.fromisoformat(item["ends_at"]) == START + timedelta(seconds=14400)
    assert item["evidence"]["windows"][0]["candidate"]["requests"] == 2000


@pytest.mark.parametrize("times", [2, 3, 10])
def test_a_burst_of_outcomes_between_the_reads_of_the_arms_is_no_mismatch_of_samples(door, times):
    door.parts.outcomes = Burst(times)
    good_arms(door)
    assert at(door, 60)["verdict"] == "pass"
    ratio = seen(door)["evidence"]["metrics"]["sample_ratio"]
    assert (ratio["shown"], ratio["e_value"] < 2) == (False, True)


def test_an_arm_that_really_loses_its_users_is_found_out_in_a_burst_too(door):
    door.parts.outcomes = Burst(3)
    good_arms(door)
    door.parts.outcomes.put(ID, 2, range(0, 1000, 40))
    assert (at(door, 60)["verdict"], seen(door)["evidence"]["metrics"]["sample_ratio"]["shown"]) == ("fail", True)
