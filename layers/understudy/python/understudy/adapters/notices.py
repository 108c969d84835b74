"""Where notices go: an SNS topic, and Slack by a webhook that only a secret knows."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import urlsplit

import urllib3

from understudy.contracts.rollout import NotifyEvent
from understudy.domain.notices import Notice
from understudy.errors import InvalidInput, StepFailed

SLACK_HOST = "hooks.slack.com"
PATIENCE_S = 5.0


def publish(sns: Any, topic_arn: str, said: Notice, event: NotifyEvent) -> None:
    """One message; its attributes let a subscription choose by kind or release."""
    attributes = {"kind": event.kind, "release_id": event.release_id}
    sns.publish(
        TopicArn=topic_arn,
        Subject=said.subject.encode("ascii", "replace").decode(),  # SNS takes ASCII there
        Message=said.body,
        MessageAttributes={key: {"DataType": "String", "StringValue": value} for key, value in attributes.items()},
    )


def webhook(url: str) -> str:
    """The URL, if it is a Slack webhook.

    Raises
    ------
    InvalidInput
        Any other host, scheme, port or user: a secret that was tampered with must not send us elsewhere. The URL is not
        repeated in the error, since it is a password.
    """
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError:
        port = -1
    plain = parts.username is None and parts.password is None and port in (None, 443)
    if parts.scheme != "https" or parts.hostname != SLACK_HOST or not plain or not parts.path.startswith("/services/"):
        raise InvalidInput("the Slack webhook's secret holds another address", f"https://{SLACK_HOST}/services/...")
    return url


class Slack:
    def __init__(self, secrets: Any, secret_arn: str, pool: Any = None) -> None:
        self._secrets, self._secret_arn = secrets, secret_arn
        self._pool = pool or urllib3.PoolManager(retries=False)

    def post(self, said: Notice) -> None:
        """Raises StepFailed when Slack does not take it; redirects are not followed."""
        url = webhook(self._secrets.get_secret_value(SecretId=self._secret_arn)["SecretString"].strip())
        try:
            answer = self._pool.request(
                "POST",
                url,
                body=json.dumps({"text": said.body}).encode(),
                headers={"Content-Type": "application/json"},
                timeout=urllib3.Timeout(total=PATIENCE_S),
                redirect=False,
            )
        except urllib3.exceptions.HTTPError as error:
            raise StepFailed("slack", type(error).__name__) from None
        if answer.status != 200:
            raise StepFailed("slack", f"HTTP {answer.status}")
