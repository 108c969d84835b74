"""A machine's log group: its history events as Step Functions logs them, off the path of the execution."""

from __future__ import annotations

import logging
import queue
import threading
from typing import Any

from local_account.account import Account
from local_account.step_functions.history import details_key, text, without_data

_log = logging.getLogger(__name__)

_FATAL = ("ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted")
_ERRORS = ("Failed", "TimedOut", "Aborted")


class MachineLogs:
    """Writes lines on a thread of its own, in order; what is queued is written before `stop` returns."""

    def __init__(self, account: Account) -> None:
        self._account = account
        self._lines: queue.Queue[tuple[str, str, str] | None] = queue.Queue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def write(self, record: dict[str, Any], event: dict[str, Any]) -> None:
        """Log an event if the machine's LoggingConfiguration wants it."""
        configuration = record.get("loggingConfiguration") or {}
        if not _wanted(configuration.get("level", "OFF"), event["type"]):
            return
        line = text(_line(record, event, with_data=bool(configuration.get("includeExecutionData"))))
        machine = record["stateMachineArn"].rpartition(":")[2]
        for destination in configuration.get("destinations", ()):
            arn = destination["cloudWatchLogsLogGroup"]["logGroupArn"]
            group = arn.rpartition(":log-group:")[2].removesuffix(":*")
            self._lines.put((group, f"states/{machine}/{record['name']}", line))
            self._ensure_thread()

    def stop(self) -> None:
        if self._thread is not None:
            self._lines.put(None)
            self._thread.join(5)

    def _ensure_thread(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._work, daemon=True, name="machine logs")
                self._thread.start()

    def _work(self) -> None:
        while (line := self._lines.get()) is not None:
            try:
                self._account.log(line[0], line[1], [line[2]])
            except Exception:  # noqa: BLE001 - a log that cannot be written must not end the others
                _log.exception("a line for %s was lost", line[0])


def _wanted(level: str, event_type: str) -> bool:
    if level == "ALL":
        return True
    if level == "ERROR":
        return event_type.endswith(_ERRORS) or event_type == "FailStateEntered"
    return level == "FATAL" and event_type in _FATAL


def _line(record: dict[str, Any], event: dict[str, Any], *, with_data: bool) -> dict[str, Any]:
    told = event if with_data else without_data(event)
    return {
        "id": str(event["id"]),
        "type": event["type"],
        "details": told.get(details_key(event["type"]), {}),
        "redrive_count": str(record["redriveCount"]),
        "previous_event_id": str(event["previousEventId"]),
        "event_timestamp": str(int(event["timestamp"] * 1000)),
        "execution_arn": record["executionArn"],
    }
