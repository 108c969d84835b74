"""What a request to moto changes: nothing, one table, one bucket, or its whole service."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from local_account.front_door.call import Call
from local_account.front_door.s3_operations import bucket_and_key

_READ_VERBS = (
    "Get",
    "List",
    "Describe",
    "Head",
    "BatchGet",
    "Query",
    "Scan",
    "Select",
    "Search",
    "Filter",
    "Lookup",
    "StartQuery",
)
# Read by their verb, and still they change the world: a received message is hidden, and its handle deletes it.
_READS_BY_NAME = frozenset({"AssumeRole", "TestEventPattern", "TransactGetItems", "SimulatePrincipalPolicy"})
# Reads of one entry of a dictionary, where a write at the same time shows the old value or the new one. All other
# reads walk over what a writer may be changing; DynamoDB's too, since moto updates an item in place, and S3's, since it
# closes the file of an object that is replaced.
_LOCK_FREE = {
    "s3": frozenset({"HeadBucket"}),
    "ssm": frozenset({"GetParameter"}),
    "secretsmanager": frozenset({"GetSecretValue"}),
    "sts": frozenset({"GetCallerIdentity"}),
}
_MESSAGING = ("sns", "sqs")  # a topic delivers into queues: one order for both


def is_read(service: str, operation: str) -> bool:
    return operation.startswith(_READ_VERBS) or operation in _READS_BY_NAME


def changed_something(operation: str, answer: bytes) -> bool:
    """False for a poll that found nothing: there are many, and they leave the world as it was."""
    return operation != "ReceiveMessage" or b'"Messages"' in answer or b"<Message>" in answer


def needs_no_lock(service: str, operation: str) -> bool:
    return operation in _LOCK_FREE.get(service, ())


def scopes_of(call: Call, service: str, operation: str) -> list[str]:
    """Names of the locks that a request needs."""
    if service == "dynamodb":
        tables = tables_of(_json(call))
        if operation in ("CreateTable", "DeleteTable", "ListTables"):
            return ["dynamodb", *(f"dynamodb/{table}" for table in tables)]
        return [f"dynamodb/{table}" for table in tables] or ["dynamodb"]
    if service == "s3":
        bucket = bucket_and_key(call)[0]
        if operation in ("CreateBucket", "DeleteBucket", "ListBuckets"):
            return ["s3", f"s3/{bucket}"]
        source = unquote(call.headers.get("x-amz-copy-source", "")).lstrip("/").partition("/")[0]
        return [f"s3/{bucket}", f"s3/{source or bucket}"]
    return ["messaging"] if service in _MESSAGING else [service]


def tables_of(body: dict[str, Any]) -> list[str]:
    """Names of the tables a DynamoDB request touches, bare where it gives ARNs, in the order it names them."""
    names: list[str] = []
    if isinstance(name := body.get("TableName"), str):
        names.append(name)
    if isinstance(batch := body.get("RequestItems"), dict):
        names.extend(batch)
    for item in body.get("TransactItems") or ():
        names.extend(part["TableName"] for part in item.values() if isinstance(part, dict) and "TableName" in part)
    if isinstance(arn := body.get("ResourceArn"), str):
        names.append(arn)
    return [name.partition(":table/")[2].partition("/")[0] if ":table/" in name else name for name in names]


def _json(call: Call) -> dict[str, Any]:
    try:
        body = json.loads(call.body or b"{}")
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
