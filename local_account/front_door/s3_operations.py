"""S3's operations told from method, path and query, and the IAM action each needs.

Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon S3".
"""

from __future__ import annotations

from xml.etree import ElementTree

from local_account.front_door.call import Call
from local_account.wire import AwsError

# Subresource in the query -> noun; the operation is verb + noun.
_BUCKET_NOUNS = {
    "accelerate": "BucketAccelerateConfiguration",
    "acl": "BucketAcl",
    "analytics": "BucketAnalyticsConfiguration",
    "cors": "BucketCors",
    "encryption": "BucketEncryption",
    "inventory": "BucketInventoryConfiguration",
    "lifecycle": "BucketLifecycleConfiguration",
    "location": "BucketLocation",
    "logging": "BucketLogging",
    "metrics": "BucketMetricsConfiguration",
    "notification": "BucketNotificationConfiguration",
    "object-lock": "ObjectLockConfiguration",
    "ownershipControls": "BucketOwnershipControls",
    "policy": "BucketPolicy",
    "policyStatus": "BucketPolicyStatus",
    "publicAccessBlock": "PublicAccessBlock",
    "replication": "BucketReplication",
    "requestPayment": "BucketRequestPayment",
    "tagging": "BucketTagging",
    "versioning": "BucketVersioning",
    "website": "BucketWebsite",
}
_OBJECT_NOUNS = {
    "acl": "ObjectAcl",
    "attributes": "ObjectAttributes",
    "legal-hold": "ObjectLegalHold",
    "retention": "ObjectRetention",
    "tagging": "ObjectTagging",
    "torrent": "ObjectTorrent",
}
_VERBS = {"GET": "Get", "PUT": "Put", "DELETE": "Delete"}
_BUCKET = {"PUT": "CreateBucket", "DELETE": "DeleteBucket", "HEAD": "HeadBucket"}
_OBJECT = {"GET": "GetObject", "HEAD": "HeadObject", "DELETE": "DeleteObject"}

# Operations whose IAM action is not their own name.
_IAM_ACTIONS = {
    "ListObjects": "ListBucket",
    "ListObjectsV2": "ListBucket",
    "HeadBucket": "ListBucket",
    "ListBuckets": "ListAllMyBuckets",
    "ListObjectVersions": "ListBucketVersions",
    "ListMultipartUploads": "ListBucketMultipartUploads",
    "HeadObject": "GetObject",
    "CopyObject": "PutObject",
    "PostObject": "PutObject",
    "CreateMultipartUpload": "PutObject",
    "UploadPart": "PutObject",
    "UploadPartCopy": "PutObject",
    "CompleteMultipartUpload": "PutObject",
    "ListParts": "ListMultipartUploadParts",
    "DeleteObjects": "DeleteObject",
    "GetBucketEncryption": "GetEncryptionConfiguration",
    "PutBucketEncryption": "PutEncryptionConfiguration",
    "DeleteBucketEncryption": "PutEncryptionConfiguration",
    "GetBucketLifecycleConfiguration": "GetLifecycleConfiguration",
    "PutBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycleConfiguration": "PutLifecycleConfiguration",
    "DeleteBucketLifecycle": "PutLifecycleConfiguration",
    "GetPublicAccessBlock": "GetBucketPublicAccessBlock",
    "PutPublicAccessBlock": "PutBucketPublicAccessBlock",
    "DeletePublicAccessBlock": "PutBucketPublicAccessBlock",
    "GetBucketNotificationConfiguration": "GetBucketNotification",
    "PutBucketNotificationConfiguration": "PutBucketNotification",
    "DeleteBucketCors": "PutBucketCORS",
    "GetBucketCors": "GetBucketCORS",
    "PutBucketCors": "PutBucketCORS",
    "DeleteBucketTagging": "PutBucketTagging",
    "DeleteBucketOwnershipControls": "PutBucketOwnershipControls",
}


def bucket_and_key(call: Call) -> tuple[str, str]:
    """Path-style bucket and decoded key; either may be empty."""
    bucket, _, key = call.path.lstrip("/").partition("/")
    return bucket, key


def keys_to_delete(body: bytes) -> list[str]:
    """Keys that a DeleteObjects request names."""
    if b"<!DOCTYPE" in body[:200].upper():
        raise AwsError("MalformedXML", "The XML you provided declares a document type", 400)
    try:
        root = ElementTree.fromstring(body)  # noqa: S314 - without a document type there are no entities to expand
    except ElementTree.ParseError as error:
        raise AwsError("MalformedXML", f"The XML you provided is not well formed: {error}", 400) from error
    return [element.text or "" for element in root.iter() if element.tag.rpartition("}")[2] == "Key"]


def s3_operation(call: Call) -> str:
    bucket, key = bucket_and_key(call)
    if not bucket:
        return "ListBuckets"
    query = call.query
    operation = _object_operation(call, query) if key else _bucket_operation(call, query)
    if operation is None:
        raise AwsError("MethodNotAllowed", "The specified method is not allowed against this resource.", 405)
    return operation


def s3_iam_action(operation: str, query: dict[str, str]) -> str:
    action = _IAM_ACTIONS.get(operation, operation)
    if "versionId" in query and action in ("GetObject", "DeleteObject", "GetObjectTagging", "PutObjectTagging"):
        action = action.replace("Object", "ObjectVersion")
    return f"s3:{action}"


def _bucket_operation(call: Call, query: dict[str, str]) -> str | None:
    if call.method == "POST":
        return "DeleteObjects" if "delete" in query else "PostObject"
    if call.method == "GET" and "uploads" in query:
        return "ListMultipartUploads"
    if call.method == "GET" and "versions" in query:
        return "ListObjectVersions"
    noun = next((noun for name, noun in _BUCKET_NOUNS.items() if name in query), None)
    if noun and call.method in _VERBS:
        return _VERBS[call.method] + noun
    if call.method == "GET":
        return "ListObjectsV2" if query.get("list-type") == "2" else "ListObjects"
    return _BUCKET.get(call.method)


def _object_operation(call: Call, query: dict[str, str]) -> str | None:
    copies = "x-amz-copy-source" in call.headers
    if call.method == "POST":
        if "uploads" in query:
            return "CreateMultipartUpload"
        if "uploadId" in query:
            return "CompleteMultipartUpload"
        return "SelectObjectContent" if "select" in query else "RestoreObject" if "restore" in query else None
    if "uploadId" in query:
        part = "UploadPartCopy" if copies else "UploadPart"
        return {"PUT": part, "DELETE": "AbortMultipartUpload", "GET": "ListParts"}.get(call.method)
    noun = next((noun for name, noun in _OBJECT_NOUNS.items() if name in query), None)
    if noun and call.method in _VERBS:
        return _VERBS[call.method] + noun
    if call.method == "PUT":
        return "CopyObject" if copies else "PutObject"
    return _OBJECT.get(call.method)
