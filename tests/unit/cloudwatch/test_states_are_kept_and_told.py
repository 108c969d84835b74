"""What lies between the stored datapoints and the told event: the store that is read, the states on disk, the instants."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from local_account.cloudwatch.alarms import Alarms
from local_account.cloudwatch.datapoints import Metric
from local_account.cloudwatch.evaluator import Evaluator
from local_account.cloudwatch.history import History
from local_account.cloudwatch.metric_store import MetricStore
from local_account.records import Records
from support.fake_account import FakeAccount

NOON = datetime(2026, 11, 25, 12, tzinfo=UTC)
BLUE = Metric.of("N", "errors", [("Slot", "blue")])
GREEN = Metric.of("N", "errors", [("Slot", "green")])


class Moto:
    """moto's list of datapoints."""

    def __init__(self) -> None:
        self.rows: list[Any] = []

    def put(self, slot: str, at: datetime, **facts: Any) -> None:
        dimensions = [SimpleNamespace(name="Slot", value=slot)]
        row = {"namespace": "N", "name": "errors", "dimensions": dimensions, "timestamp": at, "unit": None, **facts}
        self.rows.append(SimpleNamespace(**row))

    def reading(self) -> AbstractContextManager[None]:
        return nullcontext()

    def data(self) -> list[Any]:
        return self.rows


@pytest.fixture
def moto() -> Moto:
    return Moto()


@pytest.fixture
def account(tmp_path: Path) -> FakeAccount:
    return FakeAccount(tmp_path)


@pytest.fixture
def records(tmp_path: Path) -> Records:
    return Records(tmp_path / "records.db")


def alarms(account: FakeAccount, records: Records) -> Alarms:
    return Alarms(account, records, History(records))


def alarm(**more: Any) -> dict[str, Any]:
    return {
        "AlarmName": "a",
        "Namespace": "N",
        "MetricName": "errors",
        "Dimensions": [{"Name": "Slot", "Value": "blue"}],
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 0.0,
        "ComparisonOperator": "GreaterThanThreshold",
        "TreatMissingData": "notBreaching",
    } | more


def sums(store: MetricStore, since: datetime, *wanted: Metric) -> list[float]:
    found = store.read(dict.fromkeys(wanted, False), since.timestamp())
    return [sum(datapoint.total for datapoint in found[metric]) for metric in wanted]


def test_the_store_reads_on_and_looks_back_for_a_metric_that_is_new_to_it(moto: Moto) -> None:
    store = MetricStore(moto)
    moto.put("blue", NOON, value=1.0)
    moto.put("green", NOON.replace(tzinfo=None), value=5.0)  # moto's own times do not say that they are UTC
    assert sums(store, NOON, BLUE) == [1.0]
    moto.put("blue", NOON + timedelta(seconds=1), sum=6.0, sample_count=3.0, min=1.0, max=3.0)
    assert sums(store, NOON, BLUE) == [7.0]
    assert sums(store, NOON, BLUE, GREEN) == [7.0, 5.0]


def test_the_store_forgets_what_is_too_old_and_finds_it_again_for_who_looks_further_back(moto: Moto) -> None:
    store = MetricStore(moto)
    moto.put("blue", NOON - timedelta(hours=1), value=1.0)
    moto.put("blue", NOON, value=2.0)
    assert sums(store, NOON - timedelta(minutes=1), BLUE) == [2.0]
    assert sums(store, NOON - timedelta(hours=2), BLUE) == [3.0]


def test_the_store_keeps_single_values_once_a_percentile_is_asked_for(moto: Moto) -> None:
    store = MetricStore(moto)
    moto.put("blue", NOON, value=4.0)
    (plain,) = store.read({BLUE: False}, NOON.timestamp())[BLUE]
    assert plain.values == {}
    (whole,) = store.read({BLUE: True}, NOON.timestamp())[BLUE]
    assert whole.values == {4.0: 1.0}


def test_a_state_is_told_once_and_not_again_while_it_stays(account: FakeAccount, records: Records) -> None:
    kept = alarms(account, records)
    kept.put(alarm())
    for _ in range(3):
        kept.change("a", "ALARM", "because", "{}", NOON.timestamp())
    assert [event["detail"]["state"]["value"] for event in account.emitted] == ["ALARM"]
    assert alarms(account, records).all()[0][1] == "ALARM"


def test_what_a_killed_account_had_written_and_not_told_is_told_when_it_is_back(
    account: FakeAccount, records: Records, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = alarms(account, records)
    kept.put(alarm())

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(account, "emit", killed)
        with pytest.raises(KeyboardInterrupt):
            kept.change("a", "ALARM", "because", "{}", NOON.timestamp())
    again = alarms(account, records)
    again.resume()
    again.resume()
    assert [event["detail"]["state"]["value"] for event in account.emitted] == ["ALARM"]


def test_a_changed_alarm_keeps_its_state_and_a_deleted_one_is_gone(account: FakeAccount, records: Records) -> None:
    kept = alarms(account, records)
    kept.put(alarm())
    kept.change("a", "ALARM", "because", "{}", NOON.timestamp())
    kept.put(alarm(Threshold=9.0))
    (found,) = kept.describe({})["MetricAlarms"]
    assert (found["StateValue"], found["Threshold"]) == ("ALARM", 9.0)
    kept.delete(["a"])
    assert (kept.describe({})["MetricAlarms"], alarms(account, records).all()) == ([], [])


def test_a_failed_action_is_in_the_history_and_the_others_are_taken(account: FakeAccount, records: Records) -> None:
    published: list[str] = []

    class Sns:
        def publish(self, **given: Any) -> None:
            if given["TopicArn"].endswith("gone"):
                raise RuntimeError("no such topic")
            published.append(given["TopicArn"])

    account.clients["sns"] = Sns()
    kept = alarms(account, records)
    topics = ["arn:aws:sns:us-east-1:123456789012:gone", "arn:aws:sns:us-east-1:123456789012:there"]
    kept.put(alarm(AlarmActions=topics))
    kept.change("a", "ALARM", "because", "{}", NOON.timestamp())
    assert published == topics[1:]
    entries = History(records).describe({"HistoryItemType": "Action", "ScanBy": "TimestampAscending"})
    assert [one["HistorySummary"] for one in entries["AlarmHistoryItems"]] == [
        f"Failed to execute action {topics[0]}",
        f"Successfully executed action {topics[1]}",
    ]


def test_minutes_are_evaluated_one_after_another_and_quick_alarms_between_them(
    account: FakeAccount, records: Records, moto: Moto
) -> None:
    kept = alarms(account, records)
    kept.put(alarm(AlarmName="by-the-minute"))
    kept.put(alarm(AlarmName="quick", Period=10))
    moto.put("blue", NOON + timedelta(seconds=3), value=1.0)
    evaluator = Evaluator(account.clock, kept, MetricStore(moto), lambda: None)
    for seconds in range(0, 301, 10):
        evaluator.look(NOON.timestamp() + seconds)
    told = [
        (one["detail"]["alarmName"], one["detail"]["state"]["value"], one["detail"]["state"]["timestamp"][11:19])
        for one in account.emitted
    ]
    assert told == [
        ("by-the-minute", "OK", "12:00:02"),
        ("quick", "OK", "12:00:02"),
        ("quick", "ALARM", "12:00:12"),
        ("quick", "OK", "12:00:42"),  # its range of three periods has passed
        ("by-the-minute", "ALARM", "12:01:02"),
        ("by-the-minute", "OK", "12:04:02"),
    ]  # fmt: skip
