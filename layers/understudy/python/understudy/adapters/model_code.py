"""The model code that this function was deployed with, as an archive in S3 under the hash of its content."""

from __future__ import annotations

import gzip
import hashlib
import importlib.util
import io
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from understudy.domain.night import Code

PACKAGES = ("evaluation", "features", "item_index", "monitors", "ranker", "two_tower")
SUFFIXES = {".py", ".yaml", ".html", ".j2"}
WHEELHOUSE_NOTE = b"Wheels that the images lack; jobs install them from here, never from a public index.\n"


def find_root() -> Path:
    """Folder that holds `launch.py` and the packages: the layer on AWS, the checkout's model_code in tests."""
    found = importlib.util.find_spec("features")
    if found is None or found.origin is None:
        raise ModuleNotFoundError("the function was deployed without ModelCodeLayer: `features` is not on its path")
    return Path(found.origin).parents[1]


def archive(root: Path, packages: Sequence[str] = PACKAGES, also: Mapping[str, Path] | None = None) -> bytes:
    """tar.gz of launch.py, the packages and what else goes by which name; byte for byte the same for the same code."""
    files = {"launch.py": root / "launch.py"}
    for package in packages:
        found = sorted(f for f in (root / package).rglob("*") if f.is_file() and f.suffix in SUFFIXES)
        files |= {file.relative_to(root).as_posix(): file for file in found}
    tarred = io.BytesIO()
    with tarfile.open(fileobj=tarred, mode="w") as tar:
        for name, file in {**files, **(also or {})}.items():
            info = tarfile.TarInfo(name)
            info.size, info.mode = file.stat().st_size, 0o644
            with file.open("rb") as source:
                tar.addfile(info, source)
    return gzip.compress(tarred.getvalue(), mtime=0)


def publish(
    s3: Any, bucket: str, root: Path, packages: Sequence[str] = PACKAGES, also: Mapping[str, Path] | None = None
) -> Code:
    """Put the archive where jobs find it, if it is not there yet."""
    body = archive(root, packages, also)
    sha = hashlib.sha256(body).hexdigest()[:16]
    prefix = f"code/{sha}"
    wanted = {
        f"{prefix}/sourcedir.tar.gz": body,
        f"{prefix}/launch.py": (root / "launch.py").read_bytes(),
        "wheelhouse/README.txt": WHEELHOUSE_NOTE,
    }
    there = {*_keys(s3, bucket, f"{prefix}/"), *_keys(s3, bucket, "wheelhouse/")}
    for key, content in wanted.items():
        if key not in there:
            s3.put_object(Bucket=bucket, Key=key, Body=content)
    return Code(
        sha, f"s3://{bucket}/{prefix}", f"s3://{bucket}/{prefix}/sourcedir.tar.gz", f"s3://{bucket}/wheelhouse/"
    )


def _keys(s3: Any, bucket: str, prefix: str) -> set[str]:
    """Listed, not asked for one by one: S3 answers 403 for what is missing unless all of the bucket may be listed."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return {entry["Key"] for page in pages for entry in page.get("Contents", [])}
