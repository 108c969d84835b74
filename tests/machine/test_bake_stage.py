"""The bake_stage machine by named paths: looks, waits as long as the door says, ends with what follows."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_account.step_functions import definition as definitions
from local_account.step_functions.harness import missing_decisions, run_machine

ROOT = Path(__file__).parents[2]
MACHINE = definitions.load(ROOT / "state_machines" / "bake_stage.asl.yaml")
SUBSTITUTIONS = {name: f"the-{name}" for name in definitions.placeholders(MACHINE)}
ASKED = {"release_id": "r-2", "slot": "green", "rollout_id": "r-2", "version": 2, "extended": False, "held": False}
BUSY = {"Error": "Lambda.TooManyRequestsException", "Cause": "Rate Exceeded."}


def look(action, looks=1, **more):
    answer = {"action": action, "wait_s": 72, "looks": looks, "rest": False, "verdict": "pass", "reason": "because"}
    return {"Payload": answer | more}


def run(*answers):
    return run_machine(MACHINE, input=ASKED, answers={"JudgeStage": list(answers)}, substitutions=SUBSTITUTIONS)


@pytest.mark.parametrize("action", ["next", "roll_back", "extend"])
def test_what_follows_ends_the_child_at_once(action):
    ended = run(look(action))
    assert (ended.status, ended.output["action"], ended.waited_s) == ("SUCCEEDED", action, 0)


def test_it_looks_again_after_the_wait_that_the_door_names_and_the_door_counts():
    ended = run(look("look_again", 1), look("look_again", 2), look("next", 3))
    assert ended.waited_s == 144
    assert [asked["Payload"] for asked in ended.arguments["JudgeStage"]] == [{**ASKED, "looks": n} for n in range(3)]


@pytest.mark.parametrize("action", ["look_again", "hold"])
def test_it_rests_when_the_door_says_so(action):
    ended = run(look(action, 200, rest=True))
    assert (ended.status, ended.output["action"], ended.output["looks"]) == ("SUCCEEDED", action, 200)


def test_a_hold_that_was_told_of_is_looked_at_again():
    assert run(look("hold"), look("next", 2)).output["action"] == "next"


def test_two_hundred_looks_are_a_short_history():
    ended = run(*[look("look_again", n) for n in range(1, 200)], look("look_again", 200, rest=True))
    assert ended.status == "SUCCEEDED"
    assert len(ended.events) < 2500


def test_a_stage_that_another_change_ended_is_lost_and_no_error():
    ended = run({"Error": "StageLost", "Cause": "r-2 has lost its place"})
    assert (ended.status, ended.output) == ("SUCCEEDED", {"action": "lost", "reason": "r-2 has lost its place"})


def test_a_look_that_failed_in_passing_is_made_again():
    throttled = {"Error": "ClientError", "Cause": "ProvisionedThroughputExceededException"}
    assert run(throttled, throttled, throttled, look("next")).output["action"] == "next"


def test_a_look_that_breaks_ends_the_child_with_its_error():
    ended = run({"Error": "BadEvidence", "Cause": "bucket 5 twice"})
    assert (ended.status, ended.error, ended.cause) == ("FAILED", "BadEvidence", "bucket 5 twice")


def test_every_rule_catch_and_retry_is_walked():
    runs = [
        run(look("look_again"), BUSY, look("next", 2)),
        run({"Error": "StageLost", "Cause": "x"}),
        run(*[{"Error": "RuntimeError", "Cause": "x"}] * 4),
    ]
    assert missing_decisions(MACHINE, runs) == []
