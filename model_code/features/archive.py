"""Unpacking model.tar.gz of somebody we do not trust: allowed names, regular files, and never more than was agreed.

`tarfile`'s `filter="data"` alone still lets bombs and in-tree links through.
"""

from __future__ import annotations

import shutil
import tarfile
import zlib
from collections.abc import Iterator, Sequence
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

MODEL_ARCHIVE = "model.tar.gz"
MODEL_FILES = (
    "manifest.json",
    "vocabulary.json",
    "*.onnx",
    "*.onnx.data",
    "*.safetensors",
    "*.json",
    "*.txt",
    "code/*.py",
    "code/*.yaml",
    "code/*/*.py",
    "code/*/*.yaml",
)
GIB = 1 << 30


class ArchiveRefused(ValueError):
    """An archive that is damaged, or holds what a model archive never holds."""


def unpack_archive(
    archive: Path,
    into: Path,
    *,
    allowed: Sequence[str] = MODEL_FILES,
    max_members: int = 1000,
    max_bytes: int = 8 * GIB,
) -> list[Path]:
    """Unpack the regular files of a .tar.gz whose names are allowed; anything else refuses the whole archive.

    Parameters
    ----------
    allowed : sequence of str
        Patterns per path segment: ``code/*.py`` does not match ``code/two_tower/x.py``.
    max_members, max_bytes : int
        Members, and bytes of all files together once unpacked.

    Returns
    -------
    list of Path
        The files, in archive order.

    Raises
    ------
    ArchiveRefused
        With the member and the reason. Files already written stay in `into`; the caller's folder is its own.
    """
    written: list[Path] = []
    try:
        with tarfile.open(archive, "r|gz") as members:  # streamed: a bomb is met at its header, before its bytes
            for member, target in _wanted(archive, members, into, allowed, max_members, max_bytes):
                _write(members, member, target)
                written.append(target)
    except (tarfile.TarError, EOFError, zlib.error) as error:
        raise ArchiveRefused(f"{archive} is no whole .tar.gz: {error}") from error
    if not written:
        raise ArchiveRefused(f"{archive} is empty")
    return written


def _wanted(
    archive: Path, members: tarfile.TarFile, into: Path, allowed: Sequence[str], max_members: int, max_bytes: int
) -> Iterator[tuple[tarfile.TarInfo, Path]]:
    """Every regular file and where it goes; refuses the archive at the first member that it must not have."""
    targets: set[Path] = set()
    left = max_bytes
    for count, member in enumerate(members, start=1):
        if count > max_members:
            raise ArchiveRefused(f"{archive.name} has more than {max_members} members")
        name = PurePosixPath(member.name)
        if member.isdir() and ".." not in name.parts and not name.is_absolute():
            continue
        _check(archive, member, name, allowed)
        left -= member.size
        if left < 0:
            raise ArchiveRefused(f"{archive.name} unpacks to more than {max_bytes} bytes")
        target = into / name
        if target in targets:
            raise ArchiveRefused(f"{archive.name} holds {name} twice")
        targets.add(target)
        yield member, target


def _write(members: tarfile.TarFile, member: tarfile.TarInfo, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    source = members.extractfile(member)
    assert source is not None  # noqa: S101  a regular file always has content
    with source, target.open("wb") as sink:
        shutil.copyfileobj(source, sink, 1 << 20)


def _check(archive: Path, member: tarfile.TarInfo, name: PurePosixPath, allowed: Sequence[str]) -> None:
    if not member.isreg():
        raise ArchiveRefused(f"{archive.name} holds {member.name!r}, which is no regular file")
    if name.is_absolute() or ".." in name.parts or not any(_matches(name, pattern) for pattern in allowed):
        raise ArchiveRefused(f"{archive.name} holds {member.name!r}, which a model archive never holds")


def _matches(name: PurePosixPath, pattern: str) -> bool:
    wanted = PurePosixPath(pattern).parts
    return len(wanted) == len(name.parts) and all(map(fnmatchcase, name.parts, wanted))


def open_model(folder: Path, scratch: Path) -> Path:
    """The folder of an unpacked model, given a channel that holds it unpacked or as model.tar.gz.

    Raises
    ------
    ArchiveRefused
        If the channel holds neither.
    """
    if (folder / MODEL_ARCHIVE).is_file():
        unpack_archive(folder / MODEL_ARCHIVE, scratch)
        return scratch
    if (folder / "manifest.json").is_file():
        return folder
    raise ArchiveRefused(f"{folder} holds neither {MODEL_ARCHIVE} nor an unpacked model")
