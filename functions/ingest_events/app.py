"""A client tells what its user did with a recommendation: put it on the feedback stream as canonical events.

In   API Gateway `POST /events` (payload 2.0)   events/ingest_events/*.json
Out  202 {"accepted", "duplicates", "rejected": [{"index", "what", "expected"}]} | 4xx {"error": {…}}
"""

from __future__ import annotations

from functools import cache
from typing import Any

from understudy.adapters.aws_ingest import IngestWorld, ingest_world
from understudy.contracts.serving import EventsRequest, answer, read_body, refusal
from understudy.errors import InvalidInput
from understudy.settings import IngestEventsSettings


@cache
def world() -> IngestWorld:
    return ingest_world(IngestEventsSettings.from_env())


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w = world()
    try:
        taken = w.take(read_body(event, EventsRequest))
    except InvalidInput as error:
        w.count({"Refused": (1, "Count")}, {"Code": error.code})
        return refusal(error)
    rejected = sorted(taken.rejected, key=lambda each: each["index"])
    return answer(202, {"accepted": len(taken.canonical), "duplicates": taken.duplicates, "rejected": rejected})
