"""Objects that were written, told to the event bus by the buckets that have EventBridge enabled."""

from __future__ import annotations

from local_account.account import Account
from local_account.event_bridge.events import s3_object_created
from local_account.front_door.call import Call
from local_account.front_door.moto_services import backend
from local_account.front_door.s3_operations import bucket_and_key

_CREATES = ("PutObject", "CopyObject", "CompleteMultipartUpload")


def tell_of_object(account: Account, call: Call, operation: str) -> None:
    """Emit "Object Created" for a request that made an object; its event is on disk before the request is answered."""
    if operation not in _CREATES:
        return
    name, key = bucket_and_key(call)
    bucket = backend("s3").buckets.get(name)
    wanted = None if bucket is None else bucket.notification_configuration
    if bucket is None or wanted is None or wanted.event_bridge is None:
        return
    found = bucket.keys.get(key)
    if found is not None:  # a writer who came after may have deleted it
        s3_object_created(account, name, key, found.size, found.etag, reason=operation)
