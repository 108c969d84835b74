"""The roll_back machine by named paths: every Choice both ways, every Catch, every Retry; traffic first, and never giving up."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_account.step_functions import definition as definitions
from local_account.step_functions.harness import missing_decisions, run_machine

ROOT = Path(__file__).parents[2]
MACHINE = definitions.load(ROOT / "state_machines" / "roll_back.asl.yaml")
SUBSTITUTIONS = {name: f"the-{name}" for name in definitions.placeholders(MACHINE)} | {"DrainSeconds": "60"}
ASKED = {"release_id": "r-2", "rollout_id": "r-2", "reason": "errors", "cause": "verdict"}
BUSY = {"Error": "Lambda.TooManyRequestsException", "Cause": "Rate Exceeded."}
BOOM = {"Error": "ClientError", "Cause": "An error occurred (ValidationException)"}
NOT_READY = {"Error": "NotReady", "Cause": "endpoint e (Cannot update in-progress endpoint) is not ready yet"}
CHILD_DOWN = {"Error": "StepFunctions.AWSStepFunctionsException", "Cause": "throttled"}
NO_EXECUTION = {"Error": "Sfn.ExecutionDoesNotExistException", "Cause": "Execution Does Not Exist"}
TRIES = 10  # of States.ALL
USUAL = {
    "TakeDown": {"taken_down": True, "reason": "errors", "traffic": {}},
    "SeizeStage": {"action": "clean", "fence": 9, "reason": "r-1 serves"},
    "MirrorWeights": {"endpoints": []},
    "MatchEndpoints": {"endpoints": [{"endpoint": "e", "config": "c"}]},
    "CollectLeftovers": {},
    "RestoreScaling": {},
    "CloseRollout": {"release_id": "r-2", "status": "rejected", "rejected": []},
    "TellEnded": {},
    "ReleaseLease": {"released": ["stage"]},
    "TellStuck": {},
    "TellNotTakenDown": {},
}
DOORS = [name for name in USUAL if not name.startswith("Tell")]
BEHIND_TRAFFIC = [name for name in DOORS if name != "TakeDown"]


def answers(**given):
    """Each door's usual answer as often as it may be asked, after what a test gives it first."""
    found = {state: [*given.get(state, []), *[{"Payload": usual}] * 4] for state, usual in USUAL.items()}
    found["StopRollout"] = [*given.get("StopRollout", []), *[{"StopDate": "2026-11-23T06:12:05Z"}] * 4]
    found["AwaitSlot"] = [*given.get("AwaitSlot", []), *[{"Output": {}}] * 4]
    return found


def run(given=None, **asked):
    return run_machine(MACHINE, input=ASKED | asked, answers=given or answers(), substitutions=SUBSTITUTIONS)


def test_traffic_comes_first_and_the_lease_goes_last():
    back = run()
    assert back.path[:2] == ["TakeDown", "StopRollout"]
    assert back.path[-2:] == ["ReleaseLease", "RolledBack"]
    assert back.path.index("SeizeStage") < back.path.index("MirrorWeights") < back.path.index("MatchEndpoints")
    assert back.output == {"release_id": "r-2", "status": "rejected", "rejected": [], "taken_down": True}


def test_the_rollout_is_stopped_under_its_own_name_and_the_change_is_named_after_the_rollback():
    back = run()
    assert back.arguments["StopRollout"][0]["ExecutionArn"] == "the-RollOutExecutionPrefix:r-2"
    assert back.arguments["TakeDown"][0]["Payload"]["change_id"]
    assert back.arguments["MatchEndpoints"][0]["Payload"] == {"coming": None, "fence": 9}


def test_a_stage_that_another_execution_has_is_left_to_it_and_only_the_word_is_written():
    back = run(answers(SeizeStage=[{"Payload": {"action": "close", "fence": 0, "reason": "r-3 has it"}}]))
    assert back.path == [
        *("TakeDown", "StopRollout", "Pause", "SeizeStage", "IsStageOurs", "CloseRollout"),
        *("TellEnded", "ReleaseLease", "RolledBack"),
    ]


