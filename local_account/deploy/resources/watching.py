"""Alarms and dashboards: what watches the others."""

from __future__ import annotations

from typing import Any

from local_account.deploy.resources.kind import Deployed, Kind, Made, arn, kind

_NUMBERS: dict[str, type] = {"Period": int, "EvaluationPeriods": int, "DatapointsToAlarm": int, "Threshold": float}
_FLAGS = frozenset({"ActionsEnabled", "ReturnData"})


def _alarm(it: Deployed, properties: dict[str, Any]) -> Made:
    name = properties.get("AlarmName") or it.name(255)
    cloudwatch = it.client("cloudwatch")
    cloudwatch.put_metric_alarm(**_typed(properties), AlarmName=name)
    if it.physical_id not in (None, name):  # a new name is a new alarm
        cloudwatch.delete_alarms(AlarmNames=[it.physical_id])
    return Made(name, {"Arn": arn("cloudwatch", f"alarm:{name}")})


def _remove_alarm(it: Deployed) -> None:
    it.client("cloudwatch").delete_alarms(AlarmNames=[it.physical_id])


def _dashboard(it: Deployed, properties: dict[str, Any]) -> Made:
    name = properties.get("DashboardName") or it.name(255)
    cloudwatch = it.client("cloudwatch")
    cloudwatch.put_dashboard(DashboardName=name, DashboardBody=properties["DashboardBody"])
    if it.physical_id not in (None, name):
        cloudwatch.delete_dashboards(DashboardNames=[it.physical_id])
    return Made(name)


def _remove_dashboard(it: Deployed) -> None:
    it.client("cloudwatch").delete_dashboards(DashboardNames=[it.physical_id])


def _typed(value: Any, name: str = "") -> Any:
    """Numbers and flags as the API types them: a template's parameters are texts."""
    if isinstance(value, dict):
        return {key: _typed(member, key) for key, member in value.items() if key != "AlarmName"}
    if isinstance(value, list):
        return [_typed(member) for member in value]
    if name in _FLAGS:
        return value if isinstance(value, bool) else str(value).lower() == "true"
    return _NUMBERS[name](value) if name in _NUMBERS else value


KINDS: dict[str, Kind] = {
    "AWS::CloudWatch::Alarm": kind(
        _alarm,
        "AlarmName AlarmDescription ActionsEnabled AlarmActions OKActions InsufficientDataActions Namespace MetricName Dimensions "
        "Statistic ExtendedStatistic EvaluateLowSampleCountPercentile Period Unit EvaluationPeriods DatapointsToAlarm Threshold "
        "ComparisonOperator TreatMissingData Metrics",
        remove=_remove_alarm,
    ),
    "AWS::CloudWatch::Dashboard": kind(_dashboard, "DashboardName DashboardBody", remove=_remove_dashboard),
}
