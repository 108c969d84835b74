"""Runs jobs a few at a time, takes unfinished ones up again after a crash, and brings every job to an end."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from local_account.sagemaker.errors import JobFailed
from local_account.sagemaker.job_book import TERMINAL, JobBook
from local_account.sagemaker.job_processes import Control, Halted
from local_account.wire import AwsError

logger = logging.getLogger(__name__)

Run = Callable[[JobBook, str, Control], None]  # brings one job to its end, or raises JobFailed


class JobRunner:
    """`at_once` jobs of all kinds run side by side; the others wait in the order they came."""

    def __init__(self, at_once: int) -> None:
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="sagemaker-job")
        self._halt = threading.Event()
        self._lock = threading.Lock()
        self._running: dict[tuple[str, str], tuple[Control, Future[None]]] = {}

    def submit(self, book: JobBook, name: str, run: Run) -> None:
        control = Control(halt=self._halt)
        with self._lock:
            self._running[book.kind.word, name] = (
                control,
                self._pool.submit(self._bring_to_end, book, name, run, control),
            )

    def stop_job(self, book: JobBook, name: str) -> None:
        """Ask a job to stop; one that still waits for its place ends at once."""
        with self._lock:
            control, future = self._running.get((book.kind.word, name), (None, None))
        if future is not None and future.cancel():
            _finish_stopped(book, name)
        elif control is not None:
            control.stop.set()

    def stop(self) -> None:
        """End every process; jobs that were under way stay unfinished on disk."""
        self._halt.set()
        with self._lock:
            controls = [control for control, _ in self._running.values()]
        for control in controls:
            control.stop.set()
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _bring_to_end(self, book: JobBook, name: str, run: Run, control: Control) -> None:
        try:
            if not self._halt.is_set():
                run(book, name, control)
                _clear(book, name)
        except Halted:
            logger.info("%s job %s is left for the next start", book.kind.word, name)
        except JobFailed as error:
            fail(book, name, str(error))
        except AwsError as error:  # what a call of the job's own met, a role that is gone
            fail(book, name, f"ClientError: {error.message}")
        except Exception:  # whatever it is, an acknowledged job must reach an end
            logger.exception("%s job %s", book.kind.word, name)
            fail(book, name, "InternalServerError: We encountered an internal error. Please try again.")
        finally:
            with self._lock:
                self._running.pop((book.kind.word, name), None)


def _clear(book: JobBook, name: str) -> None:
    """An ended job's folder goes, as its instance does; a failed one's stays for who looks for the reason."""
    shutil.rmtree(book.room.folder / "jobs" / book.kind.word.lower() / name, ignore_errors=True)


def fail(book: JobBook, name: str, reason: str) -> None:
    finish(book, name, "Failed", FailureReason=reason)


def finish(book: JobBook, name: str, status: str, secondary: str | None = None, **members: Any) -> None:
    """Write a job's end; training jobs also get a secondary status and their bill."""
    doc, now, word = book.get(name), book.room.account.clock.epoch(), book.kind.word
    if doc[book.kind.status] in TERMINAL:
        return
    if word == "Training":
        members["SecondaryStatus"] = secondary or status
        seconds = max(0, round(now - doc["TrainingStartTime"])) if "TrainingStartTime" in doc else 0
        members |= {"TrainingTimeInSeconds": seconds, "BillableTimeInSeconds": seconds}
    members[f"{word}EndTime"] = now
    book.change(name, **{book.kind.status: status}, **members)


def _finish_stopped(book: JobBook, name: str) -> None:
    finish(book, name, "Stopped")
