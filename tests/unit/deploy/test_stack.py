"""A stack: dependencies first, twice is once, and what is not played is refused before anything is touched."""

from __future__ import annotations

from typing import Any

import pytest

from local_account.deploy import stack as stacks
from local_account.deploy.intrinsics import TemplateError
from local_account.deploy.resources.kind import Deployed, Made, kind
from local_account.deploy.stack import Stack, in_order
from local_account.records import Records


@pytest.fixture
def put() -> list[tuple[str, dict[str, Any]]]:
    """What was made, in order."""
    return []


@pytest.fixture
def stack(tmp_path, monkeypatch, put):
    def make(it: Deployed, properties: dict[str, Any]) -> Made:
        put.append((it.logical_id, properties))
        return Made(it.logical_id.lower(), {"Arn": f"arn:{it.logical_id.lower()}"})

    monkeypatch.setattr(
        stacks,
        "KINDS",
        {"Thing": kind(make, "Needs Size", silent="Colour"), "Rock": kind(make, "Size", replaceable=False)},
    )
    records = Records(tmp_path / "stacks.sqlite")
    yield Stack("s", records, lambda _service: None)
    records.close()


def template(size: str = "1", **resources: Any) -> dict[str, Any]:
    things = {
        "Last": {"Type": "Thing", "Properties": {"Needs": {"Fn::GetAtt": ["First", "Arn"]}}},
        "First": {"Type": "Thing", "Properties": {"Size": size, "Colour": "red"}},
    }
    return {"Resources": things | resources, "Outputs": {"Out": {"Value": {"Ref": "Last"}}}}


def deploy(stack: Stack, wanted: dict[str, Any], **parameters: str) -> list[tuple[str, str]]:
    told: list[tuple[str, str]] = []
    stack.deploy(wanted, parameters, lambda progress: told.append((progress.logical_id, progress.action)))
    return told


def test_what_is_needed_comes_first_and_its_attributes_arrive(stack, put):
    deploy(stack, template())
    assert [name for name, _ in put] == ["First", "Last"]
    assert put[1][1] == {"Needs": "arn:first"}
    assert stack.outputs() == {"Out": "last"}


def test_deploying_twice_makes_nothing_twice(stack, put):
    deploy(stack, template())
    assert deploy(stack, template()) == [("First", "kept"), ("Last", "kept")]
    assert len(put) == 2


def test_only_what_changed_is_touched(stack, put):
    deploy(stack, template())
    assert deploy(stack, template(size="2")) == [("First", "updated"), ("Last", "kept")]


def test_what_left_the_template_leaves_the_stack(stack):
    deploy(stack, template(Extra={"Type": "Thing", "Properties": {}}))
    assert ("Extra", "removed") in deploy(stack, template())
    assert set(stack.resources()) == {"First", "Last"}


@pytest.mark.parametrize(
    ("resource", "names"),
    [
        ({"Type": "AWS::Unheard::Of"}, "AWS::Unheard::Of"),
        ({"Type": "Thing", "Properties": {"Weight": 3}}, "Weight"),
        ({"Type": "Thing", "Properties": {"Needs": {"Ref": "Gone"}}}, "Gone"),
    ],
)
def test_what_is_not_played_is_an_error_with_its_name(stack, resource, names):
    with pytest.raises(TemplateError, match=names):
        deploy(stack, template(Odd=resource))


def test_a_resource_that_cannot_be_changed_in_place_says_so(stack):
    deploy(stack, template(Rock={"Type": "Rock", "Properties": {"Size": 1}}))
    with pytest.raises(TemplateError, match="cannot be changed in place"):
        deploy(stack, template(Rock={"Type": "Rock", "Properties": {"Size": 2}}))


def test_a_parameter_is_checked_before_anything_is_made(stack, put):
    declared = {"Stage": {"Type": "String", "AllowedValues": ["dev", "prod"]}}
    for given in ({}, {"Stage": "moon"}, {"Stage": "dev", "Colour": "red"}):
        with pytest.raises(TemplateError, match="parameter"):
            deploy(stack, {**template(), "Parameters": declared}, **given)
    assert put == []


def test_a_circle_is_told():
    with pytest.raises(TemplateError, match="A -> B -> A"):
        in_order({"A": {"Type": "T", "Properties": {"x": {"Ref": "B"}}}, "B": {"Type": "T", "DependsOn": "A"}})
