"""What became of shown items: feedback events, or Model Monitor's ground-truth lines; label = (request id, item id).

Labels come late and twice; an order does not matter. An item is labelled once its impression or a click came back: a client
that has told nothing yet has not declined anything.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from monitors.logs import Tally, lines_of

_REQUEST = re.compile(rb'(?<!\\)"(?:request_id|eventId)"\s*:\s*"([^"\\]{1,64})"')


@dataclass(slots=True)
class Labels:
    """Label 0 or 1 by (request id, item id)."""

    of: dict[tuple[str, str], float] = field(default_factory=dict)
    unknown_items: int = 0  # labels of items that their request did not show
    elsewhere: int = 0  # labels of requests that are not looked at: another window's, not sampled, or of nobody
    tally: Tally = field(default_factory=Tally)


def read_labels(folder: Path, requests: Mapping[str, Container[str]]) -> Labels:
    """Labels of the given requests' items.

    Parameters
    ----------
    requests : mapping
        Request id -> the items it showed.
    """
    labels = Labels()
    for line in lines_of(folder, labels.tally):
        quick = _REQUEST.search(line)
        if quick and quick[1].decode() not in requests:
            labels.elsewhere += 1
            continue
        try:
            found = list(parse(json.loads(line)))
        except (ValueError, KeyError, TypeError, RecursionError):
            labels.tally.unreadable += 1
            continue
        for request_id, item_id, label in found:
            if request_id not in requests:
                labels.elsewhere += 1
            elif item_id not in requests[request_id]:
                labels.unknown_items += 1
            else:
                key = (request_id, item_id)
                labels.tally.duplicates += key in labels.of and labels.of[key] >= label
                labels.of[key] = max(label, labels.of.get(key, 0.0))
    return labels


def parse(record: dict[str, Any]) -> Iterator[tuple[str, str, float]]:
    """(request id, item id, label) of a line: one of a feedback event, one a CSV row `item_id,label` of a ground-truth line.

    Other events (likes, skips) say that the item was seen.

    Raises
    ------
    ValueError, KeyError, TypeError
        If it is neither.
    """
    if "groundTruthData" in record:
        request_id = str(record["eventMetadata"]["eventId"])
        for item_id, label in csv.reader(record["groundTruthData"]["data"].splitlines()):
            yield request_id, item_id, float(float(label) > 0)
        return
    if record["request_id"] is not None:
        yield str(record["request_id"]), str(record["item_id"]), float(str(record["event_type"]) == "click")
