"""A shorter history with the same end: what was overwritten, received or counted one by one is left out.

Requests that made things (tables, buckets, roles, schemas) stay as they were sent. What only the present state matters
of is written anew from it: DynamoDB's items, log lines, metrics. S3's objects keep the request that wrote them last,
and so their dates, tags and bodies, which are not read. Messages go when no queue holds any.
"""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote

from local_account.front_door.journal import Journal
from local_account.front_door.moto_services import backend
from local_account.front_door.record import Record
from local_account.front_door.s3_operations import keys_to_delete
from local_account.front_door.snapshots import dynamodb_items, log_lines, metric_data
from local_account.front_door.words import words

# Requests whose effect is a row of the present state, and is written anew from there.
_SNAPSHOT = {
    "dynamodb": words("PutItem UpdateItem DeleteItem BatchWriteItem TransactWriteItems"),
    "logs": words("PutLogEvents"),
    "monitoring": words("PutMetricData"),
}
_MESSAGES = {
    "sqs": words(
        "SendMessage SendMessageBatch ReceiveMessage DeleteMessage DeleteMessageBatch ChangeMessageVisibility "
        "ChangeMessageVisibilityBatch PurgeQueue"
    ),
    "sns": words("Publish PublishBatch"),
}
_OVERWRITES = words("PutObject CopyObject CompleteMultipartUpload DeleteObject")
_OF_UPLOAD = words("CreateMultipartUpload UploadPart UploadPartCopy CompleteMultipartUpload AbortMultipartUpload")
_OF_OBJECT = (
    _OVERWRITES
    | _OF_UPLOAD
    | words("DeleteObjects PutObjectTagging DeleteObjectTagging PutObjectAcl PutObjectRetention")
)


def compact(journal: Journal) -> tuple[int, int]:
    """Shorten the journal of a world that nobody changes meanwhile; (records before, records after)."""
    objects, before = _Objects(), 0
    for index, record in enumerate(journal.read()):
        objects.see(index, record)
        before = index + 1
    keep_messages = any(queue._messages for queue in backend("sqs").queues.values())
    after = 0

    def kept() -> Iterator[Record]:
        nonlocal after
        for index, record in enumerate(journal.read()):
            if record.operation in _SNAPSHOT.get(record.service, ()):
                continue
            if not keep_messages and record.operation in _MESSAGES.get(record.service, ()):
                continue
            if record.service == "s3" and not objects.needs(index, record):
                continue
            after += 1
            yield record
        for snapshot in (dynamodb_items, log_lines, metric_data):
            for record in snapshot():
                after += 1
                yield record

    journal.replace(kept())
    return before, after


class _Objects:
    """Which requests the objects of S3 still need. A key that was ever copied from keeps its whole history."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], int] = {}  # key -> request that settled what it is
        self._ended: dict[str, int | None] = {}  # upload -> request that completed it, None when it was given up
        self._pinned: set[tuple[str, str]] = set()
        versioned = [bucket for bucket in backend("s3").buckets.values() if bucket.versioning_status is not None]
        self._whole = {bucket.name for bucket in versioned}

    def see(self, index: int, record: Record) -> None:
        if record.service != "s3":
            return
        if source := record.headers.get("x-amz-copy-source"):
            self._pinned.add(_split(unquote(source.partition("?versionId=")[0])))
        if record.operation in ("CompleteMultipartUpload", "AbortMultipartUpload"):
            completed = record.operation == "CompleteMultipartUpload"
            self._ended[_upload(record)] = index if completed else None
        for key in _settled(record):
            self._last[key] = index

    def needs(self, index: int, record: Record) -> bool:
        if record.operation not in _OF_OBJECT:
            return True
        key = _split(unquote(record.path))
        if key[0] in self._whole or not self._pinned.isdisjoint([key, *_settled(record)]):
            return True
        last = self._last.get(key, -1)
        if record.operation in ("DeleteObject", "DeleteObjects"):
            return False  # nothing that it deletes is left to delete
        if record.operation in _OF_UPLOAD:
            ended = self._ended.get(_upload(record), index)
            return ended is not None and (ended >= last or _upload(record) not in self._ended)
        return index >= last


def _split(path: str) -> tuple[str, str]:
    bucket, _, key = path.lstrip("/").partition("/")
    return bucket, key


def _settled(record: Record) -> list[tuple[str, str]]:
    """The keys that a request replaces or deletes."""
    key = _split(unquote(record.path))
    if record.operation == "DeleteObjects":
        return [(key[0], name) for name in keys_to_delete(record.body)]
    return [key] if record.operation in _OVERWRITES else []


def _upload(record: Record) -> str:
    if record.note:
        return record.note
    return next((part[9:] for part in record.query.split("&") if part.startswith("uploadId=")), "")
