"""What is wrong with a machine is said before it runs, with the place."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

import pytest

from local_account.step_functions.definition import MissingSubstitution, load, parse_text, placeholders, substitute
from local_account.step_functions.definition_check import check, refusals

GOOD: dict[str, Any] = {
    "QueryLanguage": "JSONata",
    "StartAt": "Ask",
    "States": {
        "Ask": {
            "Type": "Task",
            "Resource": "arn:aws:states:::lambda:invoke",
            "Arguments": {"FunctionName": "${AskFunctionArn}"},
            "Assign": {"answer": "{% $states.result.Payload %}"},
            "TimeoutSeconds": 60,
            "Retry": [{"ErrorEquals": ["Lambda.TooManyRequestsException"], "MaxAttempts": 2, "JitterStrategy": "FULL"}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Failed"}],
            "Next": "IsYes",
        },
        "IsYes": {
            "Type": "Choice",
            "Choices": [{"Condition": "{% $answer.yes %}", "Next": "Each"}],
            "Default": "Failed",
        },
        "Each": {
            "Type": "Map",
            "Items": "{% $map($answer.list, function($v) { $v * 2 }) %}",
            "ItemProcessor": {
                "StartAt": "One",
                "States": {"One": {"Type": "Pass", "Output": "{% $answer & $uuid() %}", "End": True}},
            },
            "Next": "Done",
        },
        "Done": {"Type": "Succeed"},
        "Failed": {"Type": "Fail", "Error": "Failed"},
    },
}


def test_a_whole_machine_has_no_problems():
    assert check(GOOD, substitutions=["AskFunctionArn"]) == []


def changed(path: str, value: Any) -> dict[str, Any]:
    """GOOD with one place set, or removed where the value is ...; the path's steps are keys or list places."""
    machine = deepcopy(GOOD)
    *way, last = path.split("/")
    place: Any = machine
    for step in way:
        place = place[int(step)] if isinstance(place, list) else place[step]
    if value is ...:
        del place[last]
    else:
        place[int(last) if isinstance(place, list) else last] = value
    return machine


SDK = "arn:aws:states:::aws-sdk:dynamodb:putItem"


