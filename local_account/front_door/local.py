"""The account itself: what services of ours are built with (`local_account.account.Account`)."""

from __future__ import annotations

import json
import logging
import os
import resource
import socket
import sys
import threading
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import boto3
import botocore.config

from local_account.account import ACCOUNT_ID, REGION, Credentials
from local_account.clock import Clock
from local_account.front_door.call import Call
from local_account.front_door.door import Door
from local_account.front_door.identities import Identities
from local_account.front_door.journal import Journal
from local_account.front_door.metrics import MetricBatch
from local_account.front_door.moto_services import MotoServices
from local_account.front_door.restoration import restore, shorten
from local_account.front_door.rights import Rights
from local_account.front_door.s3_notifications import tell_of_object
from local_account.front_door.server import Server
from local_account.front_door.services import Services
from local_account.front_door.sockets import listen
from local_account.wire import AwsError, Response

_log = logging.getLogger(__name__)

_LONGEST_CALL_S = 900  # a Lambda function invoked synchronously
_OPEN_FILES = 65_536  # every S3 object above 256 KB keeps one open
_LOG_LIMITS = {"events": 10_000, "bytes": 1_048_576 - 26 * 10_000}  # of one PutLogEvents, 26 bytes charged per event


class LocalAccount:
    """One AWS account in this process, on one port, with its state in one folder."""

    def __init__(self, state_dir: Path, listener: socket.socket | None = None) -> None:
        self.state_dir = state_dir
        self.clock = Clock()
        listener = listener or listen()
        self.port: int = listener.getsockname()[1]
        self.endpoint_url = f"http://127.0.0.1:{self.port}"
        self.identities = Identities(state_dir)
        self.moto = MotoServices(host=f"127.0.0.1:{self.port}", clock=self.clock)
        self.moto.after_write("s3", lambda call, operation: tell_of_object(self, call, operation))
        self.rights = Rights(self.moto)
        self.services = Services(self)
        self.door = Door(self.identities, self.moto, self.services, self.rights)
        self._server = Server(self.door.answer, listener)
        self._metrics = MetricBatch(self)
        self._journal: Journal | None = None
        # One session for all clients: each would read botocore's table of endpoints anew, 2 s under everybody's lock.
        self._session = boto3.session.Session(region_name=REGION)
        self._clients: dict[tuple[str, str | None, str], Any] = {}
        self._client_lock = threading.Lock()

    def start(self) -> None:
        """Bring moto's world back, listen, then let every service take up what was under way."""
        _raise_limit_of_open_files()
        self._journal = restore(self.moto, self.state_dir / "moto")
        self.identities.write_config(self.endpoint_url)
        self._server.start()
        self._metrics.start()
        self.services.start()
        _log.info("the account listens on %s", self.endpoint_url)

    def stop(self) -> None:
        """End services in reverse order, then stop listening; the journal is left short for the next start."""
        self.services.stop()
        self._metrics.stop()
        self._server.stop()
        if self._journal is not None:
            self.moto.journal = None
            shorten(self._journal)
            self._journal.close()
            self._journal = None

    @property
    def answered(self) -> int:
        """Requests from outside so far, about."""
        return self._server.answered

    def credentials_for(self, role_arn: str, session_name: str, service: str | None = None) -> Credentials:
        """Fresh credentials of a role session, which do not expire.

        Parameters
        ----------
        service
            Who assumes the role ("lambda.amazonaws.com"); the role must trust it. None asks no such question.

        Raises
        ------
        AwsError
            `AccessDeniedException` if there is no such role, or it does not trust the service.
        """
        self.rights.require_trust(role_arn, service)
        return self.identities.mint(role_arn, session_name)

    def client(self, service: str, role_arn: str | None = None, session_name: str = "service") -> Any:
        key = (service, role_arn, session_name)
        with self._client_lock:
            client = self._clients.get(key)
            if client is None:
                keys = self.credentials_for(role_arn, session_name) if role_arn else self.identities.operator
                client = self._clients[key] = self._new_client(service, keys)
        return client

    def service(self, name: str) -> Any:
        return self.services.get(name)

    def emit(self, source: str, detail_type: str, detail: dict[str, Any], resources: Sequence[str] = ()) -> None:
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": detail_type,
            "source": source,
            "account": ACCOUNT_ID,
            "time": self.clock.now().strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": REGION,
            "resources": list(resources),
            "detail": detail,
        }
        try:
            events = self.services.get("events")
        except AwsError as error:
            _log.warning("event %s was not delivered: %s", detail_type, error.message)
            return
        events.put_aws_event(event)

    def log(self, group: str, stream: str, lines: Sequence[str]) -> None:
        at_ms = int(self.clock.epoch() * 1000)
        for batch in _log_batches(lines):
            events = [{"timestamp": at_ms, "message": line} for line in batch]
            body = {"logGroupName": group, "logStreamName": stream, "logEvents": events}
            if self.call("logs", "Logs_20140328.PutLogEvents", body).status == 200:
                continue
            self.call("logs", "Logs_20140328.CreateLogGroup", {"logGroupName": group})
            self.call("logs", "Logs_20140328.CreateLogStream", {"logGroupName": group, "logStreamName": stream})
            response = self.call("logs", "Logs_20140328.PutLogEvents", body)
            if response.status != 200:
                _log.warning("%d lines of %s %s were not kept: %s", len(batch), group, stream, response.body[:200])

    def count(self, namespace: str, metric: str, value: float, unit: str, dimensions: dict[str, str]) -> None:
        self._metrics.add(namespace, metric, value, unit, dimensions)

    def call(self, service: str, target: str, body: dict[str, Any]) -> Response:
        """Ask moto in this process, as the account itself; journalled like a request from outside."""
        headers = {"content-type": "application/x-amz-json-1.1", "x-amz-target": target}
        call = Call("POST", "/", "", headers, json.dumps(body).encode())
        return self.moto.handle(call, service, target.rpartition(".")[2])

    def child_environment(self, credentials: Credentials) -> dict[str, str]:
        binaries = os.pathsep.join([str(Path(sys.executable).parent), os.defpath])
        environment = {
            "PATH": binaries,
            "HOME": os.environ.get("HOME", "/"),
            "LANG": "C.UTF-8",
            "TZ": "UTC",
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": REGION,
            "AWS_DEFAULT_REGION": REGION,
            "AWS_EC2_METADATA_DISABLED": "true",
            # The user's own profiles and endpoints are another account's.
            "AWS_CONFIG_FILE": os.devnull,
            "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
            "NO_PROXY": "*",
            "no_proxy": "*",
            **credentials.environment(),
        }
        if "TMPDIR" in os.environ:
            environment["TMPDIR"] = os.environ["TMPDIR"]
        return environment

    def _new_client(self, service: str, keys: Credentials) -> Any:
        config = botocore.config.Config(
            read_timeout=_LONGEST_CALL_S + 30,
            retries={"mode": "standard", "max_attempts": 3},
            max_pool_connections=32,
            proxies={},
        )
        return self._session.client(
            service,
            endpoint_url=self.endpoint_url,
            config=config,
            aws_access_key_id=keys.access_key_id,
            aws_secret_access_key=keys.secret_access_key,
            aws_session_token=keys.session_token or None,
        )


def _log_batches(lines: Sequence[str]) -> list[list[str]]:
    batches: list[list[str]] = []
    size = 0
    for line in lines:
        if not line:  # CloudWatch Logs refuses an empty message
            continue
        if not batches or len(batches[-1]) == _LOG_LIMITS["events"] or size + len(line) > _LOG_LIMITS["bytes"]:
            batches.append([])
            size = 0
        batches[-1].append(line)
        size += len(line.encode())
    return batches


def _raise_limit_of_open_files() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _OPEN_FILES if hard == resource.RLIM_INFINITY else min(_OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
