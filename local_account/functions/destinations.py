"""Where the result of an asynchronous invocation goes: SQS, SNS, EventBridge or another function, in AWS's envelope."""

from __future__ import annotations

import json
from typing import Any

from local_account.account import Account


def envelope(event: dict[str, Any], condition: str, arn: str, timestamp: str) -> dict[str, Any]:
    """Lambda's invocation record.

    Parameters
    ----------
    event : dict
        The stored event: `id`, `payload` (JSON text), `attempts`, and `result` of the last attempt or None.
    condition : str
        `Success`, `RetriesExhausted` or `EventAgeExceeded`.

    References
    ----------
    https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
    """
    record: dict[str, Any] = {
        "version": "1.0",
        "timestamp": timestamp,
        "requestContext": {
            "requestId": event["id"],
            "functionArn": arn,
            "condition": condition,
            "approximateInvokeCount": event["attempts"],
        },
        "requestPayload": json.loads(event["payload"]),
    }
    if (result := event["result"]) is not None:
        context = {"statusCode": 200, "executedVersion": result["version"]}
        if result["failed"]:
            context["functionError"] = "Unhandled"
        record["responseContext"] = context
        record["responsePayload"] = _json(result["payload"])
    return record


def send(account: Account, destination: str, role: str, record: dict[str, Any]) -> None:
    """Deliver a record with the function's own rights.

    Raises
    ------
    botocore.exceptions.ClientError
        If the destination is missing or the role may not write to it.
    """
    service = destination.split(":")[2]
    body = json.dumps(record)
    client = account.client(service, role, "lambda-destination")
    if service == "sqs":
        owner, name = destination.split(":")[4:6]
        client.send_message(QueueUrl=f"{account.endpoint_url}/{owner}/{name}", MessageBody=body)
    elif service == "sns":
        client.publish(TopicArn=destination, Message=body)
    elif service == "lambda":
        client.invoke(FunctionName=destination, InvocationType="Event", Payload=body)
    elif service == "events":
        how = "Success" if record["requestContext"]["condition"] == "Success" else "Failure"
        entry = {
            "Source": "lambda",
            "DetailType": f"Lambda Function Invocation Result - {how}",
            "Resources": [destination, record["requestContext"]["functionArn"]],
            "Detail": body,
            "EventBusName": destination.rpartition("/")[2],
        }
        client.put_events(Entries=[entry])


def _json(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text
