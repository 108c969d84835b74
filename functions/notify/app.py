"""People are told how a rollout goes: by SNS, and in Slack where a webhook is given.

In   {kind, release_id, rollout_id, facts}   events/notify/*.json
Out  {"told": ["sns", "slack"]}; the machine goes on whether or not this works
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools import Logger

from understudy.adapters.aws import client
from understudy.adapters.notices import Slack, publish
from understudy.contracts.rollout import NotifyEvent
from understudy.domain.notices import notice
from understudy.settings import NotifySettings

logger = Logger()


@dataclass(frozen=True, slots=True)
class World:
    settings: NotifySettings
    sns: Any
    slack: Slack | None


@cache
def world() -> World:
    s = NotifySettings.from_env()
    slack = Slack(client("secretsmanager"), s.slack_webhook_secret_arn) if s.slack_webhook_secret_arn else None
    return World(s, client("sns"), slack)


@logger.inject_lambda_context
def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    w, asked = world(), NotifyEvent.model_validate(event)
    said = notice(asked)
    publish(w.sns, w.settings.topic_arn, said, asked)
    told = ["sns"]
    if w.slack is not None:
        w.slack.post(said)
        told.append("slack")
    logger.info("told", kind=asked.kind, release_id=asked.release_id, rollout_id=asked.rollout_id, to=told)
    return {"told": told}
