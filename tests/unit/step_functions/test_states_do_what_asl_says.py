"""Each kind of state, its variables and its limits, walked by the harness."""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_account.step_functions.harness import UnexpectedAttempt, missing_decisions, run_machine

INVOKE = "arn:aws:states:::lambda:invoke"


def machine(start: str, **states: dict) -> dict:
    return {"QueryLanguage": "JSONata", "StartAt": start, "States": states}


def task(**rest: object) -> dict:
    return {"Type": "Task", "Resource": INVOKE, "TimeoutSeconds": 60} | rest


def test_pass_hands_on_its_input_unless_it_has_an_output():
    definition = machine(
        "A", A={"Type": "Pass", "Next": "B"}, B={"Type": "Pass", "Output": {"was": "{% $states.input %}"}, "End": True}
    )
    run = run_machine(definition, input={"x": 1}, answers={})
    assert (run.path, run.output) == (["A", "B"], {"was": {"x": 1}})


def test_assign_and_output_both_see_the_variables_as_they_were():
    definition = machine(
        "A",
        A={"Type": "Pass", "Assign": {"n": 1}, "Next": "B"},
        B={"Type": "Pass", "Assign": {"n": "{% $n + 1 %}", "m": "{% $n %}"}, "Output": "{% $n %}", "Next": "C"},
        C={"Type": "Succeed", "Output": {"n": "{% $n %}", "m": "{% $m %}", "out": "{% $states.input %}"}},
    )
    assert run_machine(definition, input={}, answers={}).output == {"n": 2, "m": 1, "out": 1}


def test_a_task_takes_arguments_and_gives_its_result_to_assign_and_output():
    definition = machine(
        "A",
        A=task(
            Arguments={"FunctionName": "f", "Payload": "{% $states.input %}"},
            Assign={"kept": "{% $states.result.Payload.a %}"},
            Output="{% $states.result.Payload %}",
            Next="B",
        ),
        B={"Type": "Succeed", "Output": ["{% $kept %}", "{% $states.input.a %}"]},
    )
    run = run_machine(definition, input={"q": 1}, answers={"A": [{"Payload": {"a": 5}}]})
    assert (run.output, run.arguments) == ([5, 5], {"A": [{"FunctionName": "f", "Payload": {"q": 1}}]})


def test_the_first_rule_that_holds_is_taken_with_its_own_output_and_assign():
    definition = machine(
        "C",
        C={
            "Type": "Choice",
            "Choices": [
                {"Condition": "{% $states.input.n > 9 %}", "Next": "Done", "Output": "many"},
                {"Condition": "{% $states.input.n > 4 %}", "Next": "Done", "Assign": {"x": 1}, "Output": "some"},
            ],
            "Default": "Done",
            "Output": "few",
        },
        Done={"Type": "Succeed"},
    )
    runs = [run_machine(definition, input={"n": n}, answers={}) for n in (10, 5, 1)]
    assert [run.output for run in runs] == ["many", "some", "few"]
    assert missing_decisions(definition, runs) == []
    assert missing_decisions(definition, runs[1:]) == [("Choice", "C", "0", True)]


def test_no_rule_and_no_default_is_an_error():
    rule = {"Condition": "{% false %}", "Next": "D"}
    definition = machine("C", C={"Type": "Choice", "Choices": [rule]}, D={"Type": "Succeed"})
    assert run_machine(definition, input={}, answers={}).error == "States.NoChoiceMatched"


@pytest.mark.parametrize("condition", ["{% 'yes' %}", "{% $states.input.none %}", "{% 1 > 'a' %}"])
def test_a_condition_that_is_no_boolean_is_an_evaluation_error(condition):
    choices = [{"Condition": condition, "Next": "D"}]
    definition = machine("C", C={"Type": "Choice", "Choices": choices, "Default": "D"}, D={"Type": "Succeed"})
    assert run_machine(definition, input={}, answers={}).error == "States.QueryEvaluationError"


