"""What passes between the front door and the services behind it: a request, an answer, an AWS error.

The front door has checked the signature and the caller's rights before a service sees a request, so a service
never asks who may do something; it may ask who did.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class Principal:
    """Who signed a request: a role session, or the operator who started the account."""

    arn: str  # arn:aws:sts::123456789012:assumed-role/NAME/SESSION, or arn:aws:iam::123456789012:user/operator
    role_arn: str | None = None  # None for the operator


@dataclass(slots=True)
class Request:
    """One call on the wire, its body whole. `path` is decoded; `raw_path` is what was signed."""

    method: str
    path: str
    raw_path: str
    query: dict[str, str]
    headers: dict[str, str]  # names in lower case
    body: bytes
    service: str  # signing name: "sagemaker", "states", "s3", ...
    action: str  # "CreateTrainingJob"; for REST services the operation as botocore names it
    principal: Principal

    def json(self) -> dict[str, Any]:
        """Body as a JSON object; empty body reads as {}."""
        return json.loads(self.body or b"{}")


@dataclass(slots=True)
class Response:
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes = b""


class AwsError(Exception):
    """An answer AWS would give instead of a result.

    `code` is the short name botocore knows (`ResourceInUse`, `ValidationException`); the front door writes it in
    the protocol of the called service.
    """

    def __init__(self, code: str, message: str, status: int = 400, **extra: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code, self.message, self.status, self.extra = code, message, status, extra


class Service(Protocol):
    """A service of ours behind the front door. `handle` runs on a worker thread and may block."""

    def start(self) -> None:
        """Take up again what was under way when the account last stopped. The front door listens already."""

    def stop(self) -> None:
        """End every process and thread of this service; what was acknowledged is already on disk."""

    def handle(self, request: Request) -> Response: ...


def json_response(
    result: Mapping[str, Any] | None, status: int = 200, content_type: str = "application/x-amz-json-1.1"
) -> Response:
    """A JSON answer; datetimes become epoch seconds, as AWS's JSON protocols write them."""
    from datetime import datetime

    def default(value: object) -> object:
        if isinstance(value, datetime):
            return value.timestamp()
        raise TypeError(f"{type(value).__name__} has no place in a JSON answer")

    body = b"" if result is None else json.dumps(result, default=default).encode()
    return Response(status, {"content-type": content_type}, body)


class JsonService:
    """A service of the JSON-1.x protocols: the action `CreateTrainingJob` is the method `create_training_job`."""

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def handle(self, request: Request) -> Response:
        method: Callable[[dict[str, Any], Principal], Mapping[str, Any] | None] | None
        method = getattr(self, snake(request.action), None)
        if method is None:
            raise AwsError(
                "UnknownOperationException",
                f"{request.service}:{request.action} is not played by the local account",
                501,
            )
        return json_response(method(request.json(), request.principal) or {})


def snake(name: str) -> str:
    """`CreateTrainingJob` -> `create_training_job`, as botocore does it."""
    from botocore import xform_name

    return xform_name(name)
