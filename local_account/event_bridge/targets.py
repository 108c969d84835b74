"""Targets: how an event reaches a function, a machine, a queue, a topic, a stream, a log group, another bus."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from local_account.account import Account
from local_account.wire import AwsError

Target = Mapping[str, Any]
SESSION = "events"


class Refused(Exception):
    """The target did not take it. `code` as EventBridge's dead-letter attribute names it; `final`: no use to try again."""

    def __init__(self, code: str, message: str, *, final: bool) -> None:
        super().__init__(message)
        self.code, self.final = code, final


def check_target(arn: str) -> None:
    """Raise ValueError for a target that the local account does not reach."""
    _sender(arn)


def send(account: Account, target: Target, payload: str, delivery_id: str) -> None:
    """Hand a payload to a target, as its role if it names one.

    Parameters
    ----------
    delivery_id : str
        The same for every attempt: names the execution of a machine, so that a second attempt is no second run.

    Raises
    ------
    Refused
        The target did not take it.
    """
    try:
        _sender(target["Arn"])(account, target, payload, delivery_id)
    except ClientError as error:
        raise _refusal(error) from error
    except BotoCoreError as error:
        raise Refused("SDK_CLIENT_ERROR", str(error), final=False) from error
    except AwsError as error:
        raise Refused("NO_PERMISSIONS", error.message, final=True) from error


def _refusal(error: ClientError) -> Refused:
    code = error.response.get("Error", {}).get("Code", "")
    message = error.response.get("Error", {}).get("Message", str(error))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    if "AccessDenied" in code:
        return Refused("NO_PERMISSIONS", message, final=True)
    if "NotFound" in code or "DoesNotExist" in code or "NonExistent" in code or "NoSuch" in code:
        return Refused("NO_RESOURCE", message, final=True)
    if "Throttl" in code or "TooMany" in code or status == 429:
        return Refused("THROTTLING", message, final=False)
    return Refused("SDK_CLIENT_ERROR", f"{code}: {message}", final=status < 500)


def _client(account: Account, target: Target, service: str) -> Any:
    return account.client(service, role_arn=target.get("RoleArn"), session_name=SESSION)


def _lambda(account: Account, target: Target, payload: str, _delivery_id: str) -> None:
    client = _client(account, target, "lambda")
    client.invoke(FunctionName=target["Arn"], InvocationType="Event", Payload=payload.encode())


def _states(account: Account, target: Target, payload: str, delivery_id: str) -> None:
    client = _client(account, target, "stepfunctions")
    try:
        client.start_execution(stateMachineArn=target["Arn"], name=delivery_id, input=payload)
    except client.exceptions.ExecutionAlreadyExists:
        return  # an earlier attempt whose answer was lost


def _sqs(account: Account, target: Target, payload: str, _delivery_id: str) -> None:
    send_to_queue(
        _client(account, target, "sqs"),
        target["Arn"],
        payload,
        group=target.get("SqsParameters", {}).get("MessageGroupId"),
    )


def send_to_queue(
    client: Any, arn: str, body: str, *, attributes: Mapping[str, str] | None = None, group: str | None = None
) -> None:
    url = client.get_queue_url(QueueName=arn.rpartition(":")[2])["QueueUrl"]
    extra: dict[str, Any] = {} if group is None else {"MessageGroupId": group}
    if attributes:
        extra["MessageAttributes"] = {k: {"DataType": "String", "StringValue": v} for k, v in attributes.items()}
    client.send_message(QueueUrl=url, MessageBody=body, **extra)


def _sns(account: Account, target: Target, payload: str, _delivery_id: str) -> None:
    _client(account, target, "sns").publish(TopicArn=target["Arn"], Message=payload)


def _firehose(account: Account, target: Target, payload: str, _delivery_id: str) -> None:
    stream = target["Arn"].rpartition("/")[2]
    _client(account, target, "firehose").put_record(DeliveryStreamName=stream, Record={"Data": f"{payload}\n".encode()})


def _logs(account: Account, target: Target, payload: str, delivery_id: str) -> None:
    group = target["Arn"].removesuffix(":*").rpartition(":log-group:")[2]
    account.log(group, delivery_id, [payload])


def _bus(account: Account, target: Target, payload: str, _delivery_id: str) -> None:
    account.service("events").put_on_bus(target["Arn"].rpartition("/")[2], json.loads(payload))


_SENDERS: dict[str, Callable[[Account, Target, str, str], None]] = {
    "arn:aws:lambda:": _lambda,
    "arn:aws:states:": _states,
    "arn:aws:sqs:": _sqs,
    "arn:aws:sns:": _sns,
    "arn:aws:firehose:": _firehose,
    "arn:aws:logs:": _logs,
    "arn:aws:events:": _bus,
}


def _sender(arn: str) -> Callable[[Account, Target, str, str], None]:
    for prefix, sender in _SENDERS.items():
        if arn.startswith(prefix):
            return sender
    raise ValueError(f"the local account reaches no target like {arn}")
