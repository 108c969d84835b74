"""tar.gz archives of code and models: unpacked by an allow-list, packed from regular files only."""

from __future__ import annotations

import os
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO

MAX_FILES = 100_000
MAX_BYTES = 20 * 2**30  # of all files together, unpacked
_COPY = 1 << 20


class BadArchive(ValueError):
    """An archive holds what no archive of ours may hold; the message names the member."""


def unpack(archive: Path, folder: Path, *, max_bytes: int = MAX_BYTES, max_files: int = MAX_FILES) -> None:
    """Unpack regular files and folders below `folder`, and nothing else.

    Owners, modes (but for the owner's execute bit) and times of the archive are not taken over.

    Raises
    ------
    BadArchive
        At a link, a device, an absolute name, a `..`, too many files or bytes, or a truncated archive.
    """
    budget = max_bytes
    try:
        with tarfile.open(archive, "r:*") as tar:
            for count, member in enumerate(tar, start=1):
                if count > max_files:
                    raise BadArchive(f"{archive.name} has more than {max_files} members")
                target = _target(folder, member, archive.name)
                if member.isdir():
                    target.mkdir(parents=True, exist_ok=True)
                    continue
                budget -= member.size
                if budget < 0:
                    raise BadArchive(f"{archive.name} unpacks to more than {max_bytes} bytes")
                source = tar.extractfile(member)
                if source is None:
                    raise BadArchive(f"{archive.name}: {member.name} is no regular file")
                _write(source, target, member)
    except (tarfile.TarError, EOFError, zlib.error, OSError) as error:
        raise BadArchive(f"{archive.name} is no whole tar archive: {error}") from error


def _target(folder: Path, member: tarfile.TarInfo, archive: str) -> Path:
    name = PurePosixPath(member.name)
    if not (member.isreg() or member.isdir()):
        raise BadArchive(f"{archive}: {member.name} is a link or a device; only regular files and folders are unpacked")
    if name.is_absolute() or ".." in name.parts or "\\" in member.name or "\0" in member.name:
        raise BadArchive(f"{archive}: {member.name} points out of the archive's folder")
    return folder.joinpath(*name.parts)


def _write(source: IO[bytes], target: Path, member: tarfile.TarInfo) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    left = member.size
    with target.open("wb") as out:
        while left > 0:
            block = source.read(min(_COPY, left))
            if not block:
                raise EOFError(f"{member.name} ends early")
            out.write(block)
            left -= len(block)
    if member.mode & 0o100:
        target.chmod(0o755)


def pack(folder: Path, archive: Path) -> int:
    """Write every regular file below `folder` into a tar.gz; how many there were. Links are left out."""
    count = 0
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(archive, "w:gz", compresslevel=6) as tar:
        for path in regular_files(folder):
            tar.add(path, arcname=str(path.relative_to(folder)), recursive=False)
            count += 1
    return count


def regular_files(folder: Path) -> list[Path]:
    """Regular files below a folder, in the order of their names; links are neither followed nor listed."""
    found = []
    for where, _, names in os.walk(folder):
        found += [path for name in names if (path := Path(where, name)).is_file() and not path.is_symlink()]
    return sorted(found)
