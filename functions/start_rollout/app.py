"""A model package was approved, by parameter or by a person: start its release's rollout, under the release's own name.

In   EventBridge `SageMaker Model Package State Change`   events/start_rollout/*.json
Out  {"action": "start" | "leave", "release_id": str, "reason": str}
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoReleases, DynamoTraffic, client
from understudy.adapters.registry import approvals, release_of_package
from understudy.contracts.rollout import PackageApproved
from understudy.domain.rollout import decide_start
from understudy.settings import StartRolloutSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: StartRolloutSettings
    traffic: DynamoTraffic
    releases: DynamoReleases
    sagemaker: Any
    states: Any


@cache
def world() -> World:
    s, dynamodb = StartRolloutSettings.from_env(), client("dynamodb")
    return World(
        s,
        DynamoTraffic(dynamodb, s.traffic_table),
        DynamoReleases(dynamodb, s.releases_table),
        client("sagemaker"),
        client("stepfunctions"),
    )


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, package_arn = world(), PackageApproved.model_validate(event).detail.package_arn
    record = w.releases.get(release_of_package(w.sagemaker, package_arn))
    stage = decide_start(record, w.traffic.current(), approvals=approvals(w.sagemaker, record))
    if stage is None or record is None:
        return {"action": "leave", "release_id": "", "reason": f"{package_arn} belongs to no release of ours"}
    if record.status in ("registered", "pending") and approvals(w.sagemaker, record) == ["Approved", "Approved"]:
        w.releases.move_status(record, "approved", record.fence)
    if stage.action == "fill":  # the same name and input again is the same execution, so a duplicate event is harmless
        start_input = json.dumps({"release_id": record.release_id})
        try:
            w.states.start_execution(
                stateMachineArn=w.settings.roll_out_machine_arn, name=record.release_id, input=start_input
            )
        except w.states.exceptions.ExecutionAlreadyExists:
            stage = stage.model_copy(update={"action": "leave", "reason": "its rollout was started before"})
    logger.info("release approved", release_id=record.release_id, action=stage.action, reason=stage.reason)
    return {
        "action": "start" if stage.action == "fill" else "leave",
        "release_id": record.release_id,
        "reason": stage.reason,
    }
