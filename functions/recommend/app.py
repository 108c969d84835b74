"""A user asks: answer with the release the user is assigned to, within 250 ms, whatever is down.

In   API Gateway `POST /recommend` (payload 2.0)   events/recommend/*.json
Out  200 {"items", "release_id", "recommendation_id", "degraded"} | 4xx {"error": {"code", "what", "expected"}}
"""

from __future__ import annotations

import os
from functools import cache
from typing import Any

from understudy.adapters.aws_recommend import RecommendWorld, recommend_world
from understudy.contracts.serving import RecommendRequest, answer, read_body, refusal
from understudy.errors import InvalidInput
from understudy.observability import count
from understudy.settings import RecommendSettings


@cache
def world() -> RecommendWorld:
    return recommend_world(RecommendSettings.from_env())


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w = world()
    deadline = w.deadline()
    try:
        request = read_body(event, RecommendRequest)
        served, token = w.answer(request, deadline)
    except InvalidInput as error:
        count({"Refused": (1, "Count")}, {"Code": error.code})
        return refusal(error)
    body = answer(200, served.answer(token))
    w.report(served, deadline)
    return body


if "AWS_LAMBDA_RUNTIME_API" in os.environ:  # in a Lambda: wire before the first request, on the start-up's own time
    world().warm()
