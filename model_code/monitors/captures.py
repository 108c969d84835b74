"""Data capture of the ranker's endpoint: found by inference id first, parsed only where sampled.

A capture is one call with all its candidates, some 30 kB, so an hour of 100,000 is 3 GB. The first pass looks at the end of each
line only, where the metadata stands; the second reads the sampled ones by their place.
"""

from __future__ import annotations

import base64
import csv
import json
import re
import zlib
from collections.abc import Container, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitors.logs import BLOCK, Tally, files_of

_TAIL = 400  # bytes that the metadata takes, at most
# In the captured text itself quotes are escaped, so an unescaped name is the metadata's own.
_INFERENCE_ID = re.compile(rb'(?<!\\)"inferenceId"\s*:\s*"([^"\\]{1,64})"')


@dataclass(frozen=True, slots=True)
class Place:
    """Where a captured call stands."""

    file: Path
    offset: int
    length: int


@dataclass(slots=True)
class Index:
    """Captured calls of the wanted requests."""

    places: dict[str, Place] = field(default_factory=dict)
    strangers: int = 0  # calls of no wanted request: another window's, a warm-up's
    tally: Tally = field(default_factory=Tally)


@dataclass(frozen=True, slots=True)
class Call:
    """One captured call: cells of each candidate in order, and the scores answered."""

    request_id: str
    rows: list[list[str]]
    scores: list[float]


def index_captures(folder: Path, wanted: Container[str]) -> Index:
    """Find the calls of the wanted requests; of a call that is there twice the first counts."""
    index = Index()
    for file in files_of(folder):
        index.tally.files += 1
        offset = 0
        with file.open("rb", buffering=BLOCK) as stream:
            for line in stream:
                index.tally.lines += 1
                request_id = _request_id(line)
                if request_id is None:
                    index.tally.unreadable += 1
                elif request_id not in wanted:
                    index.strangers += 1
                elif request_id in index.places:
                    index.tally.duplicates += 1
                else:
                    index.places[request_id] = Place(file, offset, len(line))
                offset += len(line)
    return index


def sample(request_ids: Iterable[str], size: int) -> list[str]:
    """At most `size` ids, the same ones whatever the order: those whose checksum is smallest.

    Examples
    --------
    >>> sample(["a", "b", "c", "d"], 2) == sample(["d", "c", "b", "a"], 2)
    True
    """
    return sorted(sorted(request_ids), key=lambda request_id: zlib.crc32(request_id.encode()))[:size]


def read_calls(index: Index, request_ids: Iterable[str]) -> Iterator[Call]:
    """The calls of these requests, file by file; one that cannot be parsed is counted and left out."""
    ordered = sorted((index.places[one].file, index.places[one].offset, one) for one in request_ids)
    file, stream = None, None
    try:
        for path, offset, request_id in ordered:
            if path != file:
                if stream is not None:
                    stream.close()
                file, stream = path, path.open("rb")
            assert stream is not None  # noqa: S101  opened with the first path
            stream.seek(offset)
            try:
                yield parse(json.loads(stream.read(index.places[request_id].length)), request_id)
            except (ValueError, KeyError, TypeError, csv.Error, RecursionError):
                index.tally.unreadable += 1
    finally:
        if stream is not None:
            stream.close()


def parse(record: dict[str, Any], request_id: str) -> Call:
    """Raises ValueError, KeyError or TypeError if it is no capture of a ranker's call."""
    data = record["captureData"]
    rows = list(csv.reader(_text(data["endpointInput"]).splitlines()))
    scores = [float(score) for score in json.loads(_text(data["endpointOutput"]))["scores"]]
    if len(rows) != len(scores):
        raise ValueError(f"{len(rows)} rows, {len(scores)} scores")
    return Call(request_id, rows, scores)


def _text(side: dict[str, Any]) -> str:
    return base64.b64decode(side["data"]).decode() if side["encoding"] == "BASE64" else str(side["data"])


def _request_id(line: bytes) -> str | None:
    """inferenceId of a line, "" if it has none; None if the line is no whole JSON object."""
    tail = line[-_TAIL:].rstrip()
    if tail.endswith(b"}"):
        found = _INFERENCE_ID.search(tail)
        if found:
            return found[1].decode()
    try:
        return str(json.loads(line)["eventMetadata"].get("inferenceId", ""))
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
