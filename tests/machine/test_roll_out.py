"""The roll_out machine by named paths: every Choice both ways, every Catch, every Retry."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_account.step_functions import definition as definitions
from local_account.step_functions.harness import missing_decisions, run_machine

ROOT = Path(__file__).parents[2]
MACHINE = definitions.load(ROOT / "state_machines" / "roll_out.asl.yaml")
SUBSTITUTIONS = {name: f"the-{name}" for name in definitions.placeholders(MACHINE)}
STAGE = {"action": "fill", "release_id": "r-1", "slot": "blue", "fence": 7, "reason": "the stage is empty"}
ASKED = {"endpoints": [{"endpoint": "e", "config": "c"}]}
NOT_READY = {"Error": "NotReady", "Cause": "endpoint e is Creating and is not ready yet"}
BUSY = {"Error": "Lambda.TooManyRequestsException", "Cause": "Rate Exceeded."}
DOORS = ["TakeStage", "FillSlot", "IsSlotInService", "WarmUp", "PutOnStage", "ReleaseLease"]


def answers(**given):
    usual = {
        "TakeStage": STAGE,
        "FillSlot": ASKED,
        "IsSlotInService": {"in_service": ["e"]},
        "WarmUp": {},
        "PutOnStage": {"version": 1},
        "ReleaseLease": {},
    }
    return {state: given.get(state, [{"Payload": usual[state]}]) for state in DOORS}


def run(given):
    return run_machine(MACHINE, input={"release_id": "r-1"}, answers=given, substitutions=SUBSTITUTIONS)


def test_the_first_release_fills_a_slot_warms_up_and_serves():
    rollout = run(answers())
    assert (rollout.status, rollout.path[-1]) == ("SUCCEEDED", "RolledOut")
    assert rollout.path.index("WarmUp") < rollout.path.index("PutOnStage")
    assert rollout.arguments["PutOnStage"][0]["Payload"]["fence"] == 7


def test_a_release_that_finds_the_stage_taken_changes_nothing_and_gives_the_lease_back():
    rollout = run(answers(TakeStage=[{"Payload": {**STAGE, "action": "leave", "slot": None, "reason": "r-0 serves"}}]))
    assert rollout.path == ["TakeStage", "IsStageOpen", "ReleaseLease", "IsReleaseServing", "StageTaken"]
    assert rollout.output["reason"] == "r-0 serves"


def test_endpoints_are_polled_until_they_serve():
    rollout = run(answers(IsSlotInService=[NOT_READY] * 30 + [{"Payload": {"in_service": ["e"]}}]))
    assert rollout.status == "SUCCEEDED"
    assert len(rollout.arguments["IsSlotInService"]) == 31


def test_an_endpoint_that_never_serves_ends_the_rollout_and_nobody_serves_from_it():
    rollout = run(answers(IsSlotInService=[NOT_READY] * 121))
    assert (rollout.status, rollout.error) == ("FAILED", "NotReady")
    assert "PutOnStage" not in rollout.path


@pytest.mark.parametrize("error", ["TrafficMoved", "StatusNotAllowed"])
def test_a_refused_write_ends_the_rollout(error):
    rollout = run(answers(PutOnStage=[{"Error": error, "Cause": "another writer came first"}]))
    assert (rollout.status, rollout.path[-1], rollout.error) == ("FAILED", "RolloutFailed", error)


def test_every_rule_catch_and_retry_is_walked():
    leaves = answers(TakeStage=[{"Payload": {**STAGE, "action": "leave"}}])
    held = {"Error": "LeaseHeld", "Cause": "lease stage is held"}
    runs = [run(answers()), run(leaves), run(answers(TakeStage=[held, {"Payload": STAGE}]))]
    for door in DOORS:
        usual = answers()[door]
        runs += [
            run(answers(**{door: [BUSY, *usual]})),
            run(answers(**{door: [NOT_READY, *usual]}))
            if door in {"FillSlot", "IsSlotInService", "WarmUp"}
            else run(answers()),
        ]
        runs.append(run(answers(**{door: [{"Error": "RuntimeError", "Cause": "boom"}]})))
    assert missing_decisions(MACHINE, runs) == []
