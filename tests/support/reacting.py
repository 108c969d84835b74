"""A reactor over real tables, with alarms and executions as a test says."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from threading import Lock
from types import SimpleNamespace
from typing import Any

from botocore.exceptions import ClientError

from understudy.adapters.answering import Machines, Reactor
from understudy.adapters.aws import DynamoLeases
from understudy.adapters.memory import MemoryTraffic
from understudy.adapters.reactions import DynamoEpisodes, DynamoReactions
from understudy.adapters.stage_looks import RolloutState
from understudy.contracts.reactions import Occasion
from understudy.contracts.traffic import Standing, Traffic
from understudy.domain.alarms import Alarm, occasion_of, parse_name
from understudy.domain.reactions import Policy

STACK = "understudy"
NOW = datetime(2026, 11, 23, 14, 5, 7, tzinfo=UTC)
COOL_DOWN_S = 21_600
POLICY = Policy(STACK, COOL_DOWN_S, settle_s=900, max_in_a_row=3)
ARN = "arn:aws:states:us-east-1:123456789012"
MACHINES = Machines(f"{ARN}:stateMachine:nightly", f"{ARN}:stateMachine:roll-back", "notify")
OLD, NEW = Standing(release="r-old", slot="blue"), Standing(release="r-new", slot="green")


def alarm(what: str, state: str = "ALARM", since: datetime = NOW) -> Alarm:
    """`alarm("drift-bias")` rings."""
    text = f"{STACK}-{what}"
    name = parse_name(STACK, text)
    assert name is not None, text
    return Alarm(text, name, state, since)  # type: ignore[arg-type]


def occasion(what: str, at: datetime = NOW, state: str = "ALARM") -> Occasion:
    return occasion_of(f"{STACK}-{what}", state, at)  # type: ignore[arg-type]


def event(what: str, at: datetime = NOW, state: str = "ALARM") -> dict[str, Any]:
    """As EventBridge delivers it."""
    stamp = at.strftime("%Y-%m-%dT%H:%M:%S.412+0000")
    detail = {"alarmName": f"{STACK}-{what}", "state": {"value": state, "reason": "a test", "timestamp": stamp}}
    return {"source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "detail": detail}


@dataclass
class Alarms:
    """The stack's alarms: what rings is what `ring` was told."""

    known: dict[str, Alarm] = field(default_factory=dict)

    def current(self) -> tuple[Alarm, ...]:
        return tuple(self.known.values())

    def ring(self, what: str, at: datetime = NOW, state: str = "ALARM") -> None:
        self.known[f"{STACK}-{what}"] = alarm(what, state, at)


class Executions:
    """Step Functions' side: what was started, how often it was asked for, and how it stands."""

    class exceptions:
        class ExecutionAlreadyExists(Exception): ...

        class ExecutionDoesNotExist(ClientError):
            def __init__(self) -> None:
                super().__init__({"Error": {"Code": "ExecutionDoesNotExist", "Message": "no"}}, "DescribeExecution")

    def __init__(self) -> None:
        self.started: dict[str, dict[str, Any]] = {}
        self.stands: dict[str, dict[str, Any]] = {}
        self.down = False
        self._lock = Lock()

    def start_execution(self, stateMachineArn: str, name: str, input: str) -> None:
        if self.down:
            raise ConnectionError("Step Functions does not answer")
        with self._lock:
            arn = f"{stateMachineArn.replace(':stateMachine:', ':execution:')}:{name}"
            if arn in self.stands:
                raise self.exceptions.ExecutionAlreadyExists
            self.started[name] = json.loads(input)
            self.stands[arn] = {"status": "RUNNING"}

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

    def ends(self, run: str, status: str, error: str | None = None, at: datetime = NOW) -> None:
        said = {"status": status, "stopDate": at, **({"error": error} if error else {})}
        self.stands[MACHINES.night(run)] = said

    def nights(self) -> list[str]:
        return [name for name in self.started if name.startswith("drift-")]


class Pages:
    """Lambda's side: what people were told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def invoke(self, FunctionName: str, InvocationType: str, Payload: bytes) -> None:
        self.told.append(json.loads(Payload))


def create_tables(dynamodb: Any, mark: str = "") -> SimpleNamespace:
    """Leases, state and reactions as template.yaml has them; their names end in `mark`."""
    keys = {"leases": ["name"], "state": ["id"], "reactions": ["pk", "sk"]}
    for table, names in keys.items():
        dynamodb.create_table(
            TableName=f"{table}{mark}",
            KeySchema=[
                {"AttributeName": n, "KeyType": kind} for n, kind in zip(names, ("HASH", "RANGE"), strict=False)
            ],
            AttributeDefinitions=[{"AttributeName": n, "AttributeType": "S"} for n in names],
            BillingMode="PAY_PER_REQUEST",
        )
    return SimpleNamespace(**{table: f"{table}{mark}" for table in keys})


def reactor(dynamodb: Any, tables: SimpleNamespace, policy: Policy = POLICY) -> Reactor:
    """A reactor before anything happened: r-old serves alone."""
    first = Traffic(
        change_id="r-old:champion", champion=OLD, salt="s", reason="first", changed_at=NOW - timedelta(days=1)
    )
    return Reactor(
        policy=policy,
        machines=MACHINES,
        alarms=Alarms(),  # type: ignore[arg-type]
        traffic=MemoryTraffic(first),
        leases=DynamoLeases(dynamodb, tables.leases),
        episodes=DynamoEpisodes(dynamodb, tables.state),
        reactions=DynamoReactions(dynamodb, tables.reactions),
        rollouts=RolloutState(dynamodb, tables.state),
        states=Executions(),
        functions=Pages(),
    )
