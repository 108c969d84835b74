"""Lines of log folders, whatever wrote them: JSON, one a line, plain or gzipped, possibly cut off in the middle."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

BLOCK = 1 << 20  # read at once: a line of captures is far longer than the usual 8 KiB
GZIP = b"\x1f\x8b"


@dataclass(slots=True)
class Tally:
    """What was read and what could not be used."""

    files: int = 0
    lines: int = 0
    unreadable: int = 0  # lines, or the rest of a file that ends too early
    duplicates: int = 0

    def sentence(self, what: str) -> str:
        return f"{what}: {self.lines:,} lines of {self.files:,} files, {self.duplicates:,} duplicates, {self.unreadable:,} unreadable"


def files_of(folder: Path) -> list[Path]:
    """Every file below a folder but manifests and hidden ones, in order of name."""
    return sorted(
        file
        for file in folder.rglob("*")
        if file.is_file() and not file.name.startswith(".") and file.name != "manifest.json"
    )


def lines_of(folder: Path, tally: Tally) -> Iterator[bytes]:
    """Lines that are not empty. A gzip file that ends too early gives what it holds."""
    for file in files_of(folder):
        tally.files += 1
        with file.open("rb", buffering=BLOCK) as plain:
            zipped = plain.read(2) == GZIP
            plain.seek(0)
            stream = gzip.GzipFile(fileobj=plain) if zipped else plain
            try:
                for line in stream:
                    if line.strip():
                        tally.lines += 1
                        yield line
            except (EOFError, gzip.BadGzipFile, zlib.error):
                tally.unreadable += 1
