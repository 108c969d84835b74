"""An accepted event outlives the process; a target that refuses is tried again, then its queue of the dead gets it."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest

from local_account.event_bridge.deliveries import Deliveries, Delivery
from local_account.event_bridge.service import EventBridge
from local_account.event_bridge.targets import Refused, send
from local_account.records import Records
from support.fake_account import FakeAccount, client_error

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:m"
DEAD = "arn:aws:sqs:us-east-1:123456789012:dead"


class FakeLambda:
    """Refuses the first `refusals` calls."""

    def __init__(self, refusals: int = 0, code: str = "TooManyRequestsException", status: int = 429) -> None:
        self.refusals, self.error, self.payloads = refusals, client_error(code, status=status), list[bytes]()
        self.called = threading.Event()

    def invoke(self, **given: Any) -> dict[str, Any]:
        if self.refusals:
            self.refusals -= 1
            raise self.error
        assert given["InvocationType"] == "Event"
        self.payloads.append(given["Payload"])
        self.called.set()
        return {}


class FakeQueues:
    def __init__(self) -> None:
        self.sent: list[dict[str, Any]] = []
        self.called = threading.Event()

    def get_queue_url(self, **given: Any) -> dict[str, str]:
        return {"QueueUrl": given["QueueName"]}

    def send_message(self, **given: Any) -> None:
        self.sent.append(given)
        self.called.set()


def delivery(account: FakeAccount, **policy: Any) -> Delivery:
    target = {"Id": "1", "Arn": FUNCTION, "DeadLetterConfig": {"Arn": DEAD}}
    if policy:
        target["RetryPolicy"] = policy
    origin = {"RULE_ARN": "arn:rule", "RuleName": "rule"}
    return Delivery("d-1", target, '{"id": 1}', account.clock.epoch(), origin, "AWS/Events")


def attempt(deliveries: Deliveries, account: FakeAccount, times: int) -> None:
    """Take what is due and try it, moving the clock over every delay, as the workers do."""
    for _ in range(times):
        if not deliveries._heap:
            return
        account.clock.advance(700)
        due = deliveries._next()
        if due is not None:
            deliveries._attempt(due)


@pytest.fixture
def queues() -> FakeQueues:
    return FakeQueues()


def world(tmp_path: Path, queues: FakeQueues, function: FakeLambda) -> tuple[FakeAccount, Records, Deliveries]:
    account = FakeAccount(tmp_path, {"lambda": function, "sqs": queues})
    records = Records(tmp_path / "records.db")
    return account, records, Deliveries(account, records)


def test_what_was_accepted_is_delivered_after_a_restart_and_then_forgotten(tmp_path, queues):
    function = FakeLambda()
    account, records, deliveries = world(tmp_path, queues, function)
    deliveries.accept(delivery(account))
    again = Deliveries(account, records)  # the first never got to try
    again.start()
    assert function.called.wait(5)
    again.stop()
    assert function.payloads == [b'{"id": 1}']
    assert list(records.all("delivery")) == []


def test_a_throttled_target_is_tried_again_until_it_takes_it(tmp_path, queues):
    function = FakeLambda(refusals=3)
    account, records, deliveries = world(tmp_path, queues, function)
    deliveries.accept(delivery(account))
    attempt(deliveries, account, 4)
    assert (len(function.payloads), queues.sent, list(records.all("delivery"))) == (1, [], [])
    counted = [metric for _namespace, metric, _value, _dimensions in account.counted]
    assert counted == ["RetryInvocationAttempts"] * 3 + ["Invocations"]


@pytest.mark.parametrize(
    ("policy", "attempts", "exhausted"),
    [
        ({"MaximumRetryAttempts": 2}, 3, "MaximumRetryAttempts"),
        ({"MaximumRetryAttempts": 0}, 1, "MaximumRetryAttempts"),
        ({"MaximumEventAgeInSeconds": 1000}, 2, "MaximumEventAgeInSeconds"),
    ],
)
def test_a_policy_that_is_exhausted_sends_it_to_the_dead_letter_queue(tmp_path, queues, policy, attempts, exhausted):
    function = FakeLambda(refusals=100)
    account, records, deliveries = world(tmp_path, queues, function)
    deliveries.accept(delivery(account, **policy))
    attempt(deliveries, account, 6)
    assert 100 - function.refusals == attempts
    (message,) = queues.sent
    attributes = {name: value["StringValue"] for name, value in message["MessageAttributes"].items()}
    assert message["MessageBody"] == '{"id": 1}'
    assert attributes == {
        "RULE_ARN": "arn:rule",
        "TARGET_ARN": FUNCTION,
        "ERROR_CODE": "THROTTLING",
        "ERROR_MESSAGE": "no",
        "RETRY_ATTEMPTS": str(attempts - 1),
        "EXHAUSTED_RETRY_CONDITION": exhausted,
    }
    assert list(records.all("delivery")) == []


def test_a_target_that_is_not_there_is_not_tried_again(tmp_path, queues):
    function = FakeLambda(refusals=100, code="ResourceNotFoundException", status=404)
    account, _records, deliveries = world(tmp_path, queues, function)
    deliveries.accept(delivery(account))
    attempt(deliveries, account, 3)
    assert 100 - function.refusals == 1
    assert queues.sent[0]["MessageAttributes"]["ERROR_CODE"]["StringValue"] == "NO_RESOURCE"


def test_a_second_attempt_at_a_machine_is_no_second_execution(tmp_path):
    class Exists(Exception):
        pass

    class FakeStates:
        class exceptions:
            ExecutionAlreadyExists = Exists

        def start_execution(self, **given: Any) -> None:
            names.append(given["name"])
            if len(names) > 1:
                raise Exists

    names: list[str] = []
    account = FakeAccount(tmp_path, {"stepfunctions": FakeStates()})
    target = {"Id": "1", "Arn": MACHINE, "RoleArn": "role"}
    send(account, target, "{}", "d-1")
    send(account, target, "{}", "d-1")
    assert names == ["d-1", "d-1"]
    assert account.roles == ["role", "role"]


def test_a_role_that_may_not_is_final(tmp_path):
    class Denied:
        class exceptions:
            class ExecutionAlreadyExists(Exception):
                pass

        def start_execution(self, **_given: Any) -> None:
            raise client_error("AccessDeniedException", "not you", 403)

    account = FakeAccount(tmp_path, {"stepfunctions": Denied()})
    with pytest.raises(Refused, match="not you") as refused:
        send(account, {"Id": "1", "Arn": MACHINE, "RoleArn": "role"}, "{}", "d-1")
    assert (refused.value.code, refused.value.final) == ("NO_PERMISSIONS", True)


def test_an_event_is_on_disk_for_each_target_when_the_bus_has_taken_it(tmp_path, queues):
    account = FakeAccount(tmp_path, {"lambda": FakeLambda(), "sqs": queues})
    bus = EventBridge(account)
    who: Any = None
    bus.put_rule({"Name": "r", "EventPattern": '{"source": ["aws.s3"]}'}, who)
    bus.put_targets({"Rule": "r", "Targets": [{"Id": "a", "Arn": FUNCTION}, {"Id": "b", "Arn": FUNCTION}]}, who)
    bus.put_aws_event({"id": "e-1", "source": "aws.s3", "detail": {}})
    bus.put_aws_event({"id": "e-2", "source": "aws.ec2", "detail": {}})
    kept = [json.loads(d["payload"])["id"] for _key, d in bus._records.all("delivery")]
    assert kept == ["e-1", "e-1"]
    again = EventBridge(account)  # the process was killed before it delivered anything
    again.start()
    for _ in range(200):
        if len(account.clients["lambda"].payloads) == 2:
            break
        threading.Event().wait(0.01)
    again.stop()
    assert len(account.clients["lambda"].payloads) == 2
