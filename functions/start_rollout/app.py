"""A model package was approved, by parameter or by a person: start its release's rollout, under the release's own name.

In   EventBridge `SageMaker Model Package State Change`   events/start_rollout/*.json
Out  {"action": "start" | "leave", "release_id": str, "reason": str}
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoReleases, client
from understudy.adapters.registry import approvals, release_of_package
from understudy.adapters.stage import start_once, take_back
from understudy.contracts.rollout import PackageApproved
from understudy.domain.rollout import WAITING, decide_start
from understudy.settings import StartRolloutSettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: StartRolloutSettings
    releases: DynamoReleases
    sagemaker: Any
    states: Any


@cache
def world() -> World:
    s = StartRolloutSettings.from_env()
    releases = DynamoReleases(client("dynamodb"), s.releases_table)
    return World(s, releases, client("sagemaker"), client("stepfunctions"))


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, package_arn = world(), PackageApproved.model_validate(event).detail.package_arn
    record = w.releases.get(release_of_package(w.sagemaker, package_arn))
    why_not = decide_start(record, approvals(w.sagemaker, record))
    if record is not None and why_not is None:
        if record.status != WAITING:
            w.releases.move_status(record, WAITING, record.fence)
        why_not = start_once(w.states, w.settings.roll_out_machine_arn, record.release_id)
    elif record is not None:
        take_back(w.sagemaker, record)
    release_id = record.release_id if record else ""
    action, reason = ("start", "approved") if why_not is None else ("leave", why_not)
    logger.info("release approved", package=package_arn, release_id=release_id, action=action, reason=reason)
    return {"action": action, "release_id": release_id, "reason": reason}
