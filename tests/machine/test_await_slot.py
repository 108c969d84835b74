"""The await_slot machine by named paths: polls while an endpoint changes, ends when it is in service or elsewhere."""

from __future__ import annotations

from pathlib import Path

import pytest

from local_account.step_functions import definition as definitions
from local_account.step_functions.harness import missing_decisions, run_machine

ROOT = Path(__file__).parents[2]
MACHINE = definitions.load(ROOT / "state_machines" / "await_slot.asl.yaml")
SUBSTITUTIONS = {name: f"the-{name}" for name in definitions.placeholders(MACHINE)}
ASKED = {"endpoints": [{"endpoint": "e", "config": "c", "counts": {"green": 2}}]}
NOT_READY = {"Error": "NotReady", "Cause": "endpoint e is Updating and is not ready yet"}
BUSY = {"Error": "Lambda.TooManyRequestsException", "Cause": "Rate Exceeded."}
THERE = {"Payload": {"in_service": ["e"]}}


def run(*answers):
    return run_machine(MACHINE, input=ASKED, answers={"IsSlotInService": list(answers)}, substitutions=SUBSTITUTIONS)


def test_endpoints_are_polled_until_they_serve_what_was_asked_for():
    waiting = run(*[NOT_READY] * 120, THERE)
    assert (waiting.status, waiting.output) == ("SUCCEEDED", {"in_service": ["e"]})
    assert waiting.arguments["IsSlotInService"][0]["Payload"] == ASKED


def test_a_child_has_two_hundred_polls_in_little_more_than_an_hour_and_a_short_history():
    waiting = run(*[NOT_READY] * 200)
    assert (waiting.status, waiting.error) == ("FAILED", "NotReady")
    assert waiting.waited_s < MACHINE["TimeoutSeconds"]
    assert len(waiting.events) < 1000


@pytest.mark.parametrize("error", ["SlotChanged", "RuntimeError"])
def test_an_endpoint_that_came_to_rest_elsewhere_is_not_polled_on(error):
    ended = run({"Error": error, "Cause": "endpoint e is InService with c-old (ping failed)"})
    assert (ended.status, ended.error, ended.cause) == (
        "FAILED",
        error,
        "endpoint e is InService with c-old (ping failed)",
    )
    assert len(ended.arguments["IsSlotInService"]) == 1


def test_every_rule_catch_and_retry_is_walked():
    runs = [run(NOT_READY, THERE), run(BUSY, THERE), run({"Error": "SlotChanged", "Cause": "x"})]
    assert missing_decisions(MACHINE, runs) == []
