"""Executions of the roll_back machine: whether one runs, starting one, and telling people that one is stuck."""

from __future__ import annotations

import json
from typing import Any

from understudy.contracts.rollback import RollBackInput


def rolls_back(states: Any, machine_arn: str, rollout_id: str) -> bool:
    """Whether a roll_back of this rollout runs; by its name, which begins with the rollout's."""
    pages = states.get_paginator("list_executions").paginate(stateMachineArn=machine_arn, statusFilter="RUNNING")
    return any(row["name"].startswith(f"{rollout_id}-back-") for page in pages for row in page["executions"])


def start(states: Any, machine_arn: str, name: str, asked: RollBackInput) -> bool:
    """Start a rollback; False when that name was used before, so that a repeated event changes nothing."""
    try:
        states.start_execution(stateMachineArn=machine_arn, name=name, input=asked.model_dump_json(exclude_none=True))
    except states.exceptions.ExecutionAlreadyExists:
        return False
    return True


def page(functions: Any, notify_function: str, asked: RollBackInput, outcome: str) -> None:
    """Tell people that a rollback is stuck."""
    facts = {"outcome": outcome, "reason": asked.reason, "attempt": asked.attempt}
    tell(functions, notify_function, "stuck", asked.release_id, asked.rollout_id, facts)


def tell(
    functions: Any, notify_function: str, kind: str, release_id: str, rollout_id: str, facts: dict[str, Any]
) -> None:
    """Tell people, by the door that knows how (docs/seams.md, Notifications); off this call's way."""
    event = {"kind": kind, "release_id": release_id, "rollout_id": rollout_id, "facts": facts}
    functions.invoke(FunctionName=notify_function, InvocationType="Event", Payload=json.dumps(event).encode())
