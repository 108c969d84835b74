"""A metric alarm: what it looks at, and when that is too much. Read from PutMetricAlarm's own parameters.

What this account does not evaluate is refused when the alarm is put, never skipped when it is evaluated.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, cast

from local_account.cloudwatch.datapoints import Metric, is_statistic
from local_account.cloudwatch.expressions import Expression, InvalidExpression, parse
from local_account.front_door.words import words
from local_account.wire import AwsError

State = Literal["OK", "ALARM", "INSUFFICIENT_DATA"]
STATES: tuple[State, ...] = ("OK", "ALARM", "INSUFFICIENT_DATA")
TREATMENTS = ("missing", "notBreaching", "breaching", "ignore")
OPERATORS = {
    "GreaterThanThreshold": "greater than",
    "GreaterThanOrEqualToThreshold": "greater than or equal to",
    "LessThanThreshold": "less than",
    "LessThanOrEqualToThreshold": "less than or equal to",
}
_NAME = re.compile(r"[\x20-\x7e]{1,255}")
_ID = re.compile(r"[a-z]\w{0,254}")
_DAY_S = 86_400
_MOST_METRICS = 10
_KNOWN = words(
    "AlarmName AlarmDescription ActionsEnabled OKActions AlarmActions InsufficientDataActions MetricName Namespace Statistic "
    "ExtendedStatistic Dimensions Period Unit EvaluationPeriods DatapointsToAlarm Threshold ComparisonOperator "
    "TreatMissingData EvaluateLowSampleCountPercentile Metrics Tags"
)
_OF_ONE_METRIC = ("MetricName", "Namespace", "Statistic", "ExtendedStatistic", "Dimensions", "Period", "Unit")
_OF_A_QUERY = words("Id MetricStat Expression Label ReturnData Period")


@dataclass(frozen=True, slots=True)
class Query:
    """One metric of an alarm, or an expression over others."""

    id: str
    metric: Metric | None
    statistic: str
    unit: str | None
    expression: Expression | None


@dataclass(frozen=True, slots=True)
class Alarm:
    name: str
    queries: tuple[Query, ...]
    returned: str  # id of the query that is compared
    period_s: int
    evaluation_periods: int  # N
    datapoints_to_alarm: int  # M
    comparison: str
    threshold: float
    treat_missing: str
    ignore_few_samples: bool  # of a percentile

    @property
    def step_s(self) -> int:
        """How often it is evaluated, and how far its windows move each time."""
        return 10 if self.period_s < 60 else 60

    @property
    def query(self) -> Query:
        """The query that is compared."""
        return next(query for query in self.queries if query.id == self.returned)

    def breaches(self, value: float) -> bool:
        if self.comparison == "GreaterThanThreshold":
            return value > self.threshold
        if self.comparison == "GreaterThanOrEqualToThreshold":
            return value >= self.threshold
        return value < self.threshold if self.comparison == "LessThanThreshold" else value <= self.threshold


def refusal(message: str) -> AwsError:
    return AwsError("ValidationError", message)


def read_alarm(given: Mapping[str, Any]) -> Alarm:
    """An alarm of PutMetricAlarm's parameters.

    Raises
    ------
    AwsError
        `ValidationError` with the sentence of what is wrong, or not played here.
    """
    if unknown := {name for name, value in given.items() if value not in (None, [])} - _KNOWN:
        raise refusal(f"{', '.join(sorted(unknown))} of an alarm is not played by the local account")
    if not _NAME.fullmatch(given.get("AlarmName") or ""):
        raise refusal("AlarmName must have 1 to 255 printable ASCII characters")
    queries, returned, period = _of_queries(given["Metrics"]) if given.get("Metrics") else _of_one_metric(given)
    if given.get("Metrics") and (both := [name for name in _OF_ONE_METRIC if given.get(name)]):
        raise refusal(f"{', '.join(both)} must not be given beside Metrics")
    if period not in (10, 20, 30) and (period < 60 or period % 60):
        raise refusal(f"Period is {period}; it must be 10, 20, 30 or a multiple of 60")
    periods, enough = _m_of_n(given, period)
    comparison = given.get("ComparisonOperator")
    if comparison not in OPERATORS:
        raise refusal(f"ComparisonOperator {comparison} is not played here; {', '.join(OPERATORS)} are")
    if given.get("Threshold") is None:
        raise refusal("Threshold must be given: anomaly detection is not played by the local account")
    treat = given.get("TreatMissingData") or "missing"
    if treat not in TREATMENTS:
        raise refusal(f"TreatMissingData {treat} must be one of {', '.join(TREATMENTS)}")
    few = given.get("EvaluateLowSampleCountPercentile") or "evaluate"
    if few not in ("evaluate", "ignore"):
        raise refusal(f"EvaluateLowSampleCountPercentile {few} must be evaluate or ignore")
    return Alarm(
        name=given["AlarmName"],
        queries=queries,
        returned=returned,
        period_s=period,
        evaluation_periods=periods,
        datapoints_to_alarm=enough,
        comparison=cast(str, comparison),
        threshold=float(given["Threshold"]),
        treat_missing=treat,
        ignore_few_samples=few == "ignore",
    )


def _m_of_n(given: Mapping[str, Any], period: int) -> tuple[int, int]:
    periods = int(given.get("EvaluationPeriods") or 0)
    enough = int(given.get("DatapointsToAlarm") or periods)
    if periods < 1:
        raise refusal("EvaluationPeriods must be at least 1")
    if not 1 <= enough <= periods:
        raise refusal(f"DatapointsToAlarm is {enough}; it must be from 1 to EvaluationPeriods, {periods}")
    longest = _DAY_S if period < 3600 else 7 * _DAY_S
    if period * periods > longest:
        raise refusal(f"Metrics cannot be checked across more than {longest} s (EvaluationPeriods * Period)")
    return periods, enough


def _of_one_metric(given: Mapping[str, Any]) -> tuple[tuple[Query, ...], str, int]:
    statistic = given.get("Statistic") or given.get("ExtendedStatistic")
    if given.get("Statistic") and given.get("ExtendedStatistic"):
        raise refusal("Statistic and ExtendedStatistic must not both be given")
    query = _metric_query("m1", given, statistic, given.get("Unit"))
    return (query,), "m1", int(given.get("Period") or 0)


def _metric_query(name: str, metric: Mapping[str, Any], statistic: Any, unit: str | None) -> Query:
    if not metric.get("Namespace") or not metric.get("MetricName"):
        raise refusal("Namespace and MetricName must be given")
    if not isinstance(statistic, str) or not is_statistic(statistic):
        raise refusal(
            f"the statistic {statistic} is not played here: SampleCount, Average, Sum, Minimum, Maximum, pNN are"
        )
    dimensions = [(one["Name"], one["Value"]) for one in metric.get("Dimensions") or []]
    return Query(name, Metric.of(metric["Namespace"], metric["MetricName"], dimensions), statistic, unit, None)


def _of_queries(given: list[dict[str, Any]]) -> tuple[tuple[Query, ...], str, int]:
    returned = [query["Id"] for query in given if query.get("ReturnData", True) is not False]
    if len(returned) != 1:
        raise refusal(f"exactly one of Metrics must have ReturnData, {len(returned)} have")
    queries = tuple(_query(one) for one in given)
    names = [query.id for query in queries]
    if len(set(names)) != len(names) or sum(query.metric is not None for query in queries) > _MOST_METRICS:
        raise refusal(f"Metrics must have different ids, and name at most {_MOST_METRICS} metrics")
    for place, query in enumerate(queries):
        earlier = {other.id for other in queries if other.metric is not None} | set(names[:place])
        if query.expression is not None and (unknown := query.expression.names - earlier):
            raise refusal(
                f"{query.expression.text} refers to {', '.join(sorted(unknown))}, which comes later or not at all"
            )
    periods = {int(one["MetricStat"]["Period"]) for one in given if one.get("MetricStat")}
    if len(periods) != 1:
        raise refusal("the metrics of one alarm must have one period")
    return queries, returned[0], periods.pop()


def _query(given: dict[str, Any]) -> Query:
    name = given.get("Id") or ""
    if not _ID.fullmatch(name):
        raise refusal(f"the id {name!r} must begin with a small letter and hold letters, digits and _")
    if unknown := {key for key, value in given.items() if value is not None} - _OF_A_QUERY:
        raise refusal(f"{', '.join(sorted(unknown))} of a metric is not played by the local account")
    stat = given.get("MetricStat")
    if (stat is None) == (given.get("Expression") is None):
        raise refusal(f"{name} must have either MetricStat or Expression")
    if stat is not None:
        return _metric_query(name, stat["Metric"], stat.get("Stat"), stat.get("Unit"))
    try:
        return Query(name, None, "", None, parse(given["Expression"]))
    except InvalidExpression as problem:
        raise refusal(f"{name}: {problem}") from problem