@pytest.mark.parametrize(
    ("path", "value", "code", "where"),
    [
        ("StartAt", "Nope", "MISSING_TRANSITION_TARGET", "/StartAt"),
        ("States/Ask/Next", "Nope", "MISSING_TRANSITION_TARGET", "/States/Ask/Next"),
        ("States/IsYes/Default", "Nope", "MISSING_TRANSITION_TARGET", "/States/IsYes/Default"),
        ("States/Ask/Catch/0/Next", "Nope", "MISSING_TRANSITION_TARGET", "/States/Ask/Catch[0]/Next"),
        ("States/Alone", {"Type": "Succeed"}, "UNREACHABLE_STATE", "/States/Alone"),
        ("States/Ask/TimeoutSeconds", ..., "MISSING_TIMEOUT", "/States/Ask"),
        ("States/Ask/End", True, "MISSING_TRANSITION", "/States/Ask"),
        ("States/Ask/ResultPath", "$", "INVALID_FIELD", "/States/Ask/ResultPath"),
        ("States/Ask/Type", "Activity", "INVALID_STATE_TYPE", "/States/Ask/Type"),
        ("States/Ask/Resource", "arn:aws:states:::x:y", "INVALID_RESOURCE", "/States/Ask/Resource"),
        ("States/Ask/Resource", SDK, "INVALID_ARGUMENTS", "/States/Ask/Arguments"),
        ("States/Ask/Assign", {"answer": "{% 1 + %}"}, "INVALID_JSONATA_EXPRESSION", "/States/Ask/Assign/answer"),
        ("States/Ask/Comment", "{% no expression", None, ""),
        ("States/IsYes/Choices/0/Condition", "{% $anwser.yes %}", "UNKNOWN_VARIABLE", "/States/IsYes/Choices[0]/Condition"),
        ("States/IsYes/Choices/0/Condition", "{% $eval('1') %}", "UNKNOWN_VARIABLE", "/States/IsYes/Choices[0]/Condition"),
        ("States/IsYes/Choices/0/Condition", "{% true", "INVALID_JSONATA_EXPRESSION", "/States/IsYes/Choices[0]/Condition"),
        ("States/IsYes/Choices", [], "MISSING_CHOICES", "/States/IsYes/Choices"),
        ("States/IsYes/Choices/0/Variable", "$.x", "INVALID_CHOICE_RULE", "/States/IsYes/Choices[0]"),
        ("States/Ask/Retry/0/ErrorEquals", ["States.ALL", "X"], "INVALID_ERROR_EQUALS", "/States/Ask/Retry[0]"),
        ("States/Ask/Retry/0/ErrorEquals", ["SageMaker.NoSuchThing"], "UNKNOWN_ERROR", "/States/Ask/Retry[0]"),
        ("States/Ask/Retry/0/BackoffRate", 0.5, "INVALID_RETRY", "/States/Ask/Retry[0]/BackoffRate"),
        ("States/Ask/Retry/0/IntervalSeconds", 0, "INVALID_RETRY", "/States/Ask/Retry[0]/IntervalSeconds"),
        ("States/Ask/Retry/0/MaxDelaySeconds", 1, "INVALID_RETRY", "/States/Ask/Retry[0]/MaxDelaySeconds"),
        ("States/Ask/Retry/0/JitterStrategy", "HALF", "INVALID_RETRY", "/States/Ask/Retry[0]/JitterStrategy"),
        ("States/Ask/HeartbeatSeconds", 60, "INVALID_HEARTBEAT", "/States/Ask/HeartbeatSeconds"),
        ("States/Ask/QueryLanguage", "JSONPath", "UNSUPPORTED_QUERY_LANGUAGE", "/States/Ask"),
        ("States/Each/ItemProcessor/States/One/Assign", {"answer": 1}, "INVALID_ASSIGN", "/States/Each/ItemProcessor"),
        ("States/Each/ItemProcessor/StartAt", "Nope", "MISSING_TRANSITION_TARGET", "/States/Each/ItemProcessor/StartAt"),
        ("States/Each/ItemProcessor/States/Ask", {"Type": "Succeed"}, "DUPLICATE_STATE_NAME", "/States/Each/ItemProcessor/States/Ask"),
        ("States/Each/ItemProcessor/ProcessorConfig", {"Mode": "DISTRIBUTED"}, "UNSUPPORTED_MODE", "/States/Each/ItemProcessor"),
        ("States/Done", {"Type": "Wait", "End": True}, "INVALID_WAIT", "/States/Done"),
        ("States", {}, "SCHEMA_VALIDATION_FAILED", ""),
    ],
)  # fmt: skip
def test_each_fault_is_found_at_its_place(path, value, code, where):
    found = {(problem.code, problem.location) for problem in check(changed(path, value))}
    assert ((code, where) in found) if code else found == set()


def test_substitutions_are_all_given_and_all_used():
    found = [str(problem) for problem in check(GOOD, substitutions=["Other"])]
    assert found == [
        "/: ${AskFunctionArn} has no value (MISSING_SUBSTITUTION)",
        "/: Other is given and never used (UNUSED_SUBSTITUTION)",
    ]


def test_an_error_of_our_own_is_known_when_it_is_named():
    machine = changed("States/Ask/Retry/0/ErrorEquals", ["LeaseHeld"])
    assert [p.code for p in check(machine)] == ["UNKNOWN_ERROR"]
    assert check(machine, known_errors=["LeaseHeld"]) == []
    assert refusals(machine) == [], "AWS takes any name"


def test_a_file_is_read_as_cloudformation_does_names_first_then_yaml(tmp_path):
    file = tmp_path / "m.asl.yaml"
    file.write_text(
        'States:\n  W: { Type: Wait, Seconds: ${Bake}, Timestamp: 2026-11-23T04:00:00Z, Text: "${Bake}" }\n'
    )
    state = load(file, {"Bake": "60"})["States"]["W"]
    assert (state["Seconds"], state["Text"], state["Timestamp"]) == (60, "60", "2026-11-23T04:00:00Z")
    with pytest.raises(MissingSubstitution, match="Bake"):
        load(file, {})
    assert placeholders({"x": ["${A}", {"y": "b-${B}"}]}) == {"A", "B"}
    assert substitute({"x": "${A}", "y": "${A}s"}, {"A": "7"}) == {"x": 7, "y": "7s"}
    with pytest.raises(ValueError, match="object"):
        parse_text("[1]")
