"""One endpoint's server and workers, brought to what a deployment says and kept there."""

from __future__ import annotations

import itertools
import json
import logging
import os
import shutil
import threading
import time
from collections import deque
from pathlib import Path
from typing import Any

from local_account.sagemaker import frames
from local_account.sagemaker.capture_upload import TARGET
from local_account.sagemaker.deployments import Deployment, Variant, place_model, worker_environment
from local_account.sagemaker.endpoint_process import EndpointGone, EndpointProcess, Event
from local_account.sagemaker.errors import JobFailed
from local_account.sagemaker.room import Room

logger = logging.getLogger(__name__)

_LOG_LINES = 10_000  # kept for CloudWatch Logs between two flushes; more are dropped, and said so
_ROUTE_LIMIT_S = 10.0
_SERVER_ENVIRONMENT = {"PATH": os.defpath, "LANG": "C.UTF-8", "TZ": "UTC"}  # a server acts as nobody


class Interrupted(Exception):
    """The account goes down while an endpoint changes."""


class LiveEndpoint:
    def __init__(self, room: Room, name: str) -> None:
        self._room, self.name = room, name
        self.folder = room.folder / "endpoints" / name
        self.spool = room.folder / "capture" / name
        self._process: EndpointProcess | None = None
        self._routed: Deployment | None = None
        self._starting = threading.Lock()
        self._news = threading.Condition()
        self._states: dict[str, str] = {}  # worker -> ready | failed
        self._routes: set[int] = set()
        self._faults: dict[str, dict[str, Any]] = {}  # model -> what was ordered for it (faults.py)
        self._numbers = itertools.count()
        self._closing = threading.Event()
        self._log: deque[tuple[str, str]] = deque(maxlen=_LOG_LINES)

    def bring_up(self, deployment: Deployment) -> str | None:
        """Start the workers that do not run yet and wait until they serve; the reason if one does not."""
        process = self._server()
        try:
            for variant in deployment["variants"]:
                if self._states.get(variant["worker"]) != "ready":
                    self._start(process, variant)
        except JobFailed as error:
            return str(error)
        for variant in deployment["variants"]:
            if self._wait_for(variant["worker"], variant["ready_limit_s"] + 10) != "ready":
                return (
                    f"The primary container for production variant {variant['name']} did not pass the ping health check. "
                    f"Please check CloudWatch logs for this endpoint."
                )
        return None

    def route(self, deployment: Deployment) -> None:
        """From here on calls go where the deployment says; when this returns the server has taken it up."""
        number = next(self._numbers)
        rows = [{"variant": v["name"], "id": v["worker"], "weight": v["weight"]} for v in deployment["variants"]]
        if deployment["capture"] is not None:
            target = self.spool / deployment["config"]
            target.mkdir(parents=True, exist_ok=True)
            facts = {"uri": deployment["capture"]["DestinationS3Uri"], "role": deployment["variants"][0]["role"]}
            (target / TARGET).write_text(json.dumps(facts))
        self._routed = deployment
        for model in list(self._faults):
            self._tell_workers(model, do="spoil", fault=self._faults[model])
        command = {"do": "route", "number": number, "variants": rows}
        self._server().send(**command, capture=deployment["capture"], config=deployment["config"])
        deadline = time.monotonic() + _ROUTE_LIMIT_S
        with self._news:
            while number not in self._routes and time.monotonic() < deadline and not self._closing.is_set():
                self._news.wait(0.2)

    def retire(self, workers: set[str]) -> None:
        """End workers that nothing is routed to any more, after their last call."""
        for worker in workers:
            self._states.pop(worker, None)
            self._server().send(do="retire", id=worker)

    def ask(self, head: frames.Head, body: bytes) -> tuple[frames.Head, bytes]:
        process = self._process
        if process is None:
            raise EndpointGone("the endpoint is being brought up")
        return process.ask(head, body)

    def spoil(self, model: str, fault: dict[str, Any] | None) -> None:
        """From here on the model's calls meet a fault; None ends it."""
        self._faults.pop(model, None)
        if fault is not None:
            self._faults[model] = fault
        self._tell_workers(model, do="spoil", fault=fault)

    def kill(self, model: str) -> None:
        """End the process behind a model, as the kernel does when memory is short."""
        self._tell_workers(model, do="kill")

    def _tell_workers(self, model: str, **command: Any) -> None:
        for variant in self._routed["variants"] if self._routed is not None else ():
            if variant["model"] == model:
                self._server().send(**command, id=variant["worker"])

    def flush_log(self) -> None:
        by_stream: dict[str, list[str]] = {}
        while self._log:
            worker, line = self._log.popleft()
            by_stream.setdefault(worker, []).append(line)
        for worker, lines in by_stream.items():
            variant = worker.rpartition("-")[0]
            self._room.account.log(f"/aws/sagemaker/Endpoints/{self.name}", f"{variant}/i-{worker}", lines)

    def close(self) -> None:
        """End the server and its workers; what was captured is in the spool then."""
        self._closing.set()
        with self._news:
            self._news.notify_all()
        process, self._process = self._process, None
        if process is not None:
            process.close()
        self.flush_log()

    def forget(self) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    def _server(self) -> EndpointProcess:
        with self._starting:
            return self._started()

    def _started(self) -> EndpointProcess:
        if self._process is None:
            if self._closing.is_set():
                raise Interrupted
            self.spool.mkdir(parents=True, exist_ok=True)
            self._states.clear()
            self._process = EndpointProcess(self.name, self.spool, _SERVER_ENVIRONMENT, self._on_event)
        return self._process

    def _start(self, process: EndpointProcess, variant: Variant) -> None:
        model = place_model(self._room, variant, self._worker_folder(variant))
        worker = {
            "id": variant["worker"],
            "variant": variant["name"],
            "model_dir": str(model),
            "env": worker_environment(self._room.account, self.name, variant, model),
            "ready_limit_s": variant["ready_limit_s"],
        }
        process.send(do="start", worker=worker)

    def _worker_folder(self, variant: Variant) -> Path:
        return self.folder / variant["worker"]

    def _wait_for(self, worker: str, limit_s: float) -> str:
        deadline = time.monotonic() + limit_s
        with self._news:
            while worker not in self._states:
                if self._closing.is_set():
                    raise Interrupted
                if time.monotonic() >= deadline:
                    return "failed"
                self._news.wait(0.2)
            return self._states[worker]

    def _on_event(self, event: Event) -> None:
        match event["event"]:
            case "ready" | "failed":
                with self._news:
                    self._states[event["id"]] = event["event"]
                    self._news.notify_all()
            case "routed":
                with self._news:
                    self._routes.add(event["number"])
                    self._news.notify_all()
            case "log":
                self._log.extend((event["id"], line) for line in event["lines"])
            case "retired":
                shutil.rmtree(self.folder / event["id"], ignore_errors=True)
            case "gone":
                threading.Thread(target=self._bring_back, name=f"bring back {self.name}", daemon=True).start()

    def _bring_back(self) -> None:
        """The server died by itself: a new one takes up what was routed."""
        logger.warning("the server of endpoint %s died; it is started again", self.name)
        process, self._process = self._process, None
        if process is not None:
            process.kill_group()
        time.sleep(0.2)
        try:
            if self._routed is not None and not self._closing.is_set() and self.bring_up(self._routed) is None:
                self.route(self._routed)
        except Interrupted:
            logger.info("endpoint %s stays down with the account", self.name)
