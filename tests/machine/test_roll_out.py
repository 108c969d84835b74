"""The roll_out machine by named paths: every Choice both ways, every Catch, every Retry."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from local_account.step_functions import definition as definitions
from local_account.step_functions.harness import missing_decisions, run_machine

ROOT = Path(__file__).parents[2]
MACHINE = definitions.load(ROOT / "state_machines" / "roll_out.asl.yaml")
SUBSTITUTIONS = {name: "60" if name == "DrainSeconds" else f"the-{name}" for name in definitions.placeholders(MACHINE)}
STAGES = [
    {"index": 0, "kind": "share", "share_bp": 1000, "holdback_bp": 0, "bake_s": 9, "next": 1},
    {"index": 1, "kind": "share", "share_bp": 5000, "holdback_bp": 0, "bake_s": 9, "next": 2},
    {"index": 2, "kind": "watch", "share_bp": 10000, "holdback_bp": 500, "bake_s": 9, "next": None},
]
PLAN = {
    "action": "roll_out",
    "release_id": "r-2",
    "slot": "green",
    "fence": 7,
    "stages": STAGES,
    "previous": None,
    "reason": "r-1 serves",
}
FIRST = {**PLAN, "action": "first", "slot": "blue", "stages": []}
LEAVE = {**PLAN, "action": "leave", "slot": None, "stages": [], "reason": "superseded by r-3, which is newer"}
ASKED = {"endpoints": [{"endpoint": "e", "config": "c", "counts": {}}]}
BUSY = {"Error": "Lambda.TooManyRequestsException", "Cause": "Rate Exceeded."}
STEPS_BUSY = {"Error": "StepFunctions.AWSStepFunctionsException", "Cause": "Service Unavailable"}
BOOM = {"Error": "RuntimeError", "Cause": "boom"}
BROKEN = [BOOM] * 4  # a door is asked four times
DOORS = [
    "TakeStage",
    "TellStarted",
    "MatchEndpoints",
    "WarmUp",
    "RaiseCapacity",
    "PutOnStage",
    "TellStage",
    "TellVerdict",
    "RetirePrevious",
    "EmptySlot",
    "CollectLeftovers",
    "RestoreScaling",
    "TellEnded",
    "ReleaseLease",
]
CHILDREN = ["AwaitSlot", "AwaitCapacity", "BakeStage", "AwaitEmptySlot"]
TELLING = {"TellStarted", "TellStage", "TellVerdict", "TellHold", "TellEnded"}
DRAINS = {"MatchEndpoints": 0, "RaiseCapacity": 0, "EmptySlot": 60}  # seconds that were waited before
BEFORE_TRAFFIC = {
    "TakeStage",
    "RetireOlder",
    "MatchEndpoints",
    "AwaitSlot",
    "WarmUp",
    "PutFirstOnStage",
    "ReleaseLease",
}


def payload(value):
    return {"Payload": value}


def followed(action, **more):
    return {"Output": {"action": action, "verdict": "pass", "reason": "because", "looks": 3, "rest": False} | more}


def put(version):
    return payload({"version": version, "changed_at": f"2026-11-23T0{version}:00:00Z"})


def answers(**given):
    """A rollout through all of its stages, each thing at the first attempt."""
    usual = {
        "TakeStage": [payload(PLAN)],
        "TellStarted": [payload({})],
        "MatchEndpoints": [payload(ASKED)],
        "AwaitSlot": [{"Output": {}}],
        "WarmUp": [payload({})],
        "RaiseCapacity": [payload(ASKED)] * 3,
        "AwaitCapacity": [{"Output": {}}] * 3,
        "PutOnStage": [put(2), put(3), put(4)],
        "TellStage": [payload({})] * 3,
        "BakeStage": [followed("next")] * 3,
        "TellVerdict": [payload({})] * 3,
        "RetirePrevious": [payload({})],
        "EmptySlot": [payload(ASKED)],
        "AwaitEmptySlot": [{"Output": {}}],
        "CollectLeftovers": [payload({})],
        "RestoreScaling": [payload({})],
        "TellEnded": [payload({})],
        "ReleaseLease": [payload({})],
        "RollBack": [{"ExecutionArn": "arn"}],
        "RollBackOnVerdict": [{"ExecutionArn": "arn"}],
    }
    return usual | given


def first(**given):
    return answers(TakeStage=[payload(FIRST)], PutFirstOnStage=[put(1)], **given)


def run(given):
    return run_machine(MACHINE, input={"release_id": "r-2"}, answers=given, substitutions=SUBSTITUTIONS)


def test_the_first_release_becomes_champion_without_stages():
    rollout = run(first())
    assert (rollout.status, rollout.path[-1]) == ("SUCCEEDED", "RolledOut")
    assert rollout.path.index("WarmUp") < rollout.path.index("PutFirstOnStage")
    assert {"PutOnStage", "BakeStage", "RetirePrevious"}.isdisjoint(rollout.path)
    assert rollout.arguments["PutFirstOnStage"][0]["Payload"]["fence"] == 7


def test_a_later_release_meets_more_users_stage_by_stage_each_with_room_before_and_a_bake_after():
    rollout = run(answers())
    assert (rollout.status, rollout.path[-1]) == ("SUCCEEDED", "RolledOut")
    staged = [name for name in rollout.path if name in {"RaiseCapacity", "AwaitCapacity", "PutOnStage", "BakeStage"}]
    assert staged == ["RaiseCapacity", "AwaitCapacity", "PutOnStage", "BakeStage"] * 3
    assert [asked["Payload"]["stage"]["share_bp"] for asked in rollout.arguments["PutOnStage"]] == [1000, 5000, 10000]
    assert [asked["Payload"]["share_bp"] for asked in rollout.arguments["RaiseCapacity"]] == [1000, 5000, 10000]
    assert rollout.arguments["RaiseCapacity"][2]["Payload"]["holdback_bp"] == 500


def test_a_bake_is_judged_at_the_version_and_from_the_moment_of_its_own_write():
    baked = [asked["Input"] for asked in run(answers()).arguments["BakeStage"]]
    assert [(one["version"], one["started_at"], one["stage"]["index"]) for one in baked] == [
        (2, "2026-11-23T02:00:00Z", 0),
        (3, "2026-11-23T03:00:00Z", 1),
        (4, "2026-11-23T04:00:00Z", 2),
    ]
    assert {(one["extended"], one["held"]) for one in baked} == {(False, False)}


def test_after_the_watch_nobody_is_held_back_and_after_draining_the_slot_is_emptied():
    rollout = run(answers())
    tail = rollout.path[rollout.path.index("RetirePrevious") :]
    order = ["RetirePrevious", "Drain", "EmptySlot", "AwaitEmptySlot", "CollectLeftovers", "RestoreScaling"]
    assert tail == [*order, "TellEnded", "ReleaseLease", "DoesReleaseServe", "RolledOut"]
    assert rollout.arguments["EmptySlot"][0]["Payload"] == {"coming": None, "fence": 7}
    assert rollout.waited_s == 60


def test_a_release_that_is_still_kept_makes_room_and_its_requests_are_drained_before_its_slot_is_filled():
    plan = {**PLAN, "previous": {"release": "r-0", "slot": "green"}}
    rollout = run(answers(TakeStage=[payload(plan)], RetireOlder=[payload({})]))
    assert rollout.status == "SUCCEEDED"
    places = [rollout.path.index(name) for name in ("RetireOlder", "DrainOlder", "MatchEndpoints")]
    assert places == sorted(places)
    assert rollout.waited_s == 120


def test_a_release_whose_turn_it_is_not_gives_the_lease_back_and_changes_nothing():
    rollout = run(answers(TakeStage=[payload(LEAVE)]))
    assert rollout.path == ["TakeStage", "IsStageOurs", "ReleaseLease", "DoesReleaseServe", "LeftAlone"]
    assert rollout.output["reason"] == "superseded by r-3, which is newer"


@pytest.mark.parametrize("error", ["LeaseHeld", "NotReady"])
def test_a_release_that_arrives_mid_rollout_waits_its_turn_for_a_day(error):
    held = {"Error": error, "Cause": "lease stage is held by r-1"}
    rollout = run(answers(TakeStage=[held] * 1440 + [payload(LEAVE)]))
    assert rollout.status == "SUCCEEDED"
    assert 80_000 < rollout.waited_s < 90_000
    assert len(rollout.events) < 10_000


def test_an_inconclusive_bake_is_extended_from_the_same_beginning():
    rollout = run(answers(BakeStage=[followed("extend"), *[followed("next")] * 3]))
    first_two = [asked["Input"] for asked in rollout.arguments["BakeStage"][:2]]
    assert [one["extended"] for one in first_two] == [False, True]
    assert len({(one["started_at"], one["version"]) for one in first_two}) == 1
    assert rollout.arguments["BakeStage"][2]["Input"]["extended"] is False
    assert rollout.status == "SUCCEEDED"


def test_a_hold_is_told_of_and_looked_at_on():
    rollout = run(answers(BakeStage=[followed("hold"), *[followed("next")] * 3], TellHold=[payload({})]))
    assert [asked["Input"]["held"] for asked in rollout.arguments["BakeStage"]] == [False, True, False, False]
    assert rollout.path.count("TellHold") == 1
    assert rollout.status == "SUCCEEDED"


def test_a_child_that_has_done_its_looks_is_followed_by_another():
    rollout = run(answers(BakeStage=[followed("look_again", rest=True), *[followed("next")] * 3]))
    assert len(rollout.arguments["BakeStage"]) == 4
    assert rollout.status == "SUCCEEDED"


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_a_failed_verdict_asks_for_a_rollback_first_of_all_and_the_rollout_ends_as_rolled_back(stage):
    looks = [followed("next")] * stage + [followed("roll_back", verdict="fail", reason="errors are 9 % against 1 %")]
    rollout = run(answers(BakeStage=looks))
    assert (rollout.status, rollout.error, rollout.cause) == ("FAILED", "RolledBack", "errors are 9 % against 1 %")
    assert rollout.path[-3:] == ["WhatFollows", "RollBackOnVerdict", "RolledBack"]
    (asked,) = rollout.arguments["RollBackOnVerdict"]
    assert asked["Input"] == {
        "release_id": "r-2",
        "rollout_id": "run",
        "cause": "verdict",
        "reason": "errors are 9 % against 1 %",
    }
    assert asked["Name"] == "run-back-" + hashlib.sha256(b"errors are 9 % against 1 %").hexdigest()[:8]


@pytest.mark.parametrize("error", ["TrafficMoved", "StageLost"])
def test_a_refused_write_ends_the_rollout_without_changing_anything_more(error):
    rollout = run(answers(PutOnStage=[put(2), {"Error": error, "Cause": "another change came first"}]))
    assert (rollout.status, rollout.error) == ("FAILED", "StageLost")
    assert rollout.path[-2:] == ["PutOnStage", "StageLost"]


def test_a_rollout_that_was_fenced_off_changes_nothing_more():
    rollout = run(answers(RaiseCapacity=[{"Error": "FencedOff", "Cause": "stale"}]))
    assert (rollout.error, rollout.path[-2:]) == ("StageLost", ["RaiseCapacity", "StageLost"])


def test_a_stage_that_was_lost_in_its_bake_ends_the_rollout():
    rollout = run(answers(BakeStage=[{"Output": {"action": "lost", "reason": "r-2-back came first"}}]))
    assert (rollout.status, rollout.error, rollout.cause) == ("FAILED", "StageLost", "r-2-back came first")


@pytest.mark.parametrize("state", sorted({*DOORS, *CHILDREN} - TELLING))
def test_what_breaks_before_the_first_write_just_ends_and_after_it_asks_for_a_rollback(state):
    rollout = run(answers(**{state: BROKEN}))
    assert (rollout.status, rollout.error) == ("FAILED", "RuntimeError")
    assert ("RollBack" in rollout.path) == (state not in BEFORE_TRAFFIC)
    if state not in BEFORE_TRAFFIC:
        asked = rollout.arguments["RollBack"][0]
        assert (asked["Input"]["cause"], asked["Input"]["reason"]) == ("ended", "roll_out ended with RuntimeError")
        assert asked["Name"] == "run-back-" + hashlib.sha256(b"roll_out ended with RuntimeError").hexdigest()[:8]


def test_nobody_being_told_stops_nothing():
    broken = {state: [BOOM] * 3 for state in TELLING - {"TellHold"}}
    hold = {"BakeStage": [followed("hold"), *[followed("next")] * 3], "TellHold": [BOOM]}
    rollout = run(answers(**broken, **hold))
    assert (rollout.status, rollout.path[-1]) == ("SUCCEEDED", "RolledOut")


@pytest.mark.parametrize("state", ["MatchEndpoints", "RaiseCapacity", "EmptySlot"])
def test_an_endpoint_that_is_changing_is_waited_for_a_quarter_of_an_hour_and_no_longer(state):
    busy = {"Error": "NotReady", "Cause": 'Cannot update in-progress endpoint "e" is not ready yet'}
    usual = answers()[state]
    patient = run(answers(**{state: [*[busy] * 62, *usual]}))
    assert patient.status == "SUCCEEDED"
    endless = run(answers(**{state: [busy] * 63}))
    assert (endless.status, endless.error) == ("FAILED", "NotReady")
    assert 840 < endless.waited_s - DRAINS[state] < 960


@pytest.mark.parametrize(
    "state", ["PutOnStage", "RaiseCapacity", "RetirePrevious", "CollectLeftovers", "RestoreScaling"]
)
def test_no_release_goes_down_for_a_call_that_failed_in_passing(state):
    throttled = {"Error": "ClientError", "Cause": "ThrottlingException: Rate exceeded"}
    rollout = run(answers(**{state: [throttled] * 3 + answers()[state]}))
    assert (rollout.status, rollout.path[-1]) == ("SUCCEEDED", "RolledOut")


def test_a_lost_reply_of_a_rollbacks_start_is_asked_again_under_the_same_name():
    failed = [followed("roll_back", verdict="fail", reason="errors")]
    rollout = run(answers(BakeStage=failed, RollBackOnVerdict=[STEPS_BUSY, {"ExecutionArn": "arn"}]))
    assert len({asked["Name"] for asked in rollout.arguments["RollBackOnVerdict"]}) == 1
    assert rollout.error == "RolledBack"


def test_a_rollback_that_was_started_already_or_cannot_be_started_changes_nothing_of_the_end():
    failed = [followed("roll_back", verdict="fail", reason="errors")]
    exists = {"Error": "StepFunctions.ExecutionAlreadyExistsException", "Cause": "it exists"}
    assert run(answers(BakeStage=failed, RollBackOnVerdict=[exists])).error == "RolledBack"
    assert run(answers(RaiseCapacity=BROKEN, RollBack=[exists])).error == "RuntimeError"


def test_every_rule_catch_and_retry_is_walked():
    kept = {**PLAN, "previous": {"release": "r-0", "slot": "green"}}
    older = answers(TakeStage=[payload(kept)], RetireOlder=[payload({})])
    held = {"Error": "LeaseHeld", "Cause": "lease stage is held"}
    busy = {"Error": "NotReady", "Cause": "in-progress"}
    lost = {"Error": "TrafficMoved", "Cause": "another change came first"}
    failed = [followed("roll_back", verdict="fail")]
    hold = {"BakeStage": [followed("hold"), *[followed("next")] * 3]}
    runs = [run(answers()), run(first()), run(older), run(answers(TakeStage=[payload(LEAVE)]))]
    runs += [run(answers(TakeStage=[held, payload(PLAN)])), run(answers(BakeStage=failed))]
    runs += [run(answers(BakeStage=[followed(action), *[followed("next")] * 3])) for action in ("extend", "look_again")]
    runs += [run(answers(BakeStage=[followed("lost")]))]
    for state in DOORS:
        usual = answers()[state]
        runs += [run(answers(**{state: [BUSY, *usual]})), run(answers(**{state: BROKEN}))]
    for state in ("MatchEndpoints", "WarmUp", "RaiseCapacity", "EmptySlot", "CollectLeftovers"):
        runs.append(run(answers(**{state: [busy, *answers()[state]]})))
    for state in CHILDREN:
        runs += [run(answers(**{state: [STEPS_BUSY, *answers()[state]]})), run(answers(**{state: [BOOM]}))]
    for state in ("PutOnStage", "RetirePrevious"):
        runs.append(run(answers(**{state: [lost]})))
    runs.append(run(answers(RaiseCapacity=[{"Error": "FencedOff", "Cause": "stale"}])))
    for told in ([payload({})], [BUSY, payload({})], [BOOM]):
        runs.append(run(answers(**hold, TellHold=told)))
    for put_first in ([BUSY, put(1)], BROKEN):
        runs.append(run(answers(TakeStage=[payload(FIRST)], PutFirstOnStage=put_first)))
    for retired in ([BUSY, payload({})], BROKEN):
        runs.append(run({**older, "RetireOlder": retired}))
    for state, more in (("RollBackOnVerdict", {"BakeStage": failed}), ("RollBack", {"RaiseCapacity": BROKEN})):
        for said in ([STEPS_BUSY, {}], [BOOM]):
            runs.append(run(answers(**more, **{state: said})))
    assert missing_decisions(MACHINE, runs) == []
