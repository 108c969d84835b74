"""Rights where data lies: S3 objects, DynamoDB items, Glue's catalog."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any
from urllib.parse import unquote

from local_account.front_door.arns import arn
from local_account.front_door.call import Call
from local_account.front_door.effects import tables_of
from local_account.front_door.iam import Demand
from local_account.front_door.moto_services import backend
from local_account.front_door.refusals import unknown_operation
from local_account.front_door.s3_operations import bucket_and_key, keys_to_delete, s3_iam_action
from local_account.front_door.words import words
from local_account.wire import AwsError

_Body = dict[str, Any]


def s3(call: Call, operation: str, body: _Body) -> list[Demand]:
    bucket, key = bucket_and_key(call)
    action = s3_iam_action(operation, call.query)
    if operation == "ListBuckets":
        return [Demand(action, "*")]
    if operation == "DeleteObjects":
        return [Demand(action, f"arn:aws:s3:::{bucket}/{name}") for name in keys_to_delete(call.body)]
    context = {f"s3:{name}": value for name, value in call.headers.items() if name.startswith("x-amz-")}
    context |= {f"s3:{name}": call.query[name] for name in ("prefix", "delimiter", "max-keys") if name in call.query}
    demands = [Demand(action, f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}", context)]
    if source := call.headers.get("x-amz-copy-source"):
        path = unquote(source.partition("?versionId=")[0]).lstrip("/")
        demands.append(Demand("s3:GetObject", f"arn:aws:s3:::{path}"))
    if operation in ("PutObject", "CreateMultipartUpload") and "x-amz-tagging" in call.headers:
        demands.append(Demand("s3:PutObjectTagging", demands[0].resource, context))
    return demands


_TABLE_OPERATIONS = words(
    "GetItem PutItem UpdateItem DeleteItem Query Scan CreateTable DeleteTable DescribeTable UpdateTable "
    "DescribeTimeToLive UpdateTimeToLive DescribeContinuousBackups UpdateContinuousBackups TagResource UntagResource "
    "ListTagsOfResource DescribeKinesisStreamingDestination"
)
_TRANSACTION_ACTIONS = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "ConditionCheck": "ConditionCheckItem",
    "Get": "GetItem",
}


def dynamodb(call: Call, operation: str, body: _Body) -> list[Demand]:
    if operation in ("ListTables", "DescribeEndpoints", "DescribeLimits"):
        return [Demand(f"dynamodb:{operation}", "*")]
    if operation in ("BatchGetItem", "BatchWriteItem"):
        return [_on_table(operation, name, _batch_items(batch)) for name, batch in body.get("RequestItems", {}).items()]
    if operation in ("TransactWriteItems", "TransactGetItems"):
        return _transaction(body)
    if operation not in _TABLE_OPERATIONS:
        raise unknown_operation("dynamodb", operation)
    tables = tables_of(body)
    if not tables:
        raise AwsError("ValidationException", "TableName must be given", 400)
    item = body.get("Key") or body.get("Item")
    leading = [item] if isinstance(item, dict) else _queried_items(body)
    demand = _on_table(operation, tables[0], leading)
    if index := body.get("IndexName"):
        return [Demand(demand.action, f"{demand.resource}/index/{index}", demand.context)]
    return [demand]


def _transaction(body: _Body) -> list[Demand]:
    grouped: dict[tuple[str, str], list[_Body]] = defaultdict(list)
    for entry in body.get("TransactItems", []):
        for kind, part in entry.items():
            action = _TRANSACTION_ACTIONS.get(kind)
            if action is None or "TableName" not in part:
                raise AwsError("ValidationException", f"a transaction has no {kind!r}", 400)
            grouped[action, part["TableName"]].append(part.get("Key") or part.get("Item") or {})
    return [_on_table(action, name, items) for (action, name), items in grouped.items()]


def _on_table(operation: str, name: str, items: Sequence[_Body]) -> Demand:
    """Demand on one table; `dynamodb:LeadingKeys` are the partition keys of `items`."""
    table_name = name.partition(":table/")[2] or name
    table = backend("dynamodb").tables.get(table_name)
    context: dict[str, str | Sequence[str]] = {}
    if table is not None and items:
        keys = [item[table.hash_key_attr] for item in items if table.hash_key_attr in item]
        context["dynamodb:leadingkeys"] = [str(next(iter(key.values()))) for key in keys]
    return Demand(f"dynamodb:{operation}", arn("dynamodb", f"table/{table_name}"), context)


def _batch_items(batch: Any) -> list[_Body]:
    if isinstance(batch, dict):
        return list(batch.get("Keys", []))
    writes = [next(iter(write.values())) for write in batch]
    return [write.get("Item") or write.get("Key") or {} for write in writes]


_EQUALITY = re.compile(r"([#\w]+)\s*=\s*(:\w+)")


def _queried_items(body: _Body) -> list[_Body]:
    """The attribute values that a key condition pins, as if they were an item; only equality pins one."""
    names, values = body.get("ExpressionAttributeNames", {}), body.get("ExpressionAttributeValues", {})
    pinned = {
        names.get(name, name): values[value]
        for name, value in _EQUALITY.findall(body.get("KeyConditionExpression", ""))
        if value in values
    }
    return [pinned] if pinned else []


_GLUE_TABLE = words(
    "GetTable CreateTable UpdateTable DeleteTable GetTables GetTableVersion GetTableVersions BatchDeleteTable "
    "GetPartition GetPartitions CreatePartition BatchCreatePartition UpdatePartition DeletePartition BatchGetPartition "
    "BatchDeletePartition GetPartitionIndexes"
)
_GLUE_DATABASE = frozenset({"GetDatabase", "CreateDatabase", "UpdateDatabase", "DeleteDatabase"})


def glue(call: Call, operation: str, body: _Body) -> list[Demand]:
    """Glue asks for the right on the catalog, the database and the table, each by itself."""
    action, catalog = f"glue:{operation}", Demand(f"glue:{operation}", arn("glue", "catalog"))
    if operation == "GetDatabases":
        return [catalog]
    if operation in _GLUE_DATABASE:
        name = body.get("Name") or body.get("DatabaseInput", {}).get("Name", "")
        return [catalog, Demand(action, arn("glue", f"database/{name}"))]
    if operation not in _GLUE_TABLE:
        raise unknown_operation("glue", operation)
    database = body.get("DatabaseName", "")
    table = body.get("TableName") or body.get("Name") or body.get("TableInput", {}).get("Name") or "*"
    tables = body.get("TablesToDelete", [table])
    return [
        catalog,
        Demand(action, arn("glue", f"database/{database}")),
        *(Demand(action, arn("glue", f"table/{database}/{name}")) for name in tables),
    ]
