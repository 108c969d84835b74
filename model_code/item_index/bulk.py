"""Documents into the index: chunks side by side, only what failed is sent again, what is refused for good is put aside."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from features.job import progress
from item_index.documents import DeadLetter
from item_index.wire import OpenSearch

WRITERS = 2  # one request is being written down while the engine works on the other
ITEM_ATTEMPTS = 8
BUSY = frozenset({429, 503})


def send_all(
    engine: OpenSearch, index: str, chunks: Iterable[tuple[list[str], list[bytes]]], total: int
) -> list[DeadLetter]:
    """Index every document; the ids that were refused, or for which the engine stayed too busy."""
    dead: list[DeadLetter] = []
    sent, told = 0, 0
    with ThreadPoolExecutor(WRITERS, "bulk") as pool:
        for done, letters in _in_flight(pool, engine, index, chunks):
            sent += done
            dead += letters
            if sent - told >= 20_000 or sent == total:
                told = sent
                progress(f"{sent} of {total} documents sent, {len(dead)} refused")
    return dead


def _in_flight(
    pool: ThreadPoolExecutor, engine: OpenSearch, index: str, chunks: Iterable[tuple[list[str], list[bytes]]]
) -> Iterator[tuple[int, list[DeadLetter]]]:
    """Results in order, with at most `WRITERS` + 1 chunks in memory."""
    waiting: list[tuple[int, Future[list[DeadLetter]]]] = []
    for ids, documents in chunks:
        waiting.append((len(ids), pool.submit(send_chunk, engine, index, ids, documents)))
        if len(waiting) > WRITERS:
            size, future = waiting.pop(0)
            yield size, future.result()
    for size, future in waiting:
        yield size, future.result()


def send_chunk(engine: OpenSearch, index: str, ids: list[str], documents: list[bytes]) -> list[DeadLetter]:
    """One chunk until every document is in or refused.

    `_bulk` answers 200 with a status per item: 429 and 503 come again after a growing pause, alone; any other error is
    the document's own and final. Indexing by id makes a chunk whose answer was lost harmless.
    """
    left = dict(zip(ids, documents, strict=True))
    dead: list[DeadLetter] = []
    why: dict[str, str] = {}
    for attempt in range(ITEM_ATTEMPTS):
        answer = engine.call("POST", f"/{index}/_bulk", b"".join(left.values()))
        busy: dict[str, bytes] = {}
        for entry in answer["items"] if answer.get("errors") else ():
            result = entry["index"]
            if result["status"] < 300:
                continue
            item, reason = result["_id"], _reason(result.get("error"))
            if result["status"] in BUSY:
                busy[item], why[item] = left[item], reason
            else:
                dead.append(DeadLetter(item, reason))
        left = busy
        if not left:
            return dead
        engine.pause(attempt)
    return dead + [DeadLetter(item, f"busy through {ITEM_ATTEMPTS} attempts: {why[item]}") for item in left]


def _reason(error: object) -> str:
    if isinstance(error, dict):
        cause = error.get("caused_by") or {}
        return ": ".join(str(part) for part in (error.get("type"), error.get("reason"), cause.get("reason")) if part)[
            :500
        ]
    return json.dumps(error)[:500]
