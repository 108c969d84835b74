"""Bring moto's world back from the journal: every request again, with its own seed, at its own time."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime
from pathlib import Path

import time_machine

from local_account.front_door.compaction import compact
from local_account.front_door.journal import Journal
from local_account.front_door.moto_services import MotoServices
from local_account.wire import AwsError

_log = logging.getLogger(__name__)

_COMPACT_ABOVE = 5_000  # records at a start that followed no clean stop: some seconds of replay


def restore(moto: MotoServices, folder: Path) -> Journal:
    """Replay the journal of a folder into moto, and keep it from now on. Before anybody else speaks to moto."""
    journal = Journal(folder)
    started, count, blobs = time.monotonic(), 0, set()
    # The wall clock is the process's, so nothing else may run yet; it ticks, since moto waits in places.
    with time_machine.travel(datetime.now(UTC), tick=True) as traveller:
        for record in journal.read():
            traveller.move_to(datetime.fromtimestamp(record.at, UTC))
            blobs.add(record.blob)
            count += 1
            try:
                status = moto.play(record).status
            except (AwsError, ArithmeticError, LookupError, TypeError, ValueError):
                _log.exception("%s:%s could not be replayed", record.service, record.operation)
                continue
            if status >= 400:
                _log.warning("%s:%s was answered %d in the replay", record.service, record.operation, status)
    journal.drop_blobs(blobs)
    if count:
        _log.info("%d requests replayed in %.1f s", count, time.monotonic() - started)
    if count > _COMPACT_ABOVE:
        shorten(journal)
    moto.journal = journal
    return journal


def shorten(journal: Journal) -> None:
    """Compact a journal that nobody appends to any more, or not yet."""
    before, after = compact(journal)
    _log.info("journal compacted: %d records, %d before", after, before)
