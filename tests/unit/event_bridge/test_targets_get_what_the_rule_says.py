"""InputPath and InputTransformer."""

from __future__ import annotations

import json

import pytest

from local_account.event_bridge.transform import MISSING, look_up, target_input

EVENT = {"id": "e", "detail": {"name": "a", "n": 1, "list": [{"x": 1}, {"x": "q"}], "dash-ed": True, "none": None}}
RULE = "arn:aws:events:us-east-1:123456789012:rule/r"


def shaped(template: str, **paths: str) -> str:
    target = {"InputTransformer": {"InputPathsMap": paths, "InputTemplate": template}}
    return target_input(target, EVENT, RULE, 0.0)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("$", EVENT),
        ("$.detail.name", "a"),
        ("$.detail.list[1].x", "q"),
        ("$.detail.dash-ed", True),
        ("$.detail['dash-ed']", True),
        ("$.detail.none", None),
        ("$.detail.list[2]", MISSING),
        ("$.detail.name.x", MISSING),
    ],
)
def test_a_path_finds_its_value(path, value):
    assert look_up(EVENT, path) == value


@pytest.mark.parametrize("path", ["detail", "$..x", "$.detail.list[*]"])
def test_what_is_no_path_is_refused(path):
    with pytest.raises(ValueError, match=r"\$"):
        look_up(EVENT, path)


def test_a_value_stands_free_as_json_and_inside_quotes_as_text():
    text = shaped(
        '{"free": <n>, "text": "n=<n>", "name": <name>, "all": <list>}',
        n="$.detail.n",
        name="$.detail.name",
        list="$.detail.list",
    )
    assert json.loads(text) == {"free": 1, "text": "n=1", "name": "a", "all": [{"x": 1}, {"x": "q"}]}


def test_text_in_a_json_string_is_escaped():
    event = {"id": "e", "detail": {"s": 'line\n"two"'}}
    transformer = {"InputPathsMap": {"s": "$.detail.s"}, "InputTemplate": '{"s": "<s>"}'}
    assert json.loads(target_input({"InputTransformer": transformer}, event, RULE, 0.0)) == {"s": 'line\n"two"'}


def test_the_names_that_eventbridge_gives_itself():
    text = shaped('{"rule": <aws.events.rule-name>, "arn": "<aws.events.rule-arn>", "event": <aws.events.event.json>}')
    assert json.loads(text) == {"rule": "r", "arn": RULE, "event": EVENT}


def test_a_name_that_is_not_declared_stays_as_it_is():
    assert shaped("<b>bold</b> <n>", n="$.detail.n") == "<b>bold</b> 1"


def test_without_any_of_them_the_whole_event_is_sent():
    assert json.loads(target_input({}, EVENT, RULE, 0.0)) == EVENT
    assert target_input({"Input": "[1]"}, EVENT, RULE, 0.0) == "[1]"
    assert target_input({"InputPath": "$.detail.n"}, EVENT, RULE, 0.0) == "1"
