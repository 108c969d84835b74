"""A stack in which alarms ring: real tables and the doors' own code; CloudWatch and Step Functions as their contracts say.

Time is the caller's: every thread sets the moment at which its event is heard, and sees the alarms as they stood then.
"""

from __future__ import annotations

import json
import threading
from bisect import bisect_right
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from understudy.adapters.answering import Machines, Reactor
from understudy.adapters.aws import DynamoLeases
from understudy.adapters.memory import MemoryTraffic
from understudy.adapters.reactions import DynamoEpisodes, DynamoReactions
from understudy.adapters.stage_looks import RolloutState
from understudy.contracts.reactions import Occasion, StateValue
from understudy.contracts.traffic import Standing, Traffic
from understudy.domain.alarms import Alarm, parse_name
from understudy.domain.reactions import Policy

STACK = "understudy"
COOL_DOWN_S = 21_600
POLICY = Policy(STACK, COOL_DOWN_S, settle_s=900, max_in_a_row=3)
ARN = "arn:aws:states:us-east-1:123456789012"
MACHINES = Machines(f"{ARN}:stateMachine:nightly", f"{ARN}:stateMachine:roll-back", "notify")
BEGAN = datetime(2026, 1, 1, tzinfo=UTC)
KEYS = {"leases": ["name"], "state": ["id"], "reactions": ["pk", "sk"]}


class TimedAlarms:
    """Alarms with all their transitions; `at` is the moment that this thread looks."""

    def __init__(self, occasions: Sequence[Occasion]) -> None:
        self._moment = threading.local()
        self._by_alarm: dict[str, list[tuple[datetime, StateValue]]] = {}
        self.tell(occasions)

    def tell(self, occasions: Sequence[Occasion]) -> None:
        for one in occasions:
            self._by_alarm.setdefault(one.alarm, []).append((one.at, one.state))
        for transitions in self._by_alarm.values():
            transitions.sort()

    def at(self, now: datetime) -> datetime:
        self._moment.now = now
        return now

    def current(self) -> tuple[Alarm, ...]:
        found = []
        for text, transitions in self._by_alarm.items():
            name, place = parse_name(STACK, text), bisect_right(transitions, (self._moment.now, "z"))
            if name is not None and place:
                since, state = transitions[place - 1]
                found.append(Alarm(text, name, state, since))
        return tuple(found)


class Executions:
    """Step Functions' side: a name is started once; a night has ended as soon as it is asked about, unless it is told to `stand`."""

    class exceptions:
        class ExecutionAlreadyExists(Exception): ...

        class ExecutionDoesNotExist(ClientError):
            def __init__(self) -> None:
                super().__init__({"Error": {"Code": "ExecutionDoesNotExist", "Message": "no"}}, "DescribeExecution")

    def __init__(self, status: str = "RUNNING") -> None:
        self.started: dict[str, dict[str, Any]] = {}
        self.stands: dict[str, dict[str, Any]] = {}
        self.down = False
        self._status, self._lock = status, threading.Lock()

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> None:
        if self.down:
            raise ConnectionError("Step Functions does not answer")
        arn = f"{stateMachineArn.replace(':stateMachine:', ':execution:')}:{name}"
        with self._lock:
            if arn in self.stands:
                raise self.exceptions.ExecutionAlreadyExists
            self.started[name] = json.loads(input)
            self.stands[arn] = {"status": self._status}

    def describe_execution(self, executionArn: str) -> dict[str, Any]:
        if executionArn not in self.stands:
            raise self.exceptions.ExecutionDoesNotExist
        return self.stands[executionArn]

    def get_paginator(self, _operation: str) -> Executions:
        return self

    def paginate(self, stateMachineArn: str, statusFilter: str) -> list[dict[str, Any]]:
        prefix = stateMachineArn.replace(":stateMachine:", ":execution:")
        rows = [arn for arn, said in self.stands.items() if arn.startswith(prefix) and said["status"] == statusFilter]
        return [{"executions": [{"name": arn.rpartition(":")[2]} for arn in rows]}]

    def ends(self, run: str, status: str, error: str | None = None, at: datetime = BEGAN) -> None:
        self.stands[MACHINES.night(run)] = {"status": status, "stopDate": at, **({"error": error} if error else {})}

    def nights(self) -> list[str]:
        return [name for name in self.started if name.startswith("drift-")]


class Pages:
    """Lambda's side: what people were told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def invoke(self, FunctionName: str, InvocationType: str, Payload: bytes) -> None:
        del FunctionName, InvocationType
        self.told.append(json.loads(Payload))


def create_tables(dynamodb: Any, mark: str = "") -> SimpleNamespace:
    """Leases, state and reactions as template.yaml has them; their names end in `mark`."""
    for table, names in KEYS.items():
        dynamodb.create_table(
            TableName=f"{table}{mark}",
            KeySchema=[
                {"AttributeName": n, "KeyType": kind} for n, kind in zip(names, ("HASH", "RANGE"), strict=False)
            ],
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in names],
            BillingMode="PAY_PER_REQUEST",
        )
    return SimpleNamespace(**{table: f"{table}{mark}" for table in KEYS})


def reactor(
    dynamodb: Any, tables: SimpleNamespace, alarms: Any, *, began: datetime = BEGAN, status: str = "SUCCEEDED"
) -> Reactor:
    """A reactor before anything happened: r-old serves alone. `status`: how an execution stands once it was started."""
    old = Standing(release="r-old", slot="blue")
    since = began - timedelta(days=1)
    first = Traffic(change_id="r-old:champion", champion=old, salt="s", reason="first", changed_at=since)
    return Reactor(
        policy=POLICY,
        machines=MACHINES,
        alarms=alarms,
        traffic=MemoryTraffic(first),
        leases=DynamoLeases(dynamodb, tables.leases),
        episodes=DynamoEpisodes(dynamodb, tables.state),
        reactions=DynamoReactions(dynamodb, tables.reactions),
        rollouts=RolloutState(dynamodb, tables.state),
        states=Executions(status),
        functions=Pages(),
    )
