"""Iceberg's files through boto3.

pyiceberg's own S3 file systems look for endpoint, region and credentials in their own settings; boto3 finds all of them
where every other client of ours does (environment, profile, role), renews them, and signs alike on AWS and on a laptop.
Metadata and manifests are small, so an object is read and written whole; data files go by `Lake.fetch` and `Lake.add`.
"""

from __future__ import annotations

import io
from functools import cache
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.exceptions import ClientError
from pyiceberg.io import FileIO, InputFile, OutputFile

MISSING = ("404", "NoSuchKey", "NotFound")


@cache
def s3_client() -> Any:
    """One client for the process; boto3's clients are safe to share between threads."""
    return boto3.client("s3")


def split_uri(uri: str) -> tuple[str, str]:
    """`s3://bucket/a/key` -> (bucket, key)."""
    parts = urlsplit(uri)
    if parts.scheme not in ("s3", "s3a") or not parts.netloc:
        raise ValueError(f"{uri} is no s3:// URI")
    return parts.netloc, parts.path.lstrip("/")


class _Object(InputFile, OutputFile):
    """One object, to be read or written whole."""

    def __len__(self) -> int:
        bucket, key = split_uri(self.location)
        return int(self._found(s3_client().head_object, Bucket=bucket, Key=key)["ContentLength"])

    def exists(self) -> bool:
        try:
            len(self)
        except FileNotFoundError:
            return False
        return True

    def open(self, seekable: bool = True) -> Any:
        bucket, key = split_uri(self.location)
        return io.BytesIO(self._found(s3_client().get_object, Bucket=bucket, Key=key)["Body"].read())

    def create(self, overwrite: bool = False) -> Any:
        return _Upload(self.location, overwrite)

    def to_input_file(self) -> _Object:
        return self

    def _found(self, call: Any, **arguments: Any) -> Any:
        try:
            return call(**arguments)
        except ClientError as error:
            if error.response["Error"]["Code"] in MISSING:
                raise FileNotFoundError(self.location) from error
            raise


class _Upload(io.BytesIO):
    """Bytes that become the object when closed; a `with` body that raises leaves no object behind.

    That an object is new is the write's own condition, not a look beforehand: a job that may not list the bucket is
    answered 403, not 404, when it asks for what is missing.
    """

    def __init__(self, location: str, overwrite: bool) -> None:
        super().__init__()
        self._location, self._condition = location, {} if overwrite else {"IfNoneMatch": "*"}

    def close(self) -> None:
        if not self.closed:
            bucket, key = split_uri(self._location)
            body = self.getvalue()
            super().close()
            try:
                s3_client().put_object(Bucket=bucket, Key=key, Body=body, **self._condition)
            except ClientError as error:
                if error.response["Error"]["Code"] == "PreconditionFailed":
                    raise FileExistsError(self._location) from error
                raise

    def __exit__(self, kind: Any, *_rest: Any) -> None:
        if kind is None:
            self.close()
        else:
            super().close()

    def __del__(self) -> None:
        """A stream dropped unclosed was not finished: it must not become an object."""


class BotoFileIO(FileIO):
    """What `py-io-impl` names in the catalog's properties."""

    def new_input(self, location: str) -> InputFile:
        return _Object(location)

    def new_output(self, location: str) -> OutputFile:
        return _Object(location)

    def delete(self, location: str | InputFile | OutputFile) -> None:
        bucket, key = split_uri(location if isinstance(location, str) else location.location)
        s3_client().delete_object(Bucket=bucket, Key=key)
