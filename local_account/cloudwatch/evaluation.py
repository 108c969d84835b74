"""Evaluating a metric alarm: datapoints, alarm, time and state so far in, the state it should have out. Pure.

Sources, all of the CloudWatch user guide ("Using Amazon CloudWatch alarms"): the windows slide, by a minute, or by ten
seconds for periods below one; more datapoints are looked at than EvaluationPeriods (in its examples two more, which is
taken for every period here [?]: AWS says only that it depends on the period); what is missing is filled as few times
as possible; the two tables of "How alarm state is evaluated when data is missing", and the premature alarm state.
Where those tables of two years differ in what they show, both are kept: a lone breaching datapoint too young for ALARM
is INSUFFICIENT_DATA under `missing`, and no change under `ignore`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from local_account.cloudwatch import reasons
from local_account.cloudwatch.alarm import Alarm, Query, State
from local_account.cloudwatch.datapoints import Datapoint, percent_of, statistic_of
from local_account.cloudwatch.expressions import Series

_FURTHER_BACK = 2  # periods looked at beyond EvaluationPeriods


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an evaluation came to."""

    state: State
    reason: str
    reason_data: str  # JSON, as in StateReasonData


@dataclass(frozen=True, slots=True)
class Judged:
    """One period that was evaluated."""

    at: int  # epoch seconds of its begin
    value: float
    count: float  # samples behind it; 0 for an expression


def horizon_s(alarm: Alarm) -> int:
    """How far back from an evaluation its datapoints may lie."""
    return (alarm.evaluation_periods + _FURTHER_BACK) * alarm.period_s + alarm.step_s


def evaluate(datapoints: Mapping[str, Sequence[Datapoint]], alarm: Alarm, now: float, previous: State) -> Outcome:
    """The state an alarm should have.

    Parameters
    ----------
    datapoints
        Per id of the alarm's metric queries; any order, may hold more than the evaluation range.
    now
        Epoch seconds; the windows end at the last full minute, or ten seconds for periods below a minute.
    previous
        The state so far, which stays where nothing can be told.
    """
    begins = _windows(alarm, now)
    samples: dict[str, list[list[Datapoint]]] = {}
    series: dict[str, Series] = {}
    for query in alarm.queries:
        if query.expression is None:
            samples[query.id] = _by_window(datapoints.get(query.id, ()), query, begins, alarm.period_s)
            series[query.id] = [statistic_of(window, query.statistic) for window in samples[query.id]]
    for query in alarm.queries:
        if query.expression is not None:
            series[query.id] = query.expression.over(series, len(begins))
    counts = samples.get(alarm.returned, [[] for _ in begins])
    found = [
        Judged(begin, value, sum(one.count for one in window))
        for begin, value, window in zip(begins, series[alarm.returned], counts, strict=True)
        if value is not None
    ]
    if _too_few_samples(alarm, found):
        return Outcome(previous, *reasons.few_samples(alarm, found, now))
    judged = found[-alarm.evaluation_periods :]
    state = _state(alarm, judged, len(begins) - begins.index(judged[0].at) if judged else 0, previous)
    return Outcome(state, *reasons.of(state, alarm, judged, now))


def _windows(alarm: Alarm, now: float) -> list[int]:
    """Begins of the periods of the evaluation range, oldest first."""
    end = int(now // alarm.step_s) * alarm.step_s
    length = alarm.evaluation_periods + _FURTHER_BACK
    return [end - (length - place) * alarm.period_s for place in range(length)]


def _by_window(
    datapoints: Sequence[Datapoint], query: Query, begins: list[int], period_s: int
) -> list[list[Datapoint]]:
    windows: list[list[Datapoint]] = [[] for _ in begins]
    for one in datapoints:
        place = (one.at - begins[0]) // period_s
        if 0 <= place < len(windows) and query.unit in (None, one.unit):
            windows[place].append(one)
    return windows


def _too_few_samples(alarm: Alarm, found: list[Judged]) -> bool:
    """Whether a percentile stands on so few samples that the alarm was told to wait."""
    percent = percent_of(alarm.query.statistic)
    if not alarm.ignore_few_samples or percent is None or not found:
        return False
    samples = sum(one.count for one in found[-alarm.evaluation_periods :])
    return samples * min(percent, 100 - percent) < 10 * 100  # fewer than 10 / (1 - p), or 10 / p below the median


def _state(alarm: Alarm, judged: list[Judged], oldest_age: int, previous: State) -> State:
    """By the tables. `oldest_age` counts periods: 1 is the newest."""
    enough = alarm.datapoints_to_alarm
    breaching = sum(alarm.breaches(one.value) for one in judged)
    missing = alarm.evaluation_periods - len(judged)
    if breaching >= enough or (alarm.treat_missing == "breaching" and breaching + missing >= enough):
        return "ALARM"
    if not missing or breaching < len(judged) or alarm.treat_missing in ("breaching", "notBreaching"):
        return "OK"
    if alarm.treat_missing == "ignore":
        return previous
    # Nothing, or nothing but breaching datapoints, fewer than it takes: ALARM once the oldest of them is old enough.
    return "ALARM" if oldest_age >= enough else "INSUFFICIENT_DATA"
