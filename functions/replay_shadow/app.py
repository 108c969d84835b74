"""The shadow stage: put copies of answered requests to the whole candidate release, and count how it would have done.

In   SQS batch of `contracts.shadow.ShadowCopy`   events/replay_shadow/*.json
Out  {"batchItemFailures": [{"itemIdentifier"}]}   what shall be delivered again, and in the end to the dead letters
"""

from __future__ import annotations

from functools import cache
from typing import Any

from understudy.adapters.aws_replay import ReplayWorld, replay_world
from understudy.contracts.outcomes import QueueBatch
from understudy.contracts.shadow import ShadowCopy
from understudy.observability import log
from understudy.settings import ReplayShadowSettings


@cache
def world() -> ReplayWorld:
    return replay_world(ReplayShadowSettings.from_env())


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, failures = world(), []
    for record in QueueBatch.model_validate(event).Records:
        try:
            w.play(ShadowCopy.model_validate_json(record.body))
        except Exception as error:  # noqa: BLE001 - one copy's failure is delivered again and costs the others nothing
            log("ERROR", "copy not replayed", message_id=record.messageId, why=type(error).__name__)
            failures.append({"itemIdentifier": record.messageId})
    return {"batchItemFailures": failures}
