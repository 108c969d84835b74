"""Why an alarm is in its state: the sentence and the JSON that CloudWatch gives, and its forms of time.

Source of the wording: the sample events of "Alarm events and EventBridge" in the CloudWatch user guide.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from local_account.cloudwatch.alarm import OPERATORS, Alarm, State

if TYPE_CHECKING:
    from local_account.cloudwatch.evaluation import Judged

UNCHECKED = "Unchecked: Initial alarm creation"
_TREATED = {"breaching": "Breaching", "notBreaching": "NonBreaching"}


def wire_time(epoch_s: float) -> str:
    """2026-11-23T04:00:00.000+0000"""
    at = datetime.fromtimestamp(epoch_s, UTC)
    return f"{at:%Y-%m-%dT%H:%M:%S}.{at.microsecond // 1000:03d}+0000"


def of(state: State, alarm: Alarm, judged: Sequence[Judged], now: float) -> tuple[str, str]:
    """Sentence and data for a state that follows from the datapoints `judged`, oldest first."""
    missing = alarm.evaluation_periods - len(judged)
    if alarm.treat_missing in _TREATED and missing:
        sentence = _treated(alarm, judged, missing)
    elif state == "INSUFFICIENT_DATA" or not judged:
        sentence = f"Insufficient Data: {_counted(missing)} {_was(missing)} unknown."
    else:
        sentence = _crossed(state, alarm, judged)
    return sentence, _data(alarm, judged, now)


def few_samples(alarm: Alarm, judged: Sequence[Judged], now: float) -> tuple[str, str]:
    sentence = f"Unchanged: too few samples to evaluate {alarm.query.statistic}."
    return sentence, _data(alarm, judged, now)


def _crossed(state: State, alarm: Alarm, judged: Sequence[Judged]) -> str:
    is_alarm = state == "ALARM"
    of_state = [one for one in judged if alarm.breaches(one.value) == is_alarm]
    enough, periods = alarm.datapoints_to_alarm, alarm.evaluation_periods
    least = enough if is_alarm else periods - enough + 1
    way = "OK -> ALARM" if is_alarm else "ALARM -> OK"
    return (
        f"Threshold Crossed: {len(of_state)} out of the last {_counted(len(judged))} {_values(of_state)} "
        f"{_was(len(of_state))} {'' if is_alarm else 'not '}{OPERATORS[alarm.comparison]} the threshold "
        f"({alarm.threshold}) (minimum {_counted(least)} for {way} transition)."
    )


def _treated(alarm: Alarm, judged: Sequence[Judged], missing: int) -> str:
    word = _TREATED[alarm.treat_missing]
    gap = f"{missing} missing {_datapoints(missing)} {_was(missing)} treated as [{word}]."
    if not judged:
        return f"Threshold Crossed: no datapoints were received for {missing} period{'s' * (missing > 1)} and {gap}"
    breaching = [one for one in judged if alarm.breaches(one.value)]
    shown = breaching or judged
    return (
        f"Threshold Crossed: {_counted(len(shown))} {_values(shown)} {_was(len(shown))} {'' if breaching else 'not '}"
        f"{OPERATORS[alarm.comparison]} the threshold ({alarm.threshold}) and {gap}"
    )


def _values(judged: Sequence[Judged]) -> str:
    """`[2.0 (23/11/26 04:00:00), …]`, newest first."""
    texts = [f"{one.value} ({datetime.fromtimestamp(one.at, UTC):%d/%m/%y %H:%M:%S})" for one in reversed(judged)]
    return f"[{', '.join(texts)}]"


def _data(alarm: Alarm, judged: Sequence[Judged], now: float) -> str:
    query = alarm.query
    data = {
        "version": "1.0",
        "queryDate": wire_time(now),
        "startDate": wire_time(judged[0].at) if judged else None,
        "unit": query.unit,
        "statistic": query.statistic or None,
        "period": alarm.period_s,
        "recentDatapoints": [one.value for one in judged],
        "threshold": alarm.threshold,
        "evaluatedDatapoints": [
            {"timestamp": wire_time(one.at), **({"sampleCount": one.count} if one.count else {}), "value": one.value}
            for one in reversed(judged)
        ],
    }
    return json.dumps({key: value for key, value in data.items() if value is not None}, separators=(",", ":"))


def _counted(count: int) -> str:
    return f"{count} {_datapoints(count)}"


def _datapoints(count: int) -> str:
    return "datapoint" if count == 1 else "datapoints"


def _was(count: int) -> str:
    return "was" if count == 1 else "were"
