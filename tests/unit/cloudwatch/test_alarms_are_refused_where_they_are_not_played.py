"""What PutMetricAlarm, metric math, dashboards and actions refuse, each with a sentence that names it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from local_account.clock import Clock
from local_account.cloudwatch.alarm import read_alarm
from local_account.cloudwatch.dashboards import Dashboards, check_body
from local_account.cloudwatch.expressions import InvalidExpression, parse
from local_account.cloudwatch.telling import check_actions
from local_account.records import Records
from local_account.wire import AwsError

ALARM = {
    "AlarmName": "a",
    "Namespace": "N",
    "MetricName": "m",
    "Statistic": "Sum",
    "Period": 60,
    "EvaluationPeriods": 1,
    "Threshold": 0.0,
    "ComparisonOperator": "GreaterThanThreshold",
}
STAT = {"Metric": {"Namespace": "N", "MetricName": "m"}, "Period": 60, "Stat": "Sum"}


def of_queries(*queries: dict[str, Any]) -> dict[str, Any]:
    kept = {key: ALARM[key] for key in ("AlarmName", "EvaluationPeriods", "Threshold", "ComparisonOperator")}
    return {**kept, "Metrics": list(queries)}


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({**ALARM, "Period": 45}, "10, 20, 30 or a multiple of 60"),
        ({**ALARM, "EvaluationPeriods": 0}, "at least 1"),
        ({**ALARM, "DatapointsToAlarm": 2}, "from 1 to EvaluationPeriods"),
        ({**ALARM, "EvaluationPeriods": 1441}, "86400"),
        ({**ALARM, "Period": 3600, "EvaluationPeriods": 169}, "604800"),
        ({**ALARM, "ComparisonOperator": "GreaterThanUpperThreshold"}, "GreaterThanUpperThreshold"),
        ({**ALARM, "ThresholdMetricId": "e1"}, "ThresholdMetricId"),
        ({**ALARM, "Statistic": None, "ExtendedStatistic": "tm90"}, "tm90"),
        ({**ALARM, "ExtendedStatistic": "p90"}, "must not both"),
        ({**ALARM, "TreatMissingData": "drop"}, "TreatMissingData"),
        ({**ALARM, "AlarmName": "ä"}, "ASCII"),
        ({**ALARM, "MetricName": None}, "Namespace and MetricName"),
        ({**ALARM, "Metrics": [{"Id": "m1", "MetricStat": STAT}]}, "beside Metrics"),
        (of_queries({"Id": "m1", "MetricStat": STAT}, {"Id": "m2", "MetricStat": STAT}), "exactly one"),
        (of_queries({"Id": "e1", "Expression": "m9 + 1"}), "m9"),
        (of_queries({"Id": "M", "MetricStat": STAT}), "small letter"),
        (of_queries({"Id": "m1", "MetricStat": STAT, "AccountId": "1"}), "AccountId"),
        (of_queries({"Id": "e1", "Expression": "SEARCH('{N}', 'Sum')"}), "not played"),
    ],
)
def test_an_alarm_is_refused_with_what_is_wrong_of_it(given: dict[str, Any], said: str) -> None:
    with pytest.raises(AwsError, match=said):
        read_alarm(given)


@pytest.mark.parametrize(
    "text",
    ["", "m1 +", "m1 m2", "(m1", "FILL(m1, LINEAR)", "IF(m1, 1)", "__import__('os')", "m1 ** 2", "m1.x", "(" * 60 + "1" + ")" * 60],
)  # fmt: skip
def test_an_expression_that_is_not_played_is_refused(text: str) -> None:
    with pytest.raises(InvalidExpression):
        parse(text)


def test_actions_other_than_topics_and_functions_are_refused() -> None:
    check_actions({"AlarmActions": ["arn:aws:sns:us-east-1:123456789012:t"]})
    with pytest.raises(AwsError, match="OKActions: arn:aws:automate:us-east-1:ec2:stop is not played"):
        check_actions({"OKActions": ["arn:aws:automate:us-east-1:ec2:stop"]})


def widget(**more: Any) -> dict[str, Any]:
    metrics = [["N", "m", "D", "v", {"stat": "Sum"}], [{"expression": "m1 / 2", "id": "e1"}]]
    return {
        "type": "metric",
        "x": 0,
        "y": 0,
        "width": 12,
        "height": 6,
        "properties": {"region": "r", "metrics": metrics},
    } | more


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ("{", "/"),
        ("[]", "/widgets"),
        (json.dumps({"widgets": [widget(type="pie")]}), "/widgets/0/type"),
        (json.dumps({"widgets": [widget(), widget(width=25)]}), "/widgets/1/width"),
        (json.dumps({"widgets": [widget(properties={"metrics": [["N", "m"]]})]}), "/widgets/0/properties/region"),
        (json.dumps({"widgets": [widget(properties={"region": "r", "metrics": [["N"]]})]}), "/widgets/0/properties/metrics/0"),
        (json.dumps({"widgets": [widget(type="text", properties={})]}), "/widgets/0/properties/markdown"),
    ],
)  # fmt: skip
def test_a_dashboard_is_refused_with_the_path_of_what_is_wrong(body: str, path: str, tmp_path: Path) -> None:
    assert [one["DataPath"] for one in check_body(body)] == [path]
    dashboards = Dashboards(Records(tmp_path / "records.db"), Clock())
    with pytest.raises(AwsError, match="DashboardBody"):
        dashboards.put({"DashboardName": "d", "DashboardBody": body})
    with pytest.raises(AwsError, match="does not exist"):
        dashboards.get({"DashboardName": "d"})


def test_a_whole_dashboard_is_kept(tmp_path: Path) -> None:
    dashboards = Dashboards(Records(tmp_path / "records.db"), Clock())
    body = json.dumps({"widgets": [widget()]})
    assert dashboards.put({"DashboardName": "d", "DashboardBody": body}) == {"DashboardValidationMessages": []}
    assert dashboards.get({"DashboardName": "d"})["DashboardBody"] == body
    assert [one["DashboardName"] for one in dashboards.list({})["DashboardEntries"]] == ["d"]
    dashboards.delete({"DashboardNames": ["d"]})
    assert dashboards.list({})["DashboardEntries"] == []
