"""Unpack a deployment package by an allow-list: plain files with plain names, within Lambda's size limits."""

from __future__ import annotations

import base64
import compileall
import hashlib
import io
import os
import py_compile
import re
import shutil
import stat
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from local_account.wire import AwsError

UNPACKED_LIMIT = 262_144_000  # bytes of all files together, function and layers alike
FILES_LIMIT = 50_000
_PART = re.compile(r"[^/\\\x00-\x1f:*?\"<>|]{1,255}")


@dataclass(frozen=True, slots=True)
class Package:
    folder: Path
    sha256: str  # base64, as CodeSha256 writes it
    size: int  # bytes of the archive


class Packages:
    """Unpacked archives by their content: the same bytes are unpacked once and never changed."""

    def __init__(self, root: Path) -> None:
        self._root = root
        root.mkdir(parents=True, exist_ok=True)

    def folder(self, sha256: str) -> Path:
        return self._root / base64.b64decode(sha256).hex()

    def add(self, archive: bytes) -> Package:
        """Unpack an archive and compile its Python for quick cold starts.

        Raises
        ------
        AwsError
            `InvalidParameterValueException` when it is no zip, names a path outside itself, holds anything but regular
            files, or is larger than Lambda takes.
        """
        digest = hashlib.sha256(archive).digest()
        package = Package(self._root / digest.hex(), base64.b64encode(digest).decode(), len(archive))
        if not package.folder.is_dir():
            work = Path(tempfile.mkdtemp(prefix="unpack-", dir=self._root))
            try:
                unzip(archive, work)
                _compile(work)
                work.rename(package.folder)
            except FileExistsError:
                pass  # another call unpacked the same bytes first
            except OSError:
                if not package.folder.is_dir():
                    raise
            finally:
                shutil.rmtree(work, ignore_errors=True)
        return package


def unzip(archive: bytes, folder: Path) -> None:
    """Write an archive's files under `folder`; every name and size is checked before the first byte is written."""
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as package:
            entries = [entry for entry in package.infolist() if not entry.is_dir()]
            _check(entries)
            left = UNPACKED_LIMIT
            for entry in entries:
                left -= _write(package, entry, folder / entry.filename, left)
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError) as error:
        raise _refused(
            f"Could not unzip uploaded file: {error}. Please check your file, then try to upload again."
        ) from None


def _check(entries: list[zipfile.ZipInfo]) -> None:
    if len(entries) > FILES_LIMIT:
        raise _refused(f"the archive holds {len(entries)} files, more than {FILES_LIMIT}")
    if sum(entry.file_size for entry in entries) > UNPACKED_LIMIT:
        raise _refused(f"Unzipped size must be smaller than {UNPACKED_LIMIT} bytes")
    seen: set[str] = set()
    for entry in entries:
        parts = entry.filename.split("/")
        if any(part in ("", ".", "..") or not _PART.fullmatch(part) for part in parts):
            raise _refused(f"{entry.filename!r} is no plain relative path")
        kind = stat.S_IFMT(entry.external_attr >> 16)
        if kind not in (0, stat.S_IFREG):
            raise _refused(f"{entry.filename!r} is no regular file")
        if entry.filename in seen:
            raise _refused(f"{entry.filename!r} is there twice")
        seen.add(entry.filename)


def _write(package: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, left: int) -> int:
    """Copy one file; what it says of its size is not believed, so at most `left` bytes are taken."""
    target.parent.mkdir(parents=True, exist_ok=True)
    written = 0
    with package.open(entry) as source, target.open("xb") as sink:
        while chunk := source.read(1 << 20):
            written += len(chunk)
            if written > left:
                raise _refused(f"Unzipped size must be smaller than {UNPACKED_LIMIT} bytes")
            sink.write(chunk)
    if (entry.external_attr >> 16) & stat.S_IXUSR:
        os.chmod(target, 0o755)  # noqa: S103  an executable the package ships stays one
    return written


def _compile(folder: Path) -> None:
    """Byte code that is valid whatever the files' times are; files that do not compile fail later, when imported."""
    compileall.compile_dir(folder, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)


def _refused(message: str) -> AwsError:
    return AwsError("InvalidParameterValueException", message)