@pytest.mark.parametrize(
    ("wait", "seconds"),
    [
        ({"Seconds": 90}, 90),
        ({"Seconds": "{% $states.input.s %}"}, 30),
        ({"Timestamp": "2026-11-23T05:00:00Z"}, 3600),
        ({"Timestamp": "{% $states.input.t %}"}, 60),
        ({"Timestamp": "2020-01-01T00:00:00Z"}, 0),
    ],
)
def test_a_wait_passes_at_once_on_the_harness_clock(wait, seconds):
    definition = machine("W", W={"Type": "Wait", **wait, "End": True})
    run = run_machine(definition, input={"s": 30, "t": "2026-11-23T05:01:00+01:00"}, answers={})
    assert (run.status, run.waited_s) == ("SUCCEEDED", seconds)


def test_fail_ends_with_its_error_and_cause():
    definition = machine("F", F={"Type": "Fail", "Error": "Bad", "Cause": "{% 'n=' & $string($states.input.n) %}"})
    run = run_machine(definition, input={"n": 1}, answers={})
    assert (run.status, run.error, run.cause) == ("FAILED", "Bad", "n=1")


def test_branches_read_the_variables_around_them_and_keep_their_own():
    branch = {
        "StartAt": "X",
        "States": {
            "X": {"Type": "Pass", "Assign": {"inner": "{% $outer * 2 %}"}, "Next": "Y"},
            "Y": {"Type": "Succeed", "Output": "{% $inner + $states.input.n %}"},
        },
    }
    other = {"StartAt": "Z", "States": {"Z": {"Type": "Pass", "End": True}}}
    definition = machine(
        "A",
        A={"Type": "Pass", "Assign": {"outer": 5}, "Next": "P"},
        P={
            "Type": "Parallel",
            "Arguments": {"n": 1},
            "Branches": [branch, other],
            "Assign": {"all": "{% $states.result %}"},
            "Next": "End",
        },
        End={"Type": "Succeed", "Output": {"all": "{% $all %}", "seen": "{% $exists($inner) %}"}},
    )
    assert run_machine(definition, input={}, answers={}).output == {"all": [11, {"n": 1}], "seen": False}


def test_a_map_runs_its_processor_for_every_item_in_order():
    definition = machine(
        "M",
        M={
            "Type": "Map",
            "Items": "{% $states.input.list %}",
            "ItemSelector": {
                "i": "{% $states.context.Map.Item.Index %}",
                "v": "{% $states.context.Map.Item.Value %}",
                "all": "{% $count($states.input.list) %}",
            },
            "MaxConcurrency": 2,
            "ItemProcessor": {
                "StartAt": "I",
                "States": {"I": task(Arguments="{% $states.input %}", Output="{% $states.result.r %}", End=True)},
            },
            "End": True,
        },
    )
    run = run_machine(definition, input={"list": ["a", "b", "c"]}, answers={"I": [{"r": n} for n in range(3)]})
    assert run.output == [0, 1, 2]
    assert run.arguments["I"] == [{"i": i, "v": v, "all": 3} for i, v in enumerate("abc")]
    assert [e["type"] for e in run.events if e["type"].startswith("Map")][:3] == [
        "MapStateEntered",
        "MapStateStarted",
        "MapIterationStarted",
    ]


def test_a_map_over_nothing_is_an_empty_list_and_over_an_object_its_entries():
    processor = {
        "StartAt": "I",
        "States": {"I": {"Type": "Pass", "Output": "{% $states.context.Map.Item.Key %}", "End": True}},
    }
    definition = machine("M", M={"Type": "Map", "ItemProcessor": processor, "End": True})
    assert run_machine(definition, input=[], answers={}).output == []
    assert run_machine(definition, input={"x": 1, "y": 2}, answers={}).output == ["x", "y"]


