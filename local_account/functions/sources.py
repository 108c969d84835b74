"""Where the bytes of a package come from: the request itself, or S3 with the caller's own rights."""

from __future__ import annotations

from typing import Any

from botocore.exceptions import ClientError

from local_account.account import Account
from local_account.wire import AwsError, Principal

ARCHIVE_LIMIT = 262_144_000  # bytes; what cannot be unpacked within the limit need not be read


def read_archive(account: Account, source: dict[str, Any], principal: Principal) -> bytes:
    """The archive named by `Code`, `Content` or UpdateFunctionCode's own fields.

    Raises
    ------
    AwsError
        `InvalidParameterValueException` when nothing is named, or S3 does not give it.
    """
    if "ZipFile" in source:
        archive: bytes = source["ZipFile"]
        return archive
    if "S3Bucket" not in source or "S3Key" not in source:
        raise AwsError("InvalidParameterValueException", "Please provide a source for function code.")
    where = {"Bucket": source["S3Bucket"], "Key": source["S3Key"]}
    if "S3ObjectVersion" in source:
        where["VersionId"] = source["S3ObjectVersion"]
    try:
        answer = account.client("s3", principal.role_arn).get_object(**where)
    except ClientError as error:
        told = error.response["Error"]
        message = f"Error occurred while GetObject. S3 Error Code: {told['Code']}. S3 Error Message: {told['Message']}"
        raise AwsError("InvalidParameterValueException", message) from None
    if answer["ContentLength"] > ARCHIVE_LIMIT:
        raise AwsError("InvalidParameterValueException", f"the archive is larger than {ARCHIVE_LIMIT} bytes")
    archive = answer["Body"].read()
    return archive
