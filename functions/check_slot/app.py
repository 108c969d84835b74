"""Are both endpoints in service, with the very configurations and instances that were asked for?

In   AskedSlot   events/check_slot/*.json
Out  {"in_service": [endpoint names]}; NotReady until they are, SlotChanged when one came to rest elsewhere
"""

from __future__ import annotations

from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import client
from understudy.adapters.endpoints import check_in_service
from understudy.contracts.rollout import AskedSlot

logger = Logger()


@cache
def world() -> Any:
    return client("sagemaker")


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    asked = AskedSlot.model_validate(event)
    for endpoint in asked.endpoints:
        check_in_service(world(), endpoint)
    names = [one.endpoint for one in asked.endpoints]
    logger.info("slot in service", endpoints=names)
    return {"in_service": names}
