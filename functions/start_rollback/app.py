"""A rollout, or a rollback, ended badly: what it left is rolled back, and a person is told when that does not help.

In   EventBridge `Step Functions Execution Status Change`, FAILED | TIMED_OUT | ABORTED   events/start_rollback/*.json
Out  {"action": "start" | "give_up" | "leave", "name", "reason"}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoLeases, DynamoReleases, DynamoTraffic, client
from understudy.adapters.rollbacks import page, rolls_back, start
from understudy.contracts.rollback import ExecutionEnded
from understudy.domain.rollback import Found, answer_to_end, asked_of
from understudy.domain.rollout import STAGE_LEASE
from understudy.ports import LeaseStore, ReleaseStore, TrafficStore
from understudy.settings import StartRollbackSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: StartRollbackSettings
    traffic: TrafficStore
    leases: LeaseStore
    releases: ReleaseStore
    states: Any
    functions: Any


@cache
def world() -> World:
    s, dynamodb = StartRollbackSettings.from_env(), client("dynamodb")
    stores = (
        DynamoTraffic(dynamodb, s.traffic_table),
        DynamoLeases(dynamodb, s.lease_table),
        DynamoReleases(dynamodb, s.releases_table),
    )
    return World(s, *stores, client("stepfunctions"), client("lambda"))


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, ended = world(), ExecutionEnded.model_validate(event).detail
    asked, s = asked_of(ended, json.loads(ended.input)), w.settings
    running = rolls_back(w.states, s.roll_back_machine_arn, asked.rollout_id)
    found = Found(w.traffic.current(), w.leases.holder(STAGE_LEASE), w.releases.get(asked.release_id), running)
    answer = answer_to_end(ended, asked, found, max_age_s=s.max_age_s)
    if answer.action == "start" and answer.input is not None:
        start(w.states, s.roll_back_machine_arn, answer.name, answer.input)
    if answer.action == "give_up" or (asked.attempt and answer.action == "start"):
        page(w.functions, s.notify_function, asked, f"{ended.name} ended {ended.status}: {answer.reason}")
    logger.info(
        "execution ended", execution=ended.name, status=ended.status, action=answer.action, reason=answer.reason
    )
    return {"action": answer.action, "name": answer.name, "reason": answer.reason}
