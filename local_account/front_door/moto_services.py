"""The services moto plays, called in this process: locked where moto is not safe to share, journalled before the answer.

moto answers a request object; what its own server puts between a socket and that object (Flask's routing, CORS,
debug pages) costs more than most answers, so its handlers are called directly, by moto's own table of URL patterns.
"""

from __future__ import annotations

import os
import re
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from io import BytesIO
from typing import Any

os.environ.setdefault("MOTO_ACCOUNT_ID", "123456789012")
os.environ.setdefault("MOTO_S3_DEFAULT_KEY_BUFFER_SIZE", str(256 * 1024))  # larger objects live in files, not memory
os.environ.setdefault("MOTO_IAM_LOAD_MANAGED_POLICIES", "true")

from moto import backends
from moto.core.base_backend import BackendDict
from moto.core.exceptions import HTTPException
from moto.core.request import Request as MotoRequest

from local_account.account import ACCOUNT_ID, REGION
from local_account.clock import Clock
from local_account.front_door import dynamodb_reads, dynamodb_transactions, metric_writes, moto_repairs, repeatable
from local_account.front_door.call import Call
from local_account.front_door.effects import changed_something, is_read, needs_no_lock, scopes_of
from local_account.front_door.journal import Journal
from local_account.front_door.record import Record
from local_account.front_door.words import words
from local_account.wire import AwsError, Response

# Signing name -> moto's name, where they differ.
_BACKENDS = {"monitoring": "cloudwatch", "application-autoscaling": "applicationautoscaling"}
_Handler = Callable[[MotoRequest, str, Any], tuple[int, dict[str, Any], Any]]
_S3_CONDITIONS = words("if-match if-none-match")
_QUICK_WRITES = {"monitoring": metric_writes.put, "dynamodb": dynamodb_transactions.write}  # None: moto is asked
_UPLOAD_ID = re.compile(rb"<UploadId>([^<]+)<")
# moto reads region and account from a header that the front door has verified and need not pass on.
_AUTHORIZATION = "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20260101/%s/%s/aws4_request"


