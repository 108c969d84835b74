"""Between S3 and a job's folder: prefixes, manifest files, shards, uploads. Every call is made as the job's own role."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from boto3.s3.transfer import TransferConfig
from botocore.exceptions import BotoCoreError, ClientError

from local_account.sagemaker.archives import regular_files
from local_account.sagemaker.errors import JobFailed

_PARALLEL = 4
_TRANSFER = TransferConfig(use_threads=False, multipart_threshold=64 << 20, multipart_chunksize=64 << 20)


@dataclass(frozen=True, slots=True)
class S3Object:
    bucket: str
    key: str
    relative: str  # where it goes below the channel's folder


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an s3:// URI.

    Raises
    ------
    JobFailed
        If it is none; other schemes are never followed.
    """
    scheme, separator, rest = uri.partition("://")
    bucket, _, key = rest.partition("/")
    if scheme != "s3" or not separator or not bucket:
        raise JobFailed(f"ClientError: {uri!r} is no S3 URI")
    return bucket, key


def list_prefix(s3: Any, uri: str) -> list[S3Object]:
    """Every object whose key begins with the URI's, in key order; folder markers are left out."""
    bucket, prefix = split_uri(uri)
    found: list[S3Object] = []
    for page in _called(uri, s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)):
        for row in page.get("Contents", []):
            if not row["Key"].endswith("/"):
                found.append(S3Object(bucket, row["Key"], _relative(row["Key"], prefix)))
    return found


def list_manifest(s3: Any, uri: str) -> list[S3Object]:
    """What a manifest file names: `[{"prefix": "s3://…/"}, "relative/key", …]`."""
    bucket, key = split_uri(uri)
    body = _attempt(uri, lambda: s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    try:
        head, *names = json.loads(body)
        base_bucket, base = split_uri(head["prefix"])
        return [S3Object(base_bucket, base + name, name) for name in names]
    except (ValueError, KeyError, TypeError):
        raise JobFailed(
            f"ClientError: Unable to parse the manifest file {uri}: expected a list that begins with a prefix"
        ) from None


def select(s3: Any, source: dict[str, Any], host: int, hosts: int) -> list[S3Object]:
    """The objects of an S3DataSource that one host gets."""
    read = list_manifest if source.get("S3DataType") == "ManifestFile" else list_prefix
    found = read(s3, source["S3Uri"])
    if not found:
        raise JobFailed(f"ClientError: Data download failed:S3 key: {source['S3Uri']} matches no files on s3")
    if source.get("S3DataDistributionType") == "ShardedByS3Key":
        return sorted(found, key=lambda o: o.key)[host::hosts]
    return found


def download(s3: Any, objects: Sequence[S3Object], folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(_PARALLEL) as pool:
        list(pool.map(lambda o: fetch(s3, f"s3://{o.bucket}/{o.key}", _below(folder, o.relative)), objects))


def fetch(s3: Any, uri: str, target: Path) -> Path:
    """One object into one file."""
    bucket, key = split_uri(uri)
    target.parent.mkdir(parents=True, exist_ok=True)

    def copy() -> None:
        with target.open("wb") as out:
            shutil.copyfileobj(s3.get_object(Bucket=bucket, Key=key)["Body"], out, 1 << 20)

    _attempt(uri, copy)
    return target


def upload_file(s3: Any, path: Path, uri: str) -> None:
    bucket, key = split_uri(uri)
    try:
        s3.upload_file(str(path), bucket, key, Config=_TRANSFER)
    except Exception as error:  # S3UploadFailedError, ClientError, BotoCoreError: all say why the upload was refused
        raise JobFailed(f"ClientError: Artifact upload failed: {uri}: {error}") from error


def upload_folder(s3: Any, folder: Path, uri: str) -> int:
    """Every regular file below a folder, to the same names below the URI; how many there were.

    A manifest (`manifest.json`, or `manifest-<host>.json` where hosts share the work) goes last: a reader who finds it
    finds all it names.
    """
    files = sorted(regular_files(folder), key=lambda path: (path.match("manifest*.json"), path))
    for path in files:
        upload_file(s3, path, f"{uri.rstrip('/')}/{path.relative_to(folder).as_posix()}")
    return len(files)


def _relative(key: str, prefix: str) -> str:
    whole = prefix.rstrip("/") + "/"
    if prefix and key.startswith(whole):
        return key[len(whole) :]
    return key[prefix.rfind("/") + 1 :]


def _below(folder: Path, relative: str) -> Path:
    name = PurePosixPath(relative)
    if name.is_absolute() or ".." in name.parts:
        raise JobFailed(f"ClientError: Data download failed: the key {relative!r} points out of its folder")
    return folder.joinpath(*name.parts)


def _attempt(uri: str, call: Any) -> Any:
    try:
        return call()
    except ClientError as error:
        raise JobFailed(
            f"ClientError: Data download failed:{error.response['Error']['Code']}: {error} ({uri})"
        ) from error
    except BotoCoreError as error:
        raise JobFailed(f"InternalServerError: Data download failed: {error} ({uri})") from error


def _called(uri: str, pages: Any) -> Iterator[dict[str, Any]]:
    iterator = iter(pages)
    while (page := _attempt(uri, lambda: next(iterator, None))) is not None:
        yield page
