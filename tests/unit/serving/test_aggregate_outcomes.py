"""functions/aggregate_outcomes: exact under duplicates, any order and crashes; what cannot be counted is put aside."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import timedelta
from types import ModuleType
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.doors import CONTEXT, golden, load_door
from support.outcome_logs import (
    NOW,
    Bucket,
    Crash,
    Letters,
    MemoryOutcomes,
    MemoryShown,
    created,
    feedback,
    request_id,
    served,
)
from support.soak import examples
from understudy.adapters.aws_aggregate import AggregateWorld
from understudy.domain.outcomes import MAX_ACTIONS, MAX_AGE, Row, feedback_fact, packs
from understudy.settings import AggregateOutcomesSettings

SETTINGS = AggregateOutcomesSettings(outcomes_table="outcomes", dead_letter_queue_url="https://queue")
HOUR = "2026-03-01T04"
WINDOW = timedelta(hours=24)


def world(bucket: Bucket, outcomes: MemoryOutcomes, letters: Letters | None = None) -> AggregateWorld:
    dead_letters: Any = letters or Letters()
    shown: Any = MemoryShown()
    return AggregateWorld(SETTINGS, bucket, outcomes, shown, dead_letters, lambda: NOW)


def count(lines: Iterable[Mapping[str, Any] | str], key: str = "served/a", **how: Any) -> MemoryOutcomes:
    bucket, outcomes = Bucket(), MemoryOutcomes()
    bucket.put(key, lines, **how)
    world(bucket, outcomes).count_object(created(key))
    return outcomes


def test_a_request_counts_for_the_release_and_the_version_of_traffic_it_was_assigned_by() -> None:
    failed = served(3, error="ranker: down", assigned_release_id="r-2", assigned_latency_ms=None)
    rows = count([served(0), failed, served(6, degraded=["index"]), served(9, traffic_version=8)]).rows
    plain = {"requests": 1, "latency_le_12": 1, "latency_ms_sum": 12.5}
    assert rows == {
        Row("r-1", 7, HOUR, 0): {"requests": 2, "latency_le_12": 2, "latency_ms_sum": 25.0, "degraded": 1},
        Row("r-2", 7, HOUR, 0): {"requests": 1, "latency_le_inf": 1, "latency_ms_sum": 12.5, "errors": 1},
        Row("r-1", 8, HOUR, 0): plain,
    }


def test_a_click_belongs_to_request_and_item() -> None:
    lines = [feedback(0, "click", "i-1", copy) for copy in range(3)] + [feedback(0, "click", "i-2")]
    assert count(lines, "feedback/a").rows == {Row("r-1", 7, HOUR, 0): {"clicks": 2}}


def test_feedback_counts_in_the_hour_of_its_request_and_after_the_window_as_late_only() -> None:
    at = NOW - timedelta(hours=25)
    late = feedback(0, "click", "i-1", request_id=request_id(0, at))
    on_time = feedback(0, "like", "i-1", request_id=request_id(0, NOW - WINDOW))
    rows = count([late, on_time], "feedback/a").rows
    assert rows[Row("r-1", 7, "2026-02-28T05", 0)] == {"late_clicks": 1}
    assert rows[Row("r-1", 7, "2026-02-28T06", 0)] == {"likes": 1}


@pytest.mark.parametrize("late_first", [True, False])
def test_a_click_in_time_counts_whether_its_late_copy_came_before_or_after_it(late_first: bool) -> None:
    at = NOW - timedelta(hours=25)
    in_time = feedback(0, "click", "i-1", request_id=request_id(0, at), known_at=at.isoformat())
    late = feedback(0, "click", "i-1", request_id=request_id(0, at))
    lines = [late, in_time] if late_first else [in_time, late]
    assert count(lines, "feedback/a").rows == {Row("r-1", 7, "2026-02-28T05", 0): {"clicks": 1, "late_clicks": 1}}


@pytest.mark.parametrize(
    ("older_s", "counted"),
    [pytest.param(0, 1, id="as old as markers are sure of"), pytest.param(1, 0, id="older: may have been counted")],
)
def test_a_line_older_than_the_markers_is_left_out(older_s: int, counted: int) -> None:
    line = served(0, request_id=request_id(0, NOW - MAX_AGE - timedelta(seconds=older_s)))
    assert len(count([line]).rows) == counted


def test_zipped_objects_and_plain_ones_are_read_alike() -> None:
    lines = [served(n) for n in range(5)]
    assert count(lines, zipped=True).rows == count(lines).rows


def test_bad_lines_go_to_the_queue_with_their_reason_and_the_rest_goes_on() -> None:
    bucket, outcomes, letters = Bucket(), MemoryOutcomes(), Letters()
    bad = ["{not json", '{"request_id": "x"}', "[1]", "[" * 5000, json.dumps(served(1, latency_ms=-1)), '"\\ud800"']
    bucket.put("served/a", [served(0), *bad, "", served(3)])
    made = world(bucket, outcomes, letters).count_object(created("served/a"))
    assert made == {"counted": 2, "dead": len(bad), "duplicates": 0}
    assert [where for where, _, _ in letters.sent] == [f"s3://lake/served/a:{n}" for n in range(2, 8)]
    assert all(reason for _, reason, _ in letters.sent)


def test_objects_of_other_logs_are_none_of_its_business() -> None:
    assert count([served(0)], "capture/a").rows == {}


def test_a_whole_batch_is_counted_and_an_unreadable_message_put_aside(monkeypatch: pytest.MonkeyPatch) -> None:
    door = load_door("aggregate_outcomes")
    bucket, outcomes, letters = Bucket(), MemoryOutcomes(), Letters()
    bucket.put("served/2026/03/01/04/served-1", [served(0)])
    bucket.put("feedback/2026/03/01/04/feedback-1", [feedback(0, "click", "i-1")])
    monkeypatch.setattr(door, "world", lambda: world(bucket, outcomes, letters))
    for event in ("two_log_objects", "unreadable_message"):
        assert door.handler(golden(f"aggregate_outcomes/{event}"), CONTEXT) == {"batchItemFailures": []}
    assert outcomes.rows[Row("r-1", 7, HOUR, 0)] == {
        "requests": 1,
        "clicks": 1,
        "latency_le_12": 1,
        "latency_ms_sum": 12.5,
    }
    assert len(letters.sent) == 1


def test_an_object_that_fails_is_delivered_again_and_costs_the_others_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    door: ModuleType = load_door("aggregate_outcomes")
    bucket, outcomes = Bucket(), MemoryOutcomes()
    bucket.put("feedback/2026/03/01/04/feedback-1", [feedback(0, "click", "i-1")])  # the first object is missing
    monkeypatch.setattr(door, "world", lambda: world(bucket, outcomes))
    event = golden("aggregate_outcomes/two_log_objects")
    answer = door.handler(event, CONTEXT)
    assert answer == {"batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]}
    assert outcomes.rows[Row("r-1", 7, HOUR, 0)] == {"clicks": 1}


def test_a_transaction_never_has_more_actions_than_dynamodb_takes() -> None:
    from understudy.contracts.outcomes import FeedbackLine

    lines = [feedback(n, "impression", f"i-{item}", bucket=n % 9) for n in range(40) for item in range(10)]
    facts = [feedback_fact(FeedbackLine.model_validate(line), NOW, WINDOW) for line in lines]
    made = list(packs(facts))
    assert sum(len(pack) for pack, _ in made) == 400
    assert all(len(pack) + len({fact.row for fact in pack}) <= MAX_ACTIONS for pack, _ in made)


def expected(lines: Iterable[Mapping[str, Any]]) -> dict[Row, dict[str, float]]:
    """What the lines mean, counted the plain way: by sets."""
    requests: dict[Row, set[str]] = defaultdict(set)
    touched: dict[Row, set[tuple[str, str, str]]] = defaultdict(set)
    for line in lines:
        row = Row(line["assigned_release_id"], line["traffic_version"], HOUR, line["bucket"])
        if "event_type" in line:
            touched[row].add((line["request_id"], line["event_type"], line["item_id"]))
        else:
            requests[row].add(line["request_id"])
    rows: dict[Row, dict[str, float]] = {}
    for row in requests.keys() | touched.keys():
        rows[row] = {}
        if n := len(requests[row]):
            rows[row] |= {"requests": n, "latency_le_12": n, "latency_ms_sum": 12.5 * n}
        for kind, name in (("click", "clicks"), ("impression", "impressions")):
            if n := sum(each[1] == kind for each in touched[row]):
                rows[row][name] = n
    return rows


SERVED = st.builds(served, st.integers(0, 8))
FEEDBACK = st.builds(
    feedback, st.integers(0, 8), st.sampled_from(["click", "impression"]), st.sampled_from("abc"), st.integers(0, 2)
)


@settings(max_examples=examples(40, 2000), deadline=None)
@given(
    served_objects=st.lists(st.lists(SERVED, max_size=12), max_size=4),
    feedback_objects=st.lists(st.lists(FEEDBACK, max_size=20), max_size=4),
    data=st.data(),
)
def test_counts_are_exact_under_any_order_duplicates_and_crashes(
    served_objects: list[list[dict[str, Any]]], feedback_objects: list[list[dict[str, Any]]], data: st.DataObject
) -> None:
    bucket, outcomes = Bucket(), MemoryOutcomes()
    keys = [bucket.put(f"served/{n}", lines) for n, lines in enumerate(served_objects)]
    keys += [bucket.put(f"feedback/{n}", lines) for n, lines in enumerate(feedback_objects)]
    crash = st.tuples(st.integers(1, 20), st.sampled_from(["before", "after"]))
    outcomes.crashes = data.draw(st.sets(crash, max_size=6))
    deliveries = data.draw(st.permutations(keys * 3))
    for key in [*deliveries, *keys]:  # at least once after every crash: SQS delivers again until it was done
        w = world(bucket, outcomes)
        while True:
            try:
                w.count_object(created(key))
                break
            except Crash:
                continue
    assert outcomes.rows == expected(line for lines in [*served_objects, *feedback_objects] for line in lines)
    outcomes.crashes = set()
    before = {row: dict(counts) for row, counts in outcomes.rows.items()}
    for n, key in enumerate(keys):  # the whole log once more under other names: nothing changes
        again = bucket.put(f"{key.split('/')[0]}/again-{n}", [])
        bucket.objects[again] = bucket.objects[key]
        world(bucket, outcomes).count_object(created(again))
    assert outcomes.rows == before