class MotoServices:
    """moto behind one method. Writes of one scope (a table, a bucket, a service) happen one after another."""

    def __init__(self, host: str, clock: Clock) -> None:
        repeatable.install()
        moto_repairs.install()
        self._clock = clock
        self.host = host
        self.journal: Journal | None = None
        self._locks: dict[str, threading.RLock] = {}
        self._new_lock = threading.Lock()
        self._written: dict[str, list[Callable[[], None]]] = defaultdict(list)
        self._answered: dict[str, list[Callable[[Call, str], None]]] = defaultdict(list)

    def on_write(self, service: str, callback: Callable[[], None]) -> None:
        """Call back after every write to a service, while its lock is still held."""
        self._written[service].append(callback)

    def after_write(self, service: str, callback: Callable[[Call, str], None]) -> None:
        """Call back with each request that wrote and its operation, when its locks are free again."""
        self._answered[service].append(callback)

    def handle(self, call: Call, service: str, operation: str) -> Response:
        """Answer a call whose sender may make it.

        Raises
        ------
        AwsError
            501 for a service or operation that moto does not have.
        """
        read = is_read(service, operation)
        if read and needs_no_lock(service, operation):
            return self.play(self._record(call, service, operation))
        with self.locked(scopes_of(call, service, operation)):
            if service == "dynamodb" and (answer := dynamodb_reads.read(backend(service), operation, call)):
                return answer
            record = self._record(call, service, operation)
            quick = _QUICK_WRITES.get(service)
            response = (quick and quick(backend(service), operation, call)) or self.play(record)
            wrote = not read and response.status < 400 and changed_something(operation, response.body)
            if wrote:
                self._keep(record, response)
                for written in self._written[service]:
                    written()
        for answered in self._answered[service] if wrote else ():
            answered(call, operation)
        return response

    def _keep(self, record: Record, response: Response) -> None:
        if self.journal is None:
            return
        # The condition of a write held, and need not be asked of a history that compaction has shortened.
        record.headers = {name: value for name, value in record.headers.items() if name not in _S3_CONDITIONS}
        if record.operation == "CreateMultipartUpload" and (match := _UPLOAD_ID.search(response.body)):
            record.note = match[1].decode()
        self.journal.append(record)

    def play(self, record: Record) -> Response:
        """Hand a request to moto as it is: no lock, no journal."""
        handler = _handler(record.service, record.path)
        request = MotoRequest(self._environ(record))
        with repeatable.played(record.seed, record.ahead_s):
            try:
                status, headers, body = handler(request, request.raw_url, request.headers)
            except HTTPException as error:
                status, headers, body = error.code or 400, dict(error.get_headers()), error.get_body()
            except NotImplementedError as error:
                text = f"{record.service}:{record.operation} is not played by the local account ({error})"
                raise AwsError("UnknownOperationException", text, 501) from error
        return _response(record, status, headers, body)

    @contextmanager
    def locked(self, scopes: Sequence[str]) -> Iterator[None]:
        """Hold the locks of all scopes, taken in one order everywhere."""
        with ExitStack() as held:
            for scope in sorted(set(scopes)):
                held.enter_context(self._lock(scope))
            yield

    def _lock(self, scope: str) -> threading.RLock:
        lock = self._locks.get(scope)
        if lock is None:
            with self._new_lock:
                lock = self._locks.setdefault(scope, threading.RLock())
        return lock

    def _record(self, call: Call, service: str, operation: str) -> Record:
        return Record(
            service=service,
            operation=operation,
            method=call.method,
            path=call.raw_path,
            query=call.query_string,
            headers={name: value for name, value in call.headers.items() if name not in _NOT_FOR_MOTO},
            ahead_s=self._clock.epoch() - time.time(),
            load=lambda: call.body,
        )

    def _environ(self, record: Record) -> dict[str, Any]:
        body = record.body
        environ: dict[str, Any] = {
            "REQUEST_METHOD": record.method,
            "PATH_INFO": record.path if "%" not in record.path else _decoded(record.path),
            "RAW_URI": record.path,
            "QUERY_STRING": record.query,
            "SERVER_NAME": "127.0.0.1",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.url_scheme": "http",
            "wsgi.input": BytesIO(body),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_HOST": self.host,
            "HTTP_AUTHORIZATION": _AUTHORIZATION % (REGION, record.service),
        }
        preserved: dict[str, str] = {}
        for name, value in record.headers.items():
            key = "CONTENT_TYPE" if name == "content-type" else f"HTTP_{name.upper().replace('-', '_')}"
            environ[key] = value
            if "_" in name and name.startswith("x-amz-meta-"):
                preserved[key] = name
        environ["moto.preserved_header_names"] = preserved
        if record.service == "s3" and record.method == "PUT" and "form" in environ.get("CONTENT_TYPE", ""):
            del environ["CONTENT_TYPE"]  # moto would take the object for a form and store nothing
        return environ


# Checked at the door already, or the transport's own.
_NOT_FOR_MOTO = words(
    "authorization x-amz-date x-amz-security-token x-amz-content-sha256 host content-length connection "
    "transfer-encoding expect accept-encoding user-agent amz-sdk-invocation-id amz-sdk-request accept x-amz-user-agent"
)


def _decoded(path: str) -> str:
    """A path as WSGI has it: decoded to bytes, and those read as latin-1."""
    from urllib.parse import unquote_to_bytes

    return unquote_to_bytes(path).decode("latin-1")


def _response(record: Record, status: int, headers: dict[str, Any], body: Any) -> Response:
    data = body.encode() if isinstance(body, str) else body if isinstance(body, bytes) else b"".join(body or ())
    out = {str(name).lower(): str(value) for name, value in headers.items() if value is not None}
    for name in ("status", "connection", "transfer-encoding"):
        out.pop(name, None)
    if record.method != "HEAD":
        out.pop("content-length", None)
    return Response(int(status), out, data)


@cache
def backend(service: str, region: str = REGION) -> Any:
    """moto's own backend object of this account, for what no public call can ask."""
    name = _BACKENDS.get(service, service)
    if name not in backends.list_of_moto_modules():
        raise AwsError("UnknownServiceException", f"{service} is not played by the local account", 501)
    found = backends.get_backend(name)  # type: ignore[call-overload]
    if not isinstance(found, BackendDict):
        return found["global"]
    of_account = found[ACCOUNT_ID]
    return of_account[region] if region in of_account.regions else of_account["aws"]


@cache
def _table(service: str) -> tuple[tuple[re.Pattern[str], _Handler], ...]:
    paths = backend(service).url_paths
    return tuple((re.compile(pattern), handler) for pattern, handler in paths.items())


def _handler(service: str, path: str) -> _Handler:
    for pattern, handler in _table(service):
        if pattern.match(path):
            return handler
    raise AwsError("UnknownOperationException", f"{path} is no path of {service}", 404)
