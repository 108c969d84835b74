"""A table of cases worked by hand; each says where it comes from.

Guide: CloudWatch user guide, "Using Amazon CloudWatch alarms". Its tables write 0 for a datapoint within the threshold,
X for one that breaches it and - for none, the newest on the right; so do the patterns here. Where a pattern is shorter
than EvaluationPeriods + 2, the periods before it have no datapoint. The threshold is 1, 0 is a value of 0 and X of 2.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from local_account.cloudwatch.alarm import Alarm, State, read_alarm
from local_account.cloudwatch.datapoints import Datapoint
from local_account.cloudwatch.evaluation import Outcome, evaluate

NOON = 1_795_608_000  # 2026-11-25T12:00:00Z, a multiple of a day's minutes
T1 = "guide, first table (3 of 3, evaluation range 5)"
T2 = "guide, second table (2 of 3, evaluation range 5)"
PREMATURE = "guide, avoiding premature transitions to alarm state"
OLD = "guide of 2018, first table: its row for a lone new breaching datapoint"


def alarm(m: int, n: int, treat: str = "missing", **more: Any) -> Alarm:
    given: dict[str, Any] = {
        "AlarmName": "a",
        "Namespace": "N",
        "MetricName": "m",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": n,
        "DatapointsToAlarm": m,
        "Threshold": 1.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": treat,
    }
    return read_alarm({key: value for key, value in {**given, **more}.items() if value is not None})


def point(at: float, *values: float, unit: str = "Count") -> Datapoint:
    made = Datapoint(int(at), unit)
    for value in values:
        made.add(value)
    return made


def points(pattern: str, period: int = 60, newest_ends: int = NOON) -> list[Datapoint]:
    marks = pattern.split()
    values = {"0": 0.0, "X": 2.0}
    begins = [newest_ends - (len(marks) - place) * period for place in range(len(marks))]
    return [point(begin, values[mark]) for begin, mark in zip(begins, marks, strict=True) if mark != "-"]


def state_of(given: list[Datapoint], of: Alarm, previous: State = "OK", now: float = NOON) -> Outcome:
    return evaluate({"m1": given}, of, now, previous)


@pytest.mark.parametrize(
    ("source", "pattern", "m", "n", "treat", "expected"),
    [
        (T1, "0 - X - X", 3, 3, "missing", "OK"),
        (T1, "0 - X - X", 3, 3, "ignore", "OK"),
        (T1, "0 - X - X", 3, 3, "breaching", "OK"),
        (T1, "0 - X - X", 3, 3, "notBreaching", "OK"),
        (T1, "0 - - - -", 3, 3, "missing", "OK"),
        (T1, "0 - - - -", 3, 3, "ignore", "OK"),
        (T1, "0 - - - -", 3, 3, "breaching", "OK"),
        (T1, "0 - - - -", 3, 3, "notBreaching", "OK"),
        (T1, "- - - - -", 3, 3, "missing", "INSUFFICIENT_DATA"),
        (T1, "- - - - -", 3, 3, "ignore", "as before"),
        (T1, "- - - - -", 3, 3, "breaching", "ALARM"),
        (T1, "- - - - -", 3, 3, "notBreaching", "OK"),
        (T1, "0 X X - X", 3, 3, "missing", "ALARM"),
        (T1, "0 X X - X", 3, 3, "ignore", "ALARM"),
        (T1, "0 X X - X", 3, 3, "breaching", "ALARM"),
        (T1, "0 X X - X", 3, 3, "notBreaching", "ALARM"),
        (T1, "- - X - -", 3, 3, "missing", "ALARM"),
        (T1, "- - X - -", 3, 3, "ignore", "as before"),
        (T1, "- - X - -", 3, 3, "breaching", "ALARM"),
        (T1, "- - X - -", 3, 3, "notBreaching", "OK"),
        (T2, "0 - X - X", 2, 3, "missing", "ALARM"),
        (T2, "0 - X - X", 2, 3, "ignore", "ALARM"),
        (T2, "0 - X - X", 2, 3, "breaching", "ALARM"),
        (T2, "0 - X - X", 2, 3, "notBreaching", "ALARM"),
        (T2, "0 0 X 0 X", 2, 3, "missing", "ALARM"),
        (T2, "0 0 X 0 X", 2, 3, "ignore", "ALARM"),
        (T2, "0 0 X 0 X", 2, 3, "breaching", "ALARM"),
        (T2, "0 0 X 0 X", 2, 3, "notBreaching", "ALARM"),
        (T2, "0 - X - -", 2, 3, "missing", "OK"),
        (T2, "0 - X - -", 2, 3, "ignore", "OK"),
        (T2, "0 - X - -", 2, 3, "breaching", "ALARM"),
        (T2, "0 - X - -", 2, 3, "notBreaching", "OK"),
        (T2, "- - - - 0", 2, 3, "missing", "OK"),
        (T2, "- - - - 0", 2, 3, "ignore", "OK"),
        (T2, "- - - - 0", 2, 3, "breaching", "ALARM"),
        (T2, "- - - - 0", 2, 3, "notBreaching", "OK"),
        (T2, "- - - X -", 2, 3, "missing", "ALARM"),
        (T2, "- - - X -", 2, 3, "ignore", "as before"),
        (T2, "- - - X -", 2, 3, "breaching", "ALARM"),
        (T2, "- - - X -", 2, 3, "notBreaching", "OK"),
        (OLD, "- - - - X", 3, 3, "missing", "INSUFFICIENT_DATA"),
        (OLD, "- - - - X", 3, 3, "ignore", "as before"),
        (OLD, "X - - - -", 3, 3, "missing", "ALARM"),
        (PREMATURE, "- - - X -", 3, 3, "missing", "INSUFFICIENT_DATA"),
        (PREMATURE, "- - - X 0", 3, 3, "missing", "OK"),
        (PREMATURE, "- - X - 0", 3, 3, "missing", "OK"),
        ("guide: the next time, the datapoint has left the evaluation range", "- - - - -", 3, 3, "breaching", "ALARM"),
        ("guide: what is older than the newest three existing datapoints is ignored", "X X 0 0 0", 1, 3, "missing", "OK"),
        ("guide, figure: one of three drops below the threshold", "- - X X 0", 3, 3, "missing", "OK"),
        ("guide, figure: three in a row are above", "- - X X X", 3, 3, "missing", "ALARM"),
        ("one of one: a single breaching datapoint is as old as it must be", "- - X", 1, 1, "missing", "ALARM"),
        ("one of one, two periods ago, is still found in the range of three", "X - -", 1, 1, "missing", "ALARM"),
        ("one of one, three periods ago, is out of the range of three", "X - - -", 1, 1, "missing", "INSUFFICIENT_DATA"),
        ("two of two, silent for the whole range of four", "0 - - - -", 2, 2, "breaching", "ALARM"),
        ("two of two, silent for three periods: the last is still in the range", "0 - - -", 2, 2, "breaching", "OK"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("previous", ["OK", "ALARM", "INSUFFICIENT_DATA"])
def test_the_state_follows_the_documented_tables(
    source: str, pattern: str, m: int, n: int, treat: str, expected: str, previous: State
) -> None:
    outcome = state_of(points(pattern), alarm(m, n, treat), previous)
    assert outcome.state == (previous if expected == "as before" else expected), source


@pytest.mark.parametrize(
    ("sentence", "operator", "value", "expected"),
    [
        ("greater than leaves the threshold itself alone", "GreaterThanThreshold", 1.0, "OK"),
        ("greater than or equal takes it", "GreaterThanOrEqualToThreshold", 1.0, "ALARM"),
        ("less than leaves the threshold itself alone", "LessThanThreshold", 1.0, "OK"),
        ("less than or equal takes it", "LessThanOrEqualToThreshold", 1.0, "ALARM"),
        ("zero is a datapoint, and it is below one (contracts)", "LessThanThreshold", 0.0, "ALARM"),
        ("zero is a datapoint, and not above one (contracts)", "GreaterThanThreshold", 0.0, "OK"),
    ],
)
def test_the_threshold_is_compared_as_the_operator_says(
    sentence: str, operator: str, value: float, expected: str
) -> None:
    outcome = state_of([point(NOON - 60, value)], alarm(1, 1, ComparisonOperator=operator))
    assert outcome.state == expected, sentence


@pytest.mark.parametrize(
    ("sentence", "more", "given", "expected_value"),
    [
        ("Sum of 1, 2, 6", {"Statistic": "Sum"}, [1, 2, 6], 9.0),
        ("Average of 1, 2, 6", {"Statistic": "Average"}, [1, 2, 6], 3.0),
        ("Minimum of 1, 2, 6", {"Statistic": "Minimum"}, [1, 2, 6], 1.0),
        ("Maximum of 1, 2, 6", {"Statistic": "Maximum"}, [1, 2, 6], 6.0),
        ("SampleCount of 1, 2, 6", {"Statistic": "SampleCount"}, [1, 2, 6], 3.0),
        ("p50 of 1..10 by nearest rank is the fifth", {"ExtendedStatistic": "p50"}, range(1, 11), 5.0),
        ("p90 of 1..10 is the ninth", {"ExtendedStatistic": "p90"}, range(1, 11), 9.0),
        ("p99.9 of 1..10 is the last", {"ExtendedStatistic": "p99.9"}, range(1, 11), 10.0),
        ("p100 is the largest", {"ExtendedStatistic": "p100"}, [3, 1], 3.0),
        ("p50 of -1, 1 is not given: a value is negative", {"ExtendedStatistic": "p50"}, [-1, 1], None),
    ],
)  # fmt: skip
def test_a_statistic_is_over_all_values_of_its_period(
    sentence: str, more: dict[str, str], given: Any, expected_value: float | None
) -> None:
    statistic = {"Statistic": None, **more}
    values = [float(value) for value in given]
    halves = [point(NOON - 60, *values[:1]), point(NOON - 10, *values[1:])]
    outcome = state_of(halves, alarm(1, 1, **statistic))
    shown = json.loads(outcome.reason_data)["recentDatapoints"]
    assert shown == ([] if expected_value is None else [expected_value]), sentence


@pytest.mark.parametrize(
    ("sentence", "period", "now", "at", "expected"),
    [
        ("guide: a minute's alarm sees the last full minute", 60, NOON + 59, NOON - 60, "ALARM"),
        ("what was put in the running minute is not seen yet", 60, NOON + 59, NOON, "OK"),
        ("five minutes' windows slide by a minute: 11:56 to 12:01 holds 12:00:50", 300, NOON + 60, NOON + 50, "ALARM"),
        ("at 12:05 the window from 12:00 holds 12:00:00", 300, NOON + 300, NOON, "ALARM"),
        ("at 12:06 the window from 12:01 does not, and the one before is fill-in only", 300, NOON + 360, NOON, "ALARM"),
        ("an hour's windows slide by a minute too", 3600, NOON + 60, NOON + 50, "ALARM"),
        ("ten seconds' windows slide by ten: at 12:00:10 from 12:00:00", 10, NOON + 10, NOON, "ALARM"),
        ("thirty seconds' windows slide by ten: at 12:00:10 from 11:59:40", 30, NOON + 10, NOON - 20, "ALARM"),
        ("at 12:00:19 ten seconds' windows still end at 12:00:10", 10, NOON + 19, NOON + 10, "OK"),
        ("a datapoint at the end of a period belongs to the next one", 60, NOON, NOON, "OK"),
    ],
)
def test_windows_slide(sentence: str, period: int, now: float, at: int, expected: str) -> None:
    assert state_of([point(at, 2.0)], alarm(1, 1, "notBreaching", Period=period), now=now).state == expected, sentence


@pytest.mark.parametrize(
    ("sentence", "unit", "expected"),
    [
        ("an alarm with a unit sees datapoints of that unit only", "Seconds", "ALARM"),
        ("of another unit it sees none", "Bytes", "INSUFFICIENT_DATA"),
        ("without a unit it sees all", None, "ALARM"),
    ],
)
def test_units_are_told_apart(sentence: str, unit: str | None, expected: str) -> None:
    assert state_of([point(NOON - 60, 2.0, unit="Seconds")], alarm(1, 1, Unit=unit)).state == expected, sentence


@pytest.mark.parametrize(
    ("sentence", "percentile", "values", "few", "expected"),
    [
        ("guide: p90 needs 10 / (1 - 0.9) = 100 samples; with 99 the state stays", "p90", 99, "ignore", "INSUFFICIENT_DATA"),
        ("with 100 it is evaluated", "p90", 100, "ignore", "ALARM"),
        ("p10 needs 10 / 0.1 = 100 as well", "p10", 99, "ignore", "INSUFFICIENT_DATA"),
        ("evaluate evaluates whatever there is", "p90", 1, "evaluate", "ALARM"),
    ],
)  # fmt: skip
def test_a_percentile_of_few_samples_waits_if_told_to(
    sentence: str, percentile: str, values: int, few: str, expected: str
) -> None:
    of = alarm(1, 1, Statistic=None, ExtendedStatistic=percentile, EvaluateLowSampleCountPercentile=few)
    assert state_of([point(NOON - 60, *[2.0] * values)], of, "INSUFFICIENT_DATA").state == expected, sentence


def math(expression: str, **more: Any) -> Alarm:
    metric = {"Namespace": "N", "MetricName": "m"}
    stat = {"Metric": metric, "Period": 60, "Stat": "Sum"}
    queries = [
        {"Id": "m1", "MetricStat": stat, "ReturnData": False},
        {"Id": "m2", "MetricStat": {**stat, "Metric": {**metric, "MetricName": "n"}}, "ReturnData": False},
        {"Id": "e1", "Expression": expression},
    ]
    return alarm(1, 1, Namespace=None, MetricName=None, Statistic=None, Period=None, Metrics=queries, **more)


@pytest.mark.parametrize(
    ("sentence", "expression", "first", "second", "expected"),
    [
        ("a ratio of two sums: 6 / 2", "m1 / m2", 6, 2, [3.0]),
        ("a product before a sum: 6 + 2 * 2", "m1 + m2 * 2", 6, 2, [10.0]),
        ("brackets first: (6 + 2) * 2", "(m1 + m2) * 2", 6, 2, [16.0]),
        ("from the left: 6 - 2 - 1", "m1 - m2 - 1", 6, 2, [3.0]),
        ("a sign: -6 + 2", "-m1 + m2", 6, 2, [-4.0]),
        ("a division by zero has no result (guide, metric math)", "m1 / m2", 6, 0, []),
        ("an operation on a missing datapoint has none", "m1 + m2", 6, None, []),
        ("a comparison is 1 where it holds", "m1 > m2", 6, 2, [1.0]),
        ("and 0 where it does not", "m1 <= m2", 6, 2, [0.0]),
        ("IF takes the first where the condition is not 0", "IF(m2 >= 2, m1 / m2, 0)", 6, 2, [3.0]),
        ("IF takes the second where it is 0", "IF(m2 >= 3, m1 / m2, 0)", 6, 2, [0.0]),
        ("IF does not stumble over the part it does not take", "IF(m2 > 0, m1 / m2, 7)", 6, 0, [7.0]),
        ("IF of a missing condition has no result", "IF(m2 > 0, 1, 0)", 6, None, []),
        ("a constant has a datapoint in every period", "2 + 1", None, None, [3.0]),
    ],
)
def test_metric_math(
    sentence: str, expression: str, first: float | None, second: float | None, expected: list[float]
) -> None:
    given = {"m1": [] if first is None else [point(NOON - 60, first)]}
    given["m2"] = [] if second is None else [point(NOON - 60, second)]
    outcome = evaluate(given, math(expression), NOON, "OK")
    assert json.loads(outcome.reason_data)["recentDatapoints"] == expected, sentence


@pytest.mark.parametrize(
    ("sentence", "expression", "pattern", "expected"),
    [
        ("FILL puts a number where nothing is", "FILL(m1, 5)", "X - -", [2.0, 5.0, 5.0]),
        ("FILL repeats the datapoint before", "FILL(m1, REPEAT)", "X 0 -", [2.0, 0.0, 0.0]),
        ("nothing comes before the first datapoint", "FILL(m1, REPEAT)", "- X -", [2.0, 2.0]),
        ("FILL leaves a series without any datapoint as it is", "FILL(m1, 5)", "- - -", []),
    ],
)
def test_fill(sentence: str, expression: str, pattern: str, expected: list[float]) -> None:
    of = math(expression, EvaluationPeriods=3, DatapointsToAlarm=3)
    outcome = evaluate({"m1": points(pattern), "m2": []}, of, NOON, "OK")
    assert json.loads(outcome.reason_data)["recentDatapoints"] == expected, sentence


@pytest.mark.parametrize(
    ("pattern", "m", "n", "treat", "sentence"),
    [
        (
            "X 0 X",
            2,
            3,
            "missing",
            "Threshold Crossed: 2 out of the last 3 datapoints [2.0 (25/11/26 11:59:00), 2.0 (25/11/26 11:57:00)] "
            "were greater than the threshold (1.0) (minimum 2 datapoints for OK -> ALARM transition).",
        ),
        (
            "0",
            1,
            1,
            "missing",
            "Threshold Crossed: 1 out of the last 1 datapoint [0.0 (25/11/26 11:59:00)] was not greater than the "
            "threshold (1.0) (minimum 1 datapoint for ALARM -> OK transition).",
        ),
        ("-", 2, 2, "missing", "Insufficient Data: 2 datapoints were unknown."),
        (
            "-",
            2,
            2,
            "breaching",
            "Threshold Crossed: no datapoints were received for 2 periods and 2 missing datapoints were treated as [Breaching].",
        ),
        (
            "X -",
            1,
            2,
            "notBreaching",
            "Threshold Crossed: 1 datapoint [2.0 (25/11/26 11:58:00)] was greater than the threshold (1.0) and 1 missing "
            "datapoint was treated as [NonBreaching].",
        ),
    ],
)
def test_the_reason_says_what_was_seen(pattern: str, m: int, n: int, treat: str, sentence: str) -> None:
    assert state_of(points(pattern), alarm(m, n, treat)).reason == sentence


def test_the_reason_data_is_that_of_cloudwatch() -> None:
    outcome = state_of([point(NOON - 60, 2.0, 3.0)], alarm(1, 1), now=NOON + 2.5)
    assert json.loads(outcome.reason_data) == {
        "version": "1.0",
        "queryDate": "2026-11-25T12:00:02.500+0000",
        "startDate": "2026-11-25T11:59:00.000+0000",
        "statistic": "Sum",
        "period": 60,
        "recentDatapoints": [5.0],
        "threshold": 1.0,
        "evaluatedDatapoints": [{"timestamp": "2026-11-25T11:59:00.000+0000", "sampleCount": 2.0, "value": 5.0}],
    }


def test_what_came_as_a_statistic_set_counts_with_its_samples_and_has_no_percentiles() -> None:
    made = Datapoint(NOON - 60, "Count")
    made.add_set(4, 10, 1, 4)
    made.add(6)
    given = [made]
    seen = {
        name: json.loads(state_of(given, alarm(1, 1, Statistic=name)).reason_data)["recentDatapoints"]
        for name in ("Sum", "SampleCount", "Average", "Minimum", "Maximum")
    }
    assert seen == {"Sum": [16.0], "SampleCount": [5.0], "Average": [3.2], "Minimum": [1.0], "Maximum": [6.0]}
    percentile = alarm(1, 1, Statistic=None, ExtendedStatistic="p90")
    assert json.loads(state_of(given, percentile).reason_data)["recentDatapoints"] == []
