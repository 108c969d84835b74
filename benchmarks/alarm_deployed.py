"""Storms of alarms through a deployed stack: SetAlarmState, EventBridge, the real function, and nights of the real machine."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from unittest.mock import patch

import boto3

from benchmarks.alarm_world import STACK
from cli.site import Site
from understudy.adapters.reactions import DynamoReactions
from understudy.contracts.reactions import Occasion
from understudy.domain.alarms import occasion_of

ROOT = Path(__file__).parents[1]
DRIFTS = [f"drift-{kind}" for kind in ("data-quality", "model-quality", "bias", "explainability", "ranking-quality")]
COOL_DOWN_S = 60  # longer than fifty events take
ROUNDS = 5  # of all five alarms up and down: fifty events
PATIENCE_S = 120


@dataclass
class Storms:
    """`retrains` by storm; `wrong` are storms without exactly one; `lost` events without a settled decision."""

    events: int = 0
    lost: int = 0
    wrong: int = 0
    retrains: list[int] = field(default_factory=list)


@contextmanager
def deployed_stack() -> Iterator[Site]:
    """An account of its own with the stack in it."""
    from local_account import lifecycle
    from local_account.deploy.deployment import deploy

    with tempfile.TemporaryDirectory() as folder:
        endpoint = lifecycle.up(Path(folder))
        parameters = {"OpenSearchUrl": f"{endpoint.url}/opensearch/items", "OpenSearchDomainName": "items"}
        try:
            with patch.dict(os.environ, endpoint.environment()):
                session = boto3.Session()
                deploy(session, ROOT, STACK, {**parameters, "CoolDownSeconds": str(COOL_DOWN_S)}, lambda _line: None)
                yield Site(session, STACK)
        finally:
            lifecycle.down(Path(folder))


def deployed_storms(number: int = 2) -> Storms:
    """Fifty events each, one cool-down after the other, on a stack of its own."""
    with deployed_stack() as site:
        return storms_on(site, number)


def storms_on(site: Site, number: int, *, cool_down_s: int = COOL_DOWN_S) -> Storms:
    """Storms on a deployed stack whose cool-down is `cool_down_s` and whose drift alarms nobody else moves."""
    result, before = Storms(), set[str]()
    for storm in range(number):
        if storm:
            time.sleep(cool_down_s)
        said = _strike(site)
        lost = _decided(site, said)
        nights = _stopped(site)
        result.events += len(said)
        result.lost += lost
        result.retrains.append(len(nights - before))
        before |= nights
    result.wrong = sum(count != 1 for count in result.retrains)
    return result


def ring(site: Site, what: str, state: str = "ALARM") -> None:
    """An alarm of the stack into a state; one that a test's stack lacks is made, without data and so without a state of its own."""
    cloudwatch, name = site.client("cloudwatch"), f"{site.stack}-{what}"
    if not cloudwatch.describe_alarms(AlarmNames=[name])["MetricAlarms"]:
        cloudwatch.put_metric_alarm(
            AlarmName=name,
            Namespace="Test",
            MetricName=what,
            Statistic="Maximum",
            Period=3600,
            EvaluationPeriods=1,
            Threshold=1,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
            TreatMissingData="ignore",
        )
    cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a storm")


def _strike(site: Site) -> list[Occasion]:
    """Every drift alarm up and down and up again, all at once; what CloudWatch says has happened since."""
    states = [state for _ in range(ROUNDS) for state in ("OK", "ALARM")]

    def flap(what: str) -> list[Occasion]:
        cloudwatch, name = site.client("cloudwatch"), f"{site.stack}-{what}"
        ring(site, what, states[0])
        for state in states[1:]:
            cloudwatch.set_alarm_state(AlarmName=name, StateValue=state, StateReason="a storm")
        pages = cloudwatch.get_paginator("describe_alarm_history").paginate(
            AlarmName=name, HistoryItemType="StateUpdate"
        )
        rows = [row for page in pages for row in page["AlarmHistoryItems"]]
        return [occasion_of(name, _state(row["HistorySummary"]), row["Timestamp"]) for row in rows]

    with ThreadPoolExecutor(len(DRIFTS)) as pool:
        return [occasion for found in pool.map(flap, DRIFTS) for occasion in found]


def _state(summary: str) -> Any:
    """Alarm updated from OK to ALARM."""
    return summary.rpartition(" to ")[2].strip().rstrip(".")


def _decided(site: Site, occasions: list[Occasion]) -> int:
    """How many of the occasions have no settled decision after a while."""
    reactions, ends = (
        DynamoReactions(site.client("dynamodb"), site.outputs["ReactionsTable"]),
        time.monotonic() + PATIENCE_S,
    )
    left = set(occasions)
    while left and time.monotonic() < ends:
        time.sleep(0.5)
        left = {one for one in left if (found := reactions.get(one)) is None or not found.settled}
    return len(left)


def _stopped(site: Site) -> set[str]:
    """Names of the retrains by drift; those that run are stopped, since there is nothing to train on."""
    states, machine = site.client("stepfunctions"), site.outputs["NightlyMachineArn"]
    pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine)
    rows = [row for page in pages for row in page["executions"] if row["name"].startswith("drift-")]
    for row in rows:
        if row["status"] == "RUNNING":
            states.stop_execution(executionArn=row["executionArn"])
    return {row["name"] for row in rows}
