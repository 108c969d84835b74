"""Local code into the deployment bucket, as `sam package` does: the template that comes back names S3 objects only."""

from __future__ import annotations

import copy
import hashlib
import io
import zipfile
from pathlib import Path
from typing import Any

_LEFT_OUT = {"__pycache__", ".mypy_cache", ".ruff_cache"}
_EPOCH = (1980, 1, 1, 0, 0, 0)  # the oldest date a zip can hold: same files, same bytes


def package(template: dict[str, Any], root: Path, *, s3: Any, bucket: str) -> dict[str, Any]:
    """Upload every local CodeUri, ContentUri and DefinitionUri below `root`.

    Layers with `Metadata.BuildMethod` get their files under `python/`, where `sam build` puts them.

    Raises
    ------
    FileNotFoundError
        A path of the template does not exist.
    """
    packaged = copy.deepcopy(template)
    for logical, resource in packaged["Resources"].items():
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::Serverless::Function":
                _upload(properties, "CodeUri", zip_folder(_existing(root, properties["CodeUri"], logical)), s3, bucket)
            case "AWS::Serverless::LayerVersion":
                prefix = "python/" if "BuildMethod" in resource.get("Metadata", {}) else ""
                _upload(
                    properties,
                    "ContentUri",
                    zip_folder(_existing(root, properties["ContentUri"], logical), prefix),
                    s3,
                    bucket,
                )
            case "AWS::Serverless::StateMachine":
                _upload(
                    properties,
                    "DefinitionUri",
                    _existing(root, properties["DefinitionUri"], logical).read_bytes(),
                    s3,
                    bucket,
                )
    return packaged


def zip_folder(folder: Path, prefix: str = "") -> bytes:
    """A zip of a folder's files, byte for byte the same for the same content."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            if file.is_file() and not _LEFT_OUT.intersection(file.parts) and file.suffix != ".pyc":
                info = zipfile.ZipInfo(prefix + file.relative_to(folder).as_posix(), _EPOCH)
                info.external_attr = 0o644 << 16
                info.compress_type = zipfile.ZIP_DEFLATED
                archive.writestr(info, file.read_bytes())
    return buffer.getvalue()


def _existing(root: Path, uri: str, logical: str) -> Path:
    path = root / uri
    if not path.exists():
        raise FileNotFoundError(f"{logical} names {uri}, which is not under {root}")
    return path


def _upload(properties: dict[str, Any], name: str, body: bytes, s3: Any, bucket: str) -> None:
    key = hashlib.sha256(body).hexdigest()
    s3.put_object(Bucket=bucket, Key=key, Body=body)
    properties[name] = f"s3://{bucket}/{key}"