def test_the_context_object_tells_who_runs_what():
    definition = machine(
        "A",
        A=task(
            Arguments={
                "name": "{% $states.context.Execution.Name %}",
                "redrives": "{% $states.context.Execution.RedriveCount %}",
                "retries": "{% $states.context.State.RetryCount %}",
                "state": "{% $states.context.State.Name %}",
                "machine": "{% $states.context.StateMachine.Name %}",
                "input": "{% $states.context.Execution.Input.x %}",
                "start": "{% $states.context.Execution.StartTime %}",
            },
            Retry=[{"ErrorEquals": ["Again"]}],
            End=True,
        ),
    )
    run = run_machine(definition, input={"x": 3}, answers={"A": [{"Error": "Again"}, {}]}, redrives=2)
    wanted = {
        "name": "run",
        "redrives": 2,
        "state": "A",
        "machine": "machine",
        "input": 3,
        "start": "2026-11-23T04:00:00.000Z",
    }
    assert run.arguments["A"] == [wanted | {"retries": 0}, wanted | {"retries": 1}]


def test_a_result_above_the_limit_is_an_error_that_states_all_does_not_catch():
    catch = [{"ErrorEquals": ["States.ALL"], "Next": "C"}]
    definition = machine("A", A=task(Catch=catch, End=True), C={"Type": "Succeed"})
    fits, over = "x" * (262_144 - len('{"r":""}')), "x" * (262_145 - len('{"r":""}'))
    assert run_machine(definition, input={}, answers={"A": [{"r": fits}]}).status == "SUCCEEDED"
    assert run_machine(definition, input={}, answers={"A": [{"r": over}]}).error == "States.DataLimitExceeded"


def test_an_execution_ends_before_its_history_outgrows_the_limit():
    definition = machine("A", A={"Type": "Pass", "Next": "B"}, B={"Type": "Pass", "Next": "A"}, End={"Type": "Succeed"})
    run = run_machine(definition, input=1, answers={})
    assert (run.error, len(run.events)) == ("States.Runtime", 24_999)
    assert "25000" in (run.cause or "")


def test_substitutions_become_what_yaml_reads_in_their_place():
    definition = machine("A", A={"Type": "Pass", "Output": {"n": "${Count}", "s": "x-${Name}"}, "End": True})
    run = run_machine(definition, input={}, answers={}, substitutions={"Count": "5", "Name": "y"})
    assert run.output == {"n": 5, "s": "x-y"}


def test_the_harness_refuses_attempts_and_answers_that_do_not_belong_together():
    definition = machine("A", A=task(End=True))
    with pytest.raises(UnexpectedAttempt, match="attempted 1 times; answers were given for 0"):
        run_machine(definition, input={}, answers={})
    with pytest.raises(UnexpectedAttempt, match="no such Task"):
        run_machine(definition, input={}, answers={"B": [{}]})


def test_history_events_have_the_shape_that_boto3_reads():
    import botocore.session

    shape: Any = botocore.session.get_session().get_service_model("stepfunctions").shape_for("HistoryEvent")
    definition = machine(
        "A",
        A=task(Assign={"x": 1}, Retry=[{"ErrorEquals": ["E"]}], Next="P"),
        P={
            "Type": "Parallel",
            "Branches": [{"StartAt": "W", "States": {"W": {"Type": "Wait", "Seconds": 1, "End": True}}}],
            "Next": "M",
        },
        M={
            "Type": "Map",
            "Items": [1],
            "ItemProcessor": {"StartAt": "I", "States": {"I": {"Type": "Pass", "End": True}}},
            "End": True,
        },
    )
    run = run_machine(definition, input={}, answers={"A": [{"Error": "E", "Cause": "c"}, {}]})
    types = shape.members["type"].enum
    for event in run.events:
        assert event["type"] in types
        for key, value in event.items():
            assert key in shape.members, event
            if isinstance(value, dict):
                assert set(value) <= set(shape.members[key].members), event
    json.dumps(run.events)
