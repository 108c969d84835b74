"""A release must go: its users go back to the champion, or to the one before, in one write and before anything else.

In   {release_id, rollout_id, reason, change_id, at}   events/take_down/*.json
Out  {"taken_down": bool, "reason", "traffic": as it is now | null}
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import DynamoTraffic, client
from understudy.adapters.descent import take_down
from understudy.adapters.gauges import tell_shares
from understudy.contracts.rollback import TakeDownEvent
from understudy.ports import TrafficStore
from understudy.settings import TakeDownSettings

logger = Logger()


@cache
def world() -> TrafficStore:
    return DynamoTraffic(client("dynamodb"), TakeDownSettings.from_env().traffic_table)


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    asked = TakeDownEvent.model_validate(event)
    move, traffic = take_down(world(), asked)
    tell_shares(traffic)
    taken_down = traffic is not None and traffic.change_id == asked.change_id
    logger.info(
        "taken down" if taken_down else "was not on stage",
        release_id=asked.release_id,
        rollout_id=asked.rollout_id,
        reason=move.reason,
        version=traffic.version if traffic else None,
        fence=traffic.fence if traffic else None,
    )
    now = traffic.model_dump(mode="json") if traffic else None
    return {"taken_down": taken_down, "reason": move.reason, "traffic": now}
