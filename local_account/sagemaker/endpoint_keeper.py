"""Brings endpoints to what was asked for, one thread for each change, and brings them back when the account is back."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from local_account.sagemaker.capture_upload import upload_spool
from local_account.sagemaker.deployments import Deployment
from local_account.sagemaker.endpoint_book import EndpointBook
from local_account.sagemaker.live_endpoint import Interrupted, LiveEndpoint
from local_account.sagemaker.room import Answer, Room

logger = logging.getLogger(__name__)

_CHANGES_AT_ONCE = 4
_HOUSEKEEPING_S = 1.0
_INTERNAL = "InternalServerError: We encountered an internal error. Please try again."


class EndpointKeeper:
    def __init__(self, room: Room, book: EndpointBook) -> None:
        self._room, self._book = room, book
        self._live: dict[str, LiveEndpoint] = {}
        self._lock = threading.Lock()
        self._upload_lock = threading.Lock()
        self._pool = ThreadPoolExecutor(_CHANGES_AT_ONCE, thread_name_prefix="endpoint-change")
        self._stopping = threading.Event()
        self._housekeeper = threading.Thread(target=self._keep_house, name="endpoint-housekeeping", daemon=True)

    def create(self, name: str) -> None:
        self._submit(name, self._create)

    def update(self, name: str) -> None:
        self._submit(name, self._update)

    def delete(self, name: str) -> None:
        self._submit(name, self._delete)

    def live(self, name: str) -> LiveEndpoint | None:
        return self._live.get(name)

    def start(self) -> None:
        """Bring every endpoint back to where it was going when the account ended."""
        self._housekeeper.start()
        for name, doc in self._book.all():
            match doc["EndpointStatus"]:
                case "Creating":
                    self.create(name)
                case "Deleting":
                    self.delete(name)
                case "Updating" | "RollingBack":
                    self._submit(name, self._restore_and_update)
                case "InService" | "SystemUpdating" | "OutOfService":
                    self._book.change(name, EndpointStatus="SystemUpdating")
                    self._submit(name, self._restore)

    def stop(self) -> None:
        """End every server; what was captured is in S3 afterwards, or waits in the spool if S3 is gone."""
        self._stopping.set()
        for live in self._endpoints():
            live.close()
        self._pool.shutdown(wait=True, cancel_futures=True)
        if self._housekeeper.is_alive():
            self._housekeeper.join()
        self._upload()

    def _create(self, name: str, doc: Answer) -> None:
        problem = self._bring_up(name, doc["_pending"])
        if problem is None:
            self._book.change(name, drop=("_pending",), EndpointStatus="InService", _deployment=doc["_pending"])
        else:
            self._end(name)
            self._book.change(name, drop=("_pending",), EndpointStatus="Failed", FailureReason=problem)

    def _update(self, name: str, doc: Answer) -> None:
        """Blue/green: the new workers serve first, then the routes change at once, then the old workers leave."""
        old, new = doc["_deployment"], doc["_pending"]
        live = self._live_endpoint(name)
        problem = self._bring_up(name, new)
        before, after = _workers(old), _workers(new)
        if problem is None:
            live.retire(before - after)
            gone = ("_pending", "FailureReason")
            self._book.change(
                name, drop=gone, EndpointStatus="InService", EndpointConfigName=new["config"], _deployment=new
            )
        else:
            self._book.change(name, EndpointStatus="RollingBack")
            live.retire(after - before)
            self._book.change(name, drop=("_pending",), EndpointStatus="InService", FailureReason=problem)

    def _restore(self, name: str, doc: Answer) -> None:
        problem = self._bring_up(name, doc["_deployment"])
        if problem is None:
            self._book.change(name, EndpointStatus="InService")
        else:
            self._book.change(name, EndpointStatus="OutOfService", FailureReason=problem)

    def _restore_and_update(self, name: str, doc: Answer) -> None:
        self._bring_up(name, doc["_deployment"])
        self._update(name, doc)

    def _delete(self, name: str, doc: Answer) -> None:
        self._end(name)
        if self._upload():
            shutil.rmtree(self._room.folder / "capture" / name, ignore_errors=True)
        self._book.delete(name)

    def _bring_up(self, name: str, deployment: Deployment) -> str | None:
        live = self._live_endpoint(name)
        problem = live.bring_up(deployment)
        if problem is None:
            live.route(deployment)
        return problem

    def _end(self, name: str) -> None:
        with self._lock:
            live = self._live.pop(name, None)
        if live is not None:
            live.close()
        LiveEndpoint(self._room, name).forget()

    def _live_endpoint(self, name: str) -> LiveEndpoint:
        with self._lock:
            if self._stopping.is_set():
                raise Interrupted
            return self._live.setdefault(name, LiveEndpoint(self._room, name))

    def _endpoints(self) -> list[LiveEndpoint]:
        with self._lock:
            return list(self._live.values())

    def _submit(self, name: str, work: Callable[[str, Answer], None]) -> None:
        self._pool.submit(self._guarded, name, work)

    def _guarded(self, name: str, work: Callable[[str, Answer], None]) -> None:
        try:
            work(name, self._book.get(name))
        except Interrupted:
            logger.info("the change of endpoint %s goes on at the next start", name)
        except Exception:  # an acknowledged change must reach an end
            logger.exception("endpoint %s", name)
            doc = self._book.get(name)
            status = "InService" if "_deployment" in doc else "Failed"
            self._book.change(name, drop=("_pending",), EndpointStatus=status, FailureReason=_INTERNAL)

    def _keep_house(self) -> None:
        while not self._stopping.wait(_HOUSEKEEPING_S):
            for live in self._endpoints():
                live.flush_log()
            self._upload()

    def _upload(self) -> bool:
        """Empty the spool; False if S3 did not take all of it."""
        with self._upload_lock:
            return upload_spool(self._room, self._room.folder / "capture")


def _workers(deployment: Deployment) -> set[str]:
    return {variant["worker"] for variant in deployment["variants"]}