def test_a_rollback_started_anew_takes_traffic_first_and_pauses_then():
    assert run(pause_s=120).waited_s == run().waited_s + 120


def test_a_rollout_that_was_never_there_is_as_good_as_stopped():
    assert run(answers(StopRollout=[NO_EXECUTION])).status == "SUCCEEDED"


def test_a_refused_weights_call_is_tried_on_and_people_are_told():
    """R9: RollingBack and SystemUpdating are NotReady, UpdateRollbackFailed refuses; neither ends the rollback."""
    back = run(answers(MirrorWeights=[NOT_READY] * 31 + [BOOM] * (TRIES + 1)))
    assert (back.status, back.path.count("TellStuck")) == ("SUCCEEDED", 2)
    assert "MirrorWeights" in back.arguments["TellStuck"][0]["Payload"]["facts"]["outcome"]
    assert back.path.index("TakeDown") < back.path.index("TellStuck")


def test_users_are_taken_back_however_often_traffic_refuses():
    back = run(answers(TakeDown=[BOOM] * (TRIES + 1) * 2))
    assert (back.status, back.path.count("TellNotTakenDown")) == ("SUCCEEDED", 2)


def test_a_slot_that_came_to_rest_elsewhere_is_asked_for_again():
    back = run(answers(AwaitSlot=[{"Error": "States.TaskFailed", "Cause": "SlotChanged"}]))
    assert (back.status, back.path.count("MatchEndpoints"), back.path.count("TellStuck")) == ("SUCCEEDED", 2, 1)


@pytest.mark.parametrize("door", BEHIND_TRAFFIC)
def test_whatever_fails_behind_the_traffic_write_is_told_and_tried_again(door):
    back = run(answers(**{door: [BOOM] * (TRIES + 1)}))
    assert (back.status, back.path.count("TellStuck"), back.path.count("TakeDown")) == ("SUCCEEDED", 1, 1)


def test_nobody_to_tell_stops_nothing():
    unheard = answers(TellEnded=[BOOM], TellStuck=[BOOM], TellNotTakenDown=[BOOM], TakeDown=[BOOM] * (TRIES + 1))
    unheard["CloseRollout"] = [BOOM] * (TRIES + 1) + unheard["CloseRollout"]
    assert run(unheard).status == "SUCCEEDED"


def test_every_rule_catch_and_retry_is_walked():
    moved, held = {"Error": "TrafficMoved", "Cause": ""}, {"Error": "LeaseHeld", "Cause": ""}
    runs = [
        run(),
        run(answers(SeizeStage=[held, {"Payload": {"action": "close", "fence": 0, "reason": ""}}])),
        run(answers(TakeDown=[moved], CloseRollout=[{"Error": "ReleaseMoved", "Cause": ""}])),
        run(answers(StopRollout=[NO_EXECUTION])),
        run(answers(StopRollout=[{"Error": "Sfn.SfnException", "Cause": ""}])),
        run(answers(StopRollout=[BOOM])),
        run(answers(AwaitSlot=[CHILD_DOWN])),
        run(answers(AwaitSlot=[BOOM])),
        run(answers(TellEnded=[BOOM], TellStuck=[BOOM], TellNotTakenDown=[BOOM], TakeDown=[BOOM] * (TRIES + 1))),
        run(answers(TellStuck=[BUSY, BOOM], RestoreScaling=[BOOM] * (TRIES + 1))),
        run(answers(TellNotTakenDown=[BUSY], TellEnded=[BUSY], TakeDown=[BOOM] * (TRIES + 1))),
    ]
    for door in DOORS:
        runs += [run(answers(**{door: faults})) for faults in ([BUSY], [NOT_READY], [BOOM] * (TRIES + 1))]
    assert missing_decisions(MACHINE, runs) == []
