"""functions/notify: SNS always, Slack where a webhook is given, and nothing goes anywhere else."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import urllib3

from support.doors import CONTEXT, golden, load_door
from understudy.adapters.notices import Slack, webhook
from understudy.errors import InvalidInput, StepFailed
from understudy.settings import NotifySettings

EVENT = golden("notify/verdict")
WEBHOOK = "https://hooks.slack.com/services/T000/B000/XXXX"


class Pool:
    """urllib3's pool: keeps what was posted, answers as told."""

    def __init__(self) -> None:
        self.posted: list[tuple[str, dict[str, Any], dict[str, Any]]] = []
        self.status, self.error = 200, None

    def request(self, method: str, url: str, body: bytes, **options: Any) -> Any:
        assert method == "POST"
        if self.error:
            raise self.error
        self.posted.append((url, json.loads(body), options))
        return SimpleNamespace(status=self.status)


@pytest.fixture
def topic(aws):
    """A topic and the queue that hears it."""
    sns, sqs = aws.client("sns"), aws.client("sqs")
    arn, url = sns.create_topic(Name="t")["TopicArn"], sqs.create_queue(QueueName="q")["QueueUrl"]
    sns.subscribe(TopicArn=arn, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:q")

    def heard() -> list[dict[str, Any]]:
        return [
            json.loads(m["Body"]) for m in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        ]

    return SimpleNamespace(sns=sns, arn=arn, heard=heard)


@pytest.fixture
def door(topic, monkeypatch):
    module: Any = load_door("notify")
    module.slack = None
    settings = NotifySettings(topic_arn=topic.arn)
    monkeypatch.setattr(module, "world", lambda: module.World(settings, topic.sns, module.slack))
    return module


def slack(secret: str = WEBHOOK) -> tuple[Slack, Pool]:
    pool = Pool()
    secrets = SimpleNamespace(get_secret_value=lambda SecretId: {"SecretString": secret})
    return Slack(secrets, "arn:secret", pool), pool


def test_everybody_subscribed_hears_what_happened_and_why(door, topic):
    assert door.handler(EVENT, CONTEXT) == {"told": ["sns"]}
    (message,) = topic.heard()
    assert message["Subject"] == "Understudy: r-20261123-1a2b3c4d: goes on"
    assert "reason: the sample is large enough" in message["Message"]
    assert message["MessageAttributes"]["kind"]["Value"] == "verdict"


def test_slack_hears_the_same_by_its_webhook(door, topic):
    door.slack, pool = slack(WEBHOOK + "\n")
    assert door.handler(EVENT, CONTEXT) == {"told": ["sns", "slack"]}
    ((url, body, options),) = pool.posted
    assert (url, options["redirect"]) == (WEBHOOK, False)
    assert body["text"] == topic.heard()[0]["Message"]


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.slack.com/services/T/B/X",
        "https://hooks.slack.com.evil.example/services/T/B/X",
        "https://evil.example/services/T/B/X",
        "https://hooks.slack.com@evil.example/services/T/B/X",
        "https://user:secret@hooks.slack.com/services/T/B/X",
        "https://hooks.slack.com:8443/services/T/B/X",
        "https://hooks.slack.com:x/services/T/B/X",
        "https://hooks.slack.com/other/T/B/X",
        "https://169.254.169.254/latest/meta-data",
        "file:///etc/passwd",
        "",
    ],
)
def test_a_secret_that_holds_another_address_is_refused_and_not_repeated(url):
    with pytest.raises(InvalidInput) as refused:
        webhook(url)
    assert not url or url not in str(refused.value)


def test_slack_that_does_not_take_it_is_an_error_without_the_address(door):
    for status, error in ((500, None), (302, None), (200, urllib3.exceptions.HTTPError("to " + WEBHOOK))):
        poster, pool = slack()
        pool.status, pool.error = status, error
        with pytest.raises(StepFailed) as failed:
            poster.post(SimpleNamespace(body="x"))
        assert "hooks.slack.com" not in str(failed.value)


@pytest.mark.parametrize("kind", ["started", "stage", "verdict", "ended"])
def test_every_kind_is_a_line_that_sns_takes_whatever_the_facts_are(door, topic, kind):
    facts = {"reason": "x" * 5000, "stage": "a\nb\x00", "extra": {"deep": [1, "ä"]}}
    door.handler({**EVENT, "kind": kind, "facts": facts}, CONTEXT)
    (message,) = topic.heard()
    assert len(message["Subject"]) <= 100
    assert "\x00" not in message["Message"]
    assert len(message["Message"]) < 1500


def test_an_unknown_kind_is_refused(door):
    with pytest.raises(ValueError, match="kind"):
        door.handler({**EVENT, "kind": "gossip"}, CONTEXT)
