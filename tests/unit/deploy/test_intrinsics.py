"""CloudFormation's intrinsic functions."""

from __future__ import annotations

import pytest

from local_account.deploy.intrinsics import Resolver, TemplateError, references

TEMPLATE = {
    "Conditions": {
        "IsProd": {"Fn::Equals": [{"Ref": "Stage"}, "prod"]},
        "IsDev": {"Fn::Not": [{"Condition": "IsProd"}]},
        "Both": {"Fn::And": [{"Condition": "IsProd"}, {"Condition": "IsDev"}]},
        "Either": {"Fn::Or": [{"Condition": "IsProd"}, {"Condition": "IsDev"}]},
    },
    "Mappings": {"Sizes": {"prod": {"nodes": 3}}},
}


@pytest.fixture
def resolver():
    return Resolver(TEMPLATE, {"Stage": "prod", "Bucket": "b-1"}, {("Bucket", "Arn"): "arn:aws:s3:::b-1"})


@pytest.mark.parametrize(
    ("written", "means"),
    [
        ({"Ref": "Bucket"}, "b-1"),
        ({"Fn::GetAtt": ["Bucket", "Arn"]}, "arn:aws:s3:::b-1"),
        ({"Fn::GetAtt": "Bucket.Arn"}, "arn:aws:s3:::b-1"),
        ({"Fn::Sub": "${Bucket.Arn}/x/${Stage}"}, "arn:aws:s3:::b-1/x/prod"),
        ({"Fn::Sub": ["${Own}-${Stage}", {"Own": {"Ref": "Bucket"}}]}, "b-1-prod"),
        ({"Fn::Sub": "!{timestamp:HH} ${!Literal}"}, "!{timestamp:HH} ${Literal}"),
        ({"Fn::Join": ["_", {"Fn::Split": ["-", {"Ref": "Bucket"}]}]}, "b_1"),
        ({"Fn::Select": [1, ["a", "b"]]}, "b"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "Stage"}, "nodes"]}, 3),
        ({"Fn::If": ["IsProd", "yes", {"Ref": "NotThere"}]}, "yes"),
        ([{"Fn::If": ["IsDev", "dev", {"Ref": "AWS::NoValue"}]}, "all"], ["all"]),
        ({"A": {"Ref": "AWS::NoValue"}, "B": 1}, {"B": 1}),
    ],
)
def test_an_intrinsic_means_what_cloudformation_says(resolver, written, means):
    assert resolver.resolve(written) == means


@pytest.mark.parametrize(
    ("condition", "holds"), [("IsProd", True), ("IsDev", False), ("Both", False), ("Either", True)]
)
def test_conditions(resolver, condition, holds):
    assert resolver.holds(condition) is holds


@pytest.mark.parametrize(
    ("written", "names"),
    [
        ({"Ref": "Gone"}, "Gone"),
        ({"Fn::GetAtt": ["Bucket", "Colour"]}, "Bucket.Colour"),
        ({"Fn::FindInMap": ["Sizes", "dev", "nodes"]}, "Sizes.dev.nodes"),
    ],
)
def test_what_cannot_be_resolved_is_named(resolver, written, names):
    with pytest.raises(TemplateError, match=names.replace(".", r"\.")):
        resolver.resolve(written)


def test_references_are_found_wherever_they_stand():
    tree = {
        "A": [{"Ref": "One"}, {"Fn::Sub": "${Two.Arn} ${!Not}"}],
        "B": {"Fn::GetAtt": ["Three", "Arn"]},
        "C": {"Fn::Sub": ["${X}", {"X": {"Ref": "Four"}}]},
    }
    assert {"One", "Two", "Three", "Four"} <= set(references(tree))
    assert "!Not" not in set(references(tree))
