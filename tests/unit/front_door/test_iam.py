"""Policy evaluation as the IAM User Guide tells it."""

from __future__ import annotations

from typing import Any

import pytest

from local_account.front_door.iam import Decision, Demand, decide, statements_of

GET = Demand("s3:GetObject", "arn:aws:s3:::bucket/a/b.txt", {"s3:prefix": "a/", "aws:securetransport": "true"})


def decided(*statements: dict[str, Any], demand: Demand = GET) -> Decision:
    whole = [{"Effect": "Allow", "Action": "*", "Resource": "*", **statement} for statement in statements]
    for statement in whole:
        for name in ("Action", "Resource"):
            if f"Not{name}" in statement:
                del statement[name]
    return decide(statements_of({"Statement": whole}), demand)


def test_nothing_is_allowed_by_default_and_a_deny_wins() -> None:
    assert decided() == "implicit deny"
    assert decided({}) == "allow"
    assert decided({}, {"Effect": "Deny", "Action": "s3:Get*"}) == "explicit deny"
    assert decided({"Effect": "Deny", "Action": "s3:Put*"}) == "implicit deny"


@pytest.mark.parametrize(
    ("statement", "allowed"),
    [
        pytest.param({"Action": "S3:getobject"}, True, id="actions know no case"),
        pytest.param({"Action": ["s3:Put*", "s3:G?tObject"]}, True, id="one of a list, with both wildcards"),
        pytest.param({"Action": "s3:Get"}, False, id="a pattern is the whole action"),
        pytest.param({"Resource": "arn:aws:s3:::bucket/*"}, True, id="a star reaches over slashes"),
        pytest.param({"Resource": "arn:aws:s3:::bucket"}, False, id="a bucket is not its objects"),
        pytest.param({"Resource": "arn:aws:s3:::Bucket/*"}, False, id="resources know case"),
        pytest.param({"Resource": "arn:aws:s3:::bucket/a/b?txt"}, True, id="a question mark is one character"),
        pytest.param({"Resource": "arn:aws:s3:::bucket/a/b.t[x]t"}, False, id="brackets are no wildcard"),
        pytest.param({"NotAction": "s3:Get*"}, False, id="NotAction excludes"),
        pytest.param({"NotAction": "iam:*"}, True, id="NotAction lets the others through"),
        pytest.param({"NotResource": "arn:aws:s3:::bucket/*"}, False, id="NotResource excludes"),
        pytest.param({"NotResource": "arn:aws:s3:::other/*"}, True, id="NotResource lets the others through"),
    ],
)
def test_actions_and_resources_are_patterns(statement: dict[str, Any], allowed: bool) -> None:
    assert (decided(statement) == "allow") == allowed


@pytest.mark.parametrize(
    ("condition", "context", "allowed"),
    [
        ({"StringEquals": {"k": ["a", "b"]}}, {"k": "b"}, True),
        ({"StringEquals": {"K": "a"}}, {"k": "a"}, True),
        ({"StringEquals": {"k": "a"}}, {"k": "A"}, False),
        ({"StringEqualsIgnoreCase": {"k": "a"}}, {"k": "A"}, True),
        ({"StringEquals": {"k": "a"}}, {}, False),
        ({"StringEqualsIfExists": {"k": "a"}}, {}, True),
        ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": "c"}, True),
        ({"StringNotEquals": {"k": ["a", "b"]}}, {"k": "b"}, False),
        ({"StringNotEquals": {"k": "a"}}, {}, True),
        ({"StringLike": {"k": "home/*"}}, {"k": "home/me/x"}, True),
        ({"StringLike": {"k": "home/*"}}, {"k": "office"}, False),
        ({"StringNotLike": {"k": "home/*"}}, {"k": "office"}, True),
        ({"ArnLike": {"k": "arn:aws:iam::*:role/x-*"}}, {"k": "arn:aws:iam::1:role/x-y"}, True),
        ({"ArnLike": {"k": "arn:aws:*:role/x"}}, {"k": "arn:aws:iam::1:role/x"}, False),
        ({"ArnEquals": {"k": "arn:aws:sns:us-east-1:1:t"}}, {"k": "arn:aws:sns:us-east-1:1:t"}, True),
        ({"Bool": {"k": "false"}}, {"k": "true"}, False),
        ({"Bool": {"k": True}}, {"k": "true"}, True),
        ({"Null": {"k": "true"}}, {}, True),
        ({"Null": {"k": "false"}}, {}, False),
        ({"NumericLessThanEquals": {"k": "10"}}, {"k": "10"}, True),
        ({"NumericGreaterThan": {"k": "10"}}, {"k": "10"}, False),
        ({"DateLessThan": {"k": "2030-01-01T00:00:00+00:00"}}, {"k": "2026-01-01T00:00:00+00:00"}, True),
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ["a", "b", "a"]}, True),
        ({"ForAllValues:StringEquals": {"k": ["a", "b"]}}, {"k": ["a", "c"]}, False),
        ({"ForAllValues:StringEquals": {"k": "a"}}, {}, True),
        ({"ForAnyValue:StringLike": {"k": "a*"}}, {"k": ["b", "ab"]}, True),
        ({"ForAnyValue:StringLike": {"k": "a*"}}, {"k": ["b"]}, False),
        ({"ForAnyValue:StringLike": {"k": "a*"}}, {}, False),
        ({"StringEquals": {"k": "a"}, "Bool": {"b": "true"}}, {"k": "a", "b": "false"}, False),
        ({"StringEquals": {"k": "a", "l": "b"}}, {"k": "a", "l": "b"}, True),
    ],
    ids=str,
)
def test_conditions_hold_as_aws_says(condition: dict[str, Any], context: dict[str, Any], allowed: bool) -> None:
    demand = Demand("s3:GetObject", "*", context)
    assert (decided({"Condition": condition}, demand=demand) == "allow") == allowed


def test_an_operator_nobody_knows_closes_and_never_opens() -> None:
    condition = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    assert decided({"Condition": condition}) == "implicit deny"
    assert decided({}, {"Effect": "Deny", "Condition": condition}) == "explicit deny"


def test_a_document_may_hold_one_statement_without_a_list() -> None:
    document = {"Statement": {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}}
    assert decide(statements_of(document), GET) == "allow"
