"""Events: what PutEvents accepts, and the envelope every event travels in."""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from local_account.account import ACCOUNT_ID, REGION, Account

Event = dict[str, Any]
MAX_ENTRY_BYTES = 262_144


class InvalidEntry(ValueError):
    """An entry of PutEvents is refused; `code` as AWS names it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def envelope(
    source: str,
    detail_type: str,
    detail: Mapping[str, Any],
    resources: list[str],
    time: str,
    event_id: str | None = None,
) -> Event:
    return {
        "version": "0",
        "id": event_id or str(uuid.uuid4()),
        "detail-type": detail_type,
        "source": source,
        "account": ACCOUNT_ID,
        "time": time,
        "region": REGION,
        "resources": resources,
        "detail": dict(detail),
    }


def wire_time(epoch_s: float) -> str:
    """2026-11-23T04:00:00Z"""
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def from_entry(entry: Mapping[str, Any], now: float) -> Event:
    """An event of one entry.

    Raises
    ------
    InvalidEntry
        A field is missing, Detail is no JSON object, the entry is too large, or it claims to be AWS's own.
    """
    for field in ("Source", "DetailType", "Detail"):
        if not entry.get(field):
            reason = f"Parameter {field} is not valid. Reason: {field} is a required argument."
            raise InvalidEntry("InvalidArgument", reason)
    if entry["Source"].startswith("aws."):
        raise InvalidEntry("NotAuthorizedForSourceException", f"Not authorized for the source {entry['Source']}.")
    if len(json.dumps(entry, default=str).encode()) > MAX_ENTRY_BYTES:
        raise InvalidEntry("InvalidArgument", "Total size of the entries in the request is over the limit.")
    try:
        detail = json.loads(entry["Detail"])
    except ValueError as reason:
        raise InvalidEntry("MalformedDetail", "Detail is malformed.") from reason
    if not isinstance(detail, dict):
        raise InvalidEntry("MalformedDetail", "Detail is malformed.")
    at = float(entry["Time"]) if isinstance(entry.get("Time"), int | float) else now
    return envelope(entry["Source"], entry["DetailType"], detail, list(entry.get("Resources", [])), wire_time(at))


def s3_object_created(account: Account, bucket: str, key: str, size: int, etag: str, reason: str = "PutObject") -> None:
    """Tell the default bus of a written object, as a bucket with EventBridge enabled does.

    Parameters
    ----------
    etag : str
        With or without its quotes.
    reason : str
        The S3 operation that wrote it.
    """
    detail = {
        "version": "0",
        "bucket": {"name": bucket},
        "object": {
            "key": key,
            "size": size,
            "etag": etag.strip('"'),
            "sequencer": f"{int(account.clock.epoch() * 1_000_000):018X}",
        },
        "request-id": uuid.uuid4().hex[:16].upper(),
        "requester": ACCOUNT_ID,
        "source-ip-address": "127.0.0.1",
        "reason": reason,
    }
    account.emit("aws.s3", "Object Created", detail, [f"arn:aws:s3:::{bucket}"])
