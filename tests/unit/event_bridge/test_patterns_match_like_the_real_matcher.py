"""Every answer of Amazon's own matcher, and cases of our own that need no shared data."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from local_account.event_bridge.pattern import InvalidPattern, Pattern

ORACLE = Path(__file__).parents[4] / "shared" / "oracles" / "event_patterns.jsonl"


@pytest.mark.shared
@pytest.mark.skipif(not ORACLE.exists(), reason="../shared/oracles is absent")
def test_every_line_of_the_oracle_is_answered_as_the_real_matcher_did():
    wrong = []
    for number, line in enumerate(ORACLE.read_text().splitlines(), 1):
        row = json.loads(line)
        try:
            answer, reason = Pattern(row["pattern"]).matches(row["event"]), None
        except InvalidPattern as refused:
            answer, reason = None, str(refused)
        if (answer, reason) != (row["matches"], row.get("error")):
            wrong.append((number, row["pattern"], row["matches"], answer, reason))
    assert wrong == []


CASES = [
    # exact values
    ({"a": ["x"]}, {"a": "x"}, True),
    ({"a": ["x"]}, {"a": "X"}, False),
    ({"a": ["x", "y"]}, {"a": "y"}, True),
    ({"a": [1]}, {"a": 1.0}, True),
    ({"a": [1]}, {"a": "1"}, False),
    ({"a": [1]}, {"a": True}, False),
    ({"a": [None]}, {"a": None}, True),
    ({"a": [None]}, {}, False),
    ({"a": [False]}, {"a": False}, True),
    ({"a": [False]}, {"a": 0}, False),
    ({"a": ["x"]}, {"a": ["w", "x"]}, True),
    ({"a": ["x"]}, {"a": []}, False),
    ({"a": {"b": ["x"]}}, {"a": {"b": "x"}}, True),
    ({"a": {"b": ["x"]}}, {"a": "x"}, False),
    ({"a": ["x"], "b": ["y"]}, {"a": "x", "b": "z"}, False),
    # presence
    ({"a": [{"exists": True}]}, {"a": None}, True),
    ({"a": [{"exists": True}]}, {"a": {"b": 1}}, False),
    ({"a": [{"exists": False}]}, {"b": 1}, True),
    ({"a": [{"exists": False}]}, {"a": 1}, False),
    ({"a": [{"exists": False}, "x"]}, {"a": "x"}, True),
    ({"a": [{"exists": False}, "x"]}, {"a": "y"}, False),
    # text
    ({"a": [{"prefix": "ab"}]}, {"a": "abc"}, True),
    ({"a": [{"prefix": "ab"}]}, {"a": "cab"}, False),
    ({"a": [{"prefix": ""}]}, {"a": ""}, True),
    ({"a": [{"prefix": {"equals-ignore-case": "AB"}}]}, {"a": "abc"}, True),
    ({"a": [{"suffix": "bc"}]}, {"a": "abc"}, True),
    ({"a": [{"suffix": "bc"}]}, {"a": "bcd"}, False),
    ({"a": [{"suffix": {"equals-ignore-case": ".PNG"}}]}, {"a": "x.png"}, True),
    ({"a": [{"equals-ignore-case": "ALARM"}]}, {"a": "Alarm"}, True),
    ({"a": [{"equals-ignore-case": "ALARM"}]}, {"a": "alarms"}, False),
    ({"a": [{"wildcard": "a*c"}]}, {"a": "abbc"}, True),
    ({"a": [{"wildcard": "a*c"}]}, {"a": "ac"}, True),
    ({"a": [{"wildcard": "a*c"}]}, {"a": "acd"}, False),
    ({"a": [{"wildcard": "aba*aba"}]}, {"a": "aba"}, False),
    ({"a": [{"wildcard": "*x*y*"}]}, {"a": "yx"}, False),
    ({"a": [{"wildcard": "\\\\*"}]}, {"a": "\\x"}, True),
    # numbers
    ({"a": [{"numeric": [">", 0, "<=", 5]}]}, {"a": 5}, True),
    ({"a": [{"numeric": [">", 0, "<=", 5]}]}, {"a": 0}, False),
    ({"a": [{"numeric": ["=", 3.0]}]}, {"a": 3}, True),
    ({"a": [{"numeric": ["<", 0]}]}, {"a": "-1"}, False),
    ({"a": [{"numeric": ["<", 1]}]}, {"a": False}, False),
    # addresses
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "10.0.0.255"}, True),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "10.0.1.0"}, False),
    ({"a": [{"cidr": "2001:db8::/32"}]}, {"a": "2001:db8::1"}, True),
    ({"a": [{"cidr": "10.0.0.0/24"}]}, {"a": "no address"}, False),
    # anything but
    ({"a": [{"anything-but": "x"}]}, {"a": "y"}, True),
    ({"a": [{"anything-but": "x"}]}, {"a": "x"}, False),
    ({"a": [{"anything-but": "x"}]}, {}, False),
    ({"a": [{"anything-but": ["x", "y"]}]}, {"a": "y"}, False),
    ({"a": [{"anything-but": [1, 2]}]}, {"a": "1"}, True),
    ({"a": [{"anything-but": {"prefix": "x"}}]}, {"a": "yx"}, True),
    ({"a": [{"anything-but": {"suffix": ["x", "z"]}}]}, {"a": "yz"}, False),
    ({"a": [{"anything-but": {"wildcard": "a*"}}]}, {"a": "abc"}, False),
    ({"a": [{"anything-but": {"equals-ignore-case": ["OK"]}}]}, {"a": "ok"}, False),
    # either
    ({"$or": [{"a": [1]}, {"b": [2]}]}, {"a": 2, "b": 2}, True),
    ({"$or": [{"a": [1]}, {"b": [2]}]}, {"a": 2, "b": 1}, False),
    ({"c": [3], "$or": [{"a": [1]}, {"b": [2]}]}, {"a": 1, "c": 4}, False),
    ({"d": {"$or": [{"a": [1]}, {"b": [2]}]}}, {"d": {"b": 2}}, True),
    # one element of an array must fulfil all
    ({"a": {"b": [1], "c": [2]}}, {"a": [{"b": 1, "c": 2}]}, True),
    ({"a": {"b": [1], "c": [2]}}, {"a": [{"b": 1, "c": 1}, {"b": 2, "c": 2}]}, False),
    ({"a": {"b": [1]}, "d": {"c": [2]}}, {"a": [{"b": 1}], "d": [{"c": 1}, {"c": 2}]}, True),
]


@pytest.mark.parametrize(("pattern", "event", "expected"), CASES)
def test_a_pattern_matches_or_does_not(pattern, event, expected):
    assert Pattern(pattern).matches(event) is expected


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ({}, "Empty objects"),
        ({"a": []}, "Empty arrays"),
        ({"a": {}}, "Empty objects"),
        ({"a": 1}, "must be an object or an array"),
        ({"a": [[1]]}, "Match value must be"),
        ({"a": [{"like": "x"}]}, "Unrecognized match type like"),
        ({"a": [{"prefix": "x", "suffix": "y"}]}, "Only one key"),
        ({"a": [{"exists": "yes"}]}, "exists"),
        ({"a": [{"prefix": 1}]}, "prefix"),
        ({"a": [{"numeric": ["~", 1]}]}, "Unrecognized numeric range operator"),
        ({"a": [{"numeric": [">", 5, "<", 5]}]}, "Bottom must be less than top"),
        ({"a": [{"cidr": "10.0.0.0/33"}]}, "Malformed CIDR"),
        ({"a": [{"wildcard": "a**b"}]}, "Consecutive wildcard"),
        ({"a": [{"wildcard": "a\\b"}]}, "Invalid escape"),
        ({"a": [{"anything-but": {"numeric": [">", 1]}}]}, "Unsupported anything-but"),
        ({"a": [{"anything-but": {"prefix": ""}}]}, "Null prefix/suffix"),
    ],
)
def test_a_pattern_that_makes_no_sense_is_refused_with_the_reason(pattern, reason):
    with pytest.raises(InvalidPattern, match=reason):
        Pattern(pattern)
