"""Retry and Catch: who answers which error, how often, after how long, and what follows."""

from __future__ import annotations

import pytest

from local_account.step_functions.errors import matches
from local_account.step_functions.harness import run_machine

CAUGHT = {"Type": "Succeed", "Output": {"failure": "{% $states.input %}"}}


def machine(retry: list | None = None, catch: list | None = None) -> dict:
    task = {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "TimeoutSeconds": 60, "End": True}
    task |= {"Retry": retry or [], "Catch": catch or []}
    return {"QueryLanguage": "JSONata", "StartAt": "T", "States": {"T": task, "Caught": CAUGHT}}


@pytest.mark.parametrize(
    ("names", "error", "answered"),
    [
        (["States.ALL"], "Anything", True),
        (["States.ALL"], "States.Timeout", True),
        (["States.ALL"], "States.QueryEvaluationError", True),
        (["States.ALL"], "States.DataLimitExceeded", False),
        (["States.DataLimitExceeded"], "States.DataLimitExceeded", True),
        (["States.ALL"], "States.Runtime", False),
        (["States.Runtime"], "States.Runtime", False),
        (["States.TaskFailed"], "Lambda.Unknown", True),
        (["States.TaskFailed"], "States.Timeout", False),
        (["States.TaskFailed"], "States.HeartbeatTimeout", False),
        (["States.TaskFailed"], "States.DataLimitExceeded", False),
        (["States.TaskFailed"], "States.Runtime", False),
        (["States.Timeout"], "States.HeartbeatTimeout", True),
        (["States.HeartbeatTimeout"], "States.Timeout", False),
        (["Mine", "Other"], "Other", True),
        (["Mine"], "mine", False),
    ],
)
def test_error_equals_answers_what_asl_says(names, error, answered):
    assert matches(names, error) is answered


@pytest.mark.parametrize(
    ("retrier", "waited"),
    [
        ({}, 1 + 2 + 4),
        ({"IntervalSeconds": 10, "BackoffRate": 1}, 30),
        ({"IntervalSeconds": 10, "BackoffRate": 3, "MaxDelaySeconds": 20}, 10 + 20 + 20),
    ],
)
def test_delays_grow_by_the_backoff_rate_up_to_the_longest(retrier, waited):
    answers = {"T": [{"Error": "E"}] * 3 + [{"ok": True}]}
    run = run_machine(machine([{"ErrorEquals": ["E"], **retrier}]), input={}, answers=answers)
    assert (run.status, run.waited_s) == ("SUCCEEDED", waited)


def test_full_jitter_waits_anything_up_to_the_delay():
    retrier = {"ErrorEquals": ["E"], "IntervalSeconds": 100, "MaxAttempts": 1, "JitterStrategy": "FULL"}
    answers = {"T": [{"Error": "E"}, {}]}
    waits = [run_machine(machine([retrier]), input={}, answers=answers, seed=seed).waited_s for seed in range(50)]
    assert all(0 <= wait <= 100 for wait in waits)
    assert min(waits) < 20 < 80 < max(waits)


def test_each_retrier_counts_for_itself_and_the_last_error_stands():
    retriers = [{"ErrorEquals": ["A"], "MaxAttempts": 1}, {"ErrorEquals": ["States.ALL"], "MaxAttempts": 2}]
    answers = {"T": [{"Error": "A"}, {"Error": "B"}, {"Error": "B"}, {"Error": "A", "Cause": "again"}]}
    run = run_machine(machine(retriers), input={}, answers=answers)
    assert (run.error, run.cause, len(run.arguments["T"])) == ("A", "again", 4)


def test_no_attempts_means_straight_to_the_catch():
    retriers = [{"ErrorEquals": ["E"], "MaxAttempts": 0}]
    run = run_machine(
        machine(retriers, [{"ErrorEquals": ["E"], "Next": "Caught"}]),
        input={},
        answers={"T": [{"Error": "E", "Cause": "c"}]},
    )
    assert run.output == {"failure": {"Error": "E", "Cause": "c"}}


def test_the_first_catcher_that_answers_is_taken_with_its_assign_and_output():
    catchers = [
        {"ErrorEquals": ["Other"], "Next": "Caught"},
        {
            "ErrorEquals": ["States.TaskFailed"],
            "Assign": {"why": "{% $states.errorOutput.Error %}"},
            "Output": {"cause": "{% $states.errorOutput.Cause %}", "was": "{% $states.input %}"},
            "Next": "Caught",
        },
    ]
    run = run_machine(machine(catch=catchers), input={"i": 1}, answers={"T": [{"Error": "E", "Cause": "c"}]})
    assert run.output == {"failure": {"cause": "c", "was": {"i": 1}}}
    assert run.caught == [("T", "1")]


def test_an_error_nobody_answers_ends_the_execution():
    run = run_machine(
        machine(catch=[{"ErrorEquals": ["Other"], "Next": "Caught"}]),
        input={},
        answers={"T": [{"Error": "E", "Cause": "c"}]},
    )
    assert (run.status, run.error, run.cause) == ("FAILED", "E", "c")


def test_a_result_that_cannot_be_evaluated_is_caught_like_any_error():
    definition = machine(catch=[{"ErrorEquals": ["States.QueryEvaluationError"], "Next": "Caught"}])
    definition["States"]["T"]["Output"] = "{% $states.result.missing %}"
    run = run_machine(definition, input={}, answers={"T": [{}]})
    assert run.output["failure"]["Error"] == "States.QueryEvaluationError"
    assert "EvaluationFailed" in [event["type"] for event in run.events]


def test_a_failing_branch_fails_its_parallel_with_its_own_error():
    branch = {"StartAt": "F", "States": {"F": {"Type": "Fail", "Error": "Inner", "Cause": "c"}}}
    parallel = {"Type": "Parallel", "Branches": [branch], "End": True}
    parallel |= {"Catch": [{"ErrorEquals": ["Inner"], "Next": "Caught"}]}
    definition = {"QueryLanguage": "JSONata", "StartAt": "P", "States": {"P": parallel, "Caught": CAUGHT}}
    assert run_machine(definition, input={}, answers={}).output == {"failure": {"Error": "Inner", "Cause": "c"}}


def test_a_parallel_that_is_tried_again_runs_all_its_branches_anew():
    one = {
        "StartAt": "One",
        "States": {"One": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}},
    }
    two = {
        "StartAt": "Two",
        "States": {"Two": {"Type": "Task", "Resource": "arn:aws:states:::lambda:invoke", "End": True}},
    }
    parallel = {"Type": "Parallel", "Branches": [one, two], "Retry": [{"ErrorEquals": ["E"]}], "End": True}
    definition = {"QueryLanguage": "JSONata", "StartAt": "P", "States": {"P": parallel}}
    run = run_machine(definition, input={}, answers={"One": [1, 2], "Two": [{"Error": "E"}, 3]})
    assert run.output == [2, 3]
