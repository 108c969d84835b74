"""A log object landed: add its lines to the outcomes of release, traffic version, hour and bucket, each once.

In   SQS batch of EventBridge `Object Created` of S3   events/aggregate_outcomes/*.json
Out  {"batchItemFailures": [{"itemIdentifier"}]}   what shall be delivered again
"""

from __future__ import annotations

from functools import cache
from typing import Any

from pydantic import ValidationError

from understudy.adapters.aws_aggregate import AggregateWorld, aggregate_world
from understudy.contracts.outcomes import ObjectCreated, QueueBatch
from understudy.observability import log
from understudy.settings import AggregateOutcomesSettings


@cache
def world() -> AggregateWorld:
    return aggregate_world(AggregateOutcomesSettings.from_env())


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, failures = world(), []
    for record in QueueBatch.model_validate(event).Records:
        try:
            created = ObjectCreated.model_validate_json(record.body)
        except ValidationError as error:
            w.dead_letters.send("event", str(error.errors(include_input=False)[0]["msg"]), record.body)
            continue
        try:
            log("INFO", "log object counted", key=created.detail.object.key, **w.count_object(created))
        except Exception as error:  # noqa: BLE001 - one object's failure is delivered again and costs the others nothing
            log("ERROR", "log object failed", key=created.detail.object.key, why=f"{type(error).__name__}: {error}")
            failures.append({"itemIdentifier": record.messageId})
    return {"batchItemFailures": failures}
