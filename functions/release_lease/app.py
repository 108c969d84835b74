"""A night or a rollout ended: its lease is free again, if it is still its own.

In   {lease, owner} from the machine's last state, or `Step Functions Execution Status Change` of a run that failed,
     timed out or was stopped   events/release_lease/*.json
Out  {"released": [lease names]}
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoLeases, client
from understudy.contracts.rollout import LeaseEvent, RunEnded
from understudy.domain.night import NIGHT_LEASE
from understudy.domain.rollout import STAGE_LEASE
from understudy.settings import ReleaseLeaseSettings

logger = Logger()


@cache
def world() -> DynamoLeases:
    return DynamoLeases(client("dynamodb"), ReleaseLeaseSettings.from_env().lease_table)


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    if "detail" in event:
        names, owner = [NIGHT_LEASE, STAGE_LEASE], RunEnded.model_validate(event).detail["executionArn"]
    else:
        asked = LeaseEvent.model_validate(event)
        names, owner = [asked.lease], asked.owner
    leases, released = world(), []
    for name in names:
        held = leases.holder(name)
        if held is not None and held.owner == owner:
            leases.release(held)
            released.append(name)
    logger.info("run ended", owner=owner, released=released)
    return {"released": released}
