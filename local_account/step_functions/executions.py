"""Executions: started, kept on disk step by step, resumed after a restart, stopped, redriven, and told about."""

from __future__ import annotations

import json
import logging
import threading
from typing import Any

from local_account.account import Account
from local_account.records import Records
from local_account.step_functions import history
from local_account.step_functions.branches import side_by_side
from local_account.step_functions.errors import RUNTIME, Interrupted, StatesError
from local_account.step_functions.frames import Cancellation, Frame
from local_account.step_functions.interpreter import Branch, Run, iso
from local_account.step_functions.journal import Journal, Row
from local_account.step_functions.logs import MachineLogs
from local_account.step_functions.news import News
from local_account.step_functions.tasks import AccountTasks
from local_account.step_functions.telling import tell
from local_account.step_functions.tokens import Tokens

_log = logging.getLogger(__name__)

Record = dict[str, Any]
LONGEST_STOP_S = 30  # by then an aborted execution's jobs have been told to stop


class Executions:
    """All executions of the account; those under way have a thread each, and one per branch."""

    def __init__(self, account: Account, records: Records) -> None:
        self._account, self._records = account, records
        self.tokens, self.news = Tokens(account.clock), News()
        self._logs = MachineLogs(account)
        self._running: dict[str, tuple[threading.Thread, Cancellation]] = {}
        self._lock = threading.RLock()

    # What is on disk

    def get(self, arn: str) -> Record | None:
        record: Record | None = self._records.get("execution", arn)
        return record

    def all(self) -> list[Record]:
        return [record for _arn, record in self._records.all("execution")]

    def rows(self, arn: str) -> list[Row]:
        return [row for _key, row in self._records.all(f"rows {arn}")]

    def events(self, arn: str) -> list[dict[str, Any]]:
        return [row["event"] for row in self.rows(arn) if row["event"] is not None]

    # What is done with them

    def start(self, record: Record) -> Record:
        """Put a new execution on disk, then let it run; the record that stands if its name was taken meanwhile."""
        with self._lock:
            standing = self.get(record["executionArn"])
            if standing is not None:
                return standing
            self._records.put("execution", record["executionArn"], record)
            tell(self._account, record)
            self._run(record)
        return record

    def resume(self) -> None:
        """Take up every execution that was under way, and tell of ends that were not told."""
        for record in self.all():
            if record["status"] == "RUNNING":
                self._run(record)
            elif not record.get("told", True):
                self._tell(record)

    def stop(self, record: Record, error: str, cause: str) -> Record:
        """Abort: branches end, their jobs are told to stop, then the record says ABORTED."""
        arn = record["executionArn"]
        with self._lock:
            running = self._running.get(arn)
            if running is None:
                return self.get(arn) or record
            self._records.put("execution", arn, record | {"stopping": {"error": error, "cause": cause}})
            running[1].cancel("abort")
        running[0].join(LONGEST_STOP_S)
        return self.get(arn) or record

    def redrive(self, record: Record) -> Record:
        arn = record["executionArn"]
        with self._lock:
            now = self._account.clock.epoch()
            again = {k: v for k, v in record.items() if k not in ("stopDate", "error", "cause", "stopping")}
            again |= {"status": "RUNNING", "redriveCount": record["redriveCount"] + 1, "redriveDate": now, "told": True}
            journal = self._journal(again)
            journal.redrive()
            root = journal.frame("") or self._root(again)
            details = {"redriveCount": again["redriveCount"]}
            journal.add(history.event("ExecutionRedriven", details), root, last=True)
            self._records.put("execution", arn, again)
            tell(self._account, again)
            self._run(again)
        return again

    def suspend(self) -> None:
        """The account stops: every branch ends where it stands."""
        with self._lock:
            running = list(self._running.values())
        for _thread, cancellation in running:
            cancellation.cancel("suspend")
        for thread, _cancellation in running:
            thread.join(5)
        self._logs.stop()

    def wait(self, arn: str, timeout_s: float) -> None:
        """Wait for an execution's thread to end."""
        with self._lock:
            running = self._running.get(arn)
        if running is not None:
            running[0].join(timeout_s)

    # One execution

    def _run(self, record: Record) -> None:
        cancellation = Cancellation()
        thread = threading.Thread(target=self._walk, args=(record, cancellation), daemon=True, name=record["name"])
        with self._lock:
            self._running[record["executionArn"]] = (thread, cancellation)
        if "stopping" in record:  # it was being aborted when the account was killed: end it, jobs and all
            cancellation.cancel("abort")
        thread.start()

    def _walk(self, record: Record, cancellation: Cancellation) -> None:
        finished = threading.Event()
        try:
            journal = self._journal(record)
            if journal.end is None:
                self._time_limit(record, cancellation, finished)
                end = self._interpret(record, journal, cancellation)
                if end is None:
                    return
                journal.add(end, self._root(record), last=True)
            self._finish(record["executionArn"], journal.end or {})
        except Exception:  # noqa: BLE001 - a thread has nobody to raise to
            _log.exception("execution %s could not be carried on", record["executionArn"])
        finally:
            finished.set()
            with self._lock:
                if self._running.get(record["executionArn"], (None,))[0] is threading.current_thread():
                    del self._running[record["executionArn"]]

    def _interpret(self, record: Record, journal: Journal, cancellation: Cancellation) -> dict[str, Any] | None:
        """Walk to the end; the event that says how it ended, None if it is only suspended."""
        definition = json.loads(record["definition"])
        run = self._make_run(record, definition, journal, cancellation)
        frame = journal.frame("")
        if frame is None:
            frame = Frame("", definition["StartAt"], json.loads(record["input"]))
            journal.add(_started(record), frame, position=True)
        try:
            output = Branch(run, definition["States"], frame, {}, cancellation).run()
            return history.event("ExecutionSucceeded", {"output": history.text(output)})
        except StatesError as failure:
            return history.event("ExecutionFailed", {"error": failure.error, "cause": failure.cause[:32_768]})
        except Interrupted as interruption:
            if interruption.reason == "suspend":
                return None
            if interruption.reason == "timeout":
                return history.event("ExecutionTimedOut", {})
            return history.event("ExecutionAborted", (self.get(record["executionArn"]) or {}).get("stopping", {}))
        except Exception as bug:  # noqa: BLE001 - an execution must end, whatever the interpreter did
            _log.exception("the interpreter failed in %s", record["executionArn"])
            return history.event("ExecutionFailed", {"error": RUNTIME, "cause": f"{type(bug).__name__}: {bug}"})

    def _make_run(self, record: Record, definition: Any, journal: Journal, cancellation: Cancellation) -> Run:
        execution = {
            "Id": record["executionArn"],
            "Input": json.loads(record["input"]),
            "Name": record["name"],
            "RoleArn": record["roleArn"],
            "StartTime": iso(record["startDate"]),
            "RedriveCount": record["redriveCount"],
        }
        if "redriveDate" in record:
            execution["RedriveTime"] = iso(record["redriveDate"])
        machine = {"Id": record["stateMachineArn"], "Name": record["stateMachineArn"].rpartition(":")[2]}
        return Run(
            definition=definition,
            context={"Execution": execution, "StateMachine": machine},
            time=self._account.clock,
            journal=journal,
            tasks=AccountTasks(self._account, record["roleArn"], machine["Name"][:64], self.tokens, self.news),
            fan_out=side_by_side,
            cancellation=cancellation,
        )

    def _time_limit(self, record: Record, cancellation: Cancellation, finished: threading.Event) -> None:
        """The machine's own TimeoutSeconds, counted from the start or the redrive."""
        limit = json.loads(record["definition"]).get("TimeoutSeconds")
        if limit is None:
            return
        due = float(record.get("redriveDate") or record["startDate"]) + float(limit)

        def watch() -> None:
            if self._account.clock.sleep_until(due, finished):
                cancellation.cancel("timeout")

        threading.Thread(target=watch, daemon=True, name=f"time limit of {record['name']}").start()

    def _journal(self, record: Record) -> Journal:
        arn = record["executionArn"]

        def write(at: int, row: Row) -> None:
            self._records.put(f"rows {arn}", f"{at:08d}", row)
            if row["event"] is not None:
                self._logs.write(record, row["event"])

        return Journal(self._account.clock.epoch, write, self.rows(arn))

    def _root(self, record: Record) -> Frame:
        return Frame("", json.loads(record["definition"])["StartAt"], json.loads(record["input"]))

    def _finish(self, arn: str, end: dict[str, Any]) -> None:
        """The end is in the history; now the record says so, and then the world."""
        status = {
            "ExecutionSucceeded": "SUCCEEDED",
            "ExecutionFailed": "FAILED",
            "ExecutionTimedOut": "TIMED_OUT",
            "ExecutionAborted": "ABORTED",
        }[end["type"]]
        details = end[history.details_key(end["type"])]
        with self._lock:
            record = self.get(arn) or {}
            record |= {"status": status, "stopDate": end["timestamp"], "told": False}
            record |= {key: details[key] for key in ("output", "error", "cause") if details.get(key)}
            self._records.put("execution", arn, record)
        self._tell(record)

    def _tell(self, record: Record) -> None:
        tell(self._account, record)
        self._records.put("execution", record["executionArn"], record | {"told": True})


def _started(record: Record) -> dict[str, Any]:
    details = {"input": record["input"], "inputDetails": {"truncated": False}, "roleArn": record["roleArn"]}
    return history.event("ExecutionStarted", details)
