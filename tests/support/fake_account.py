"""An account without a front door: clients are what a test gives, what is told is kept in lists."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from botocore.exceptions import ClientError

from local_account.account import Credentials
from local_account.clock import Clock


class FakeAccount:
    """`local_account.account.Account` for unit tests."""

    def __init__(self, state_dir: Path, clients: dict[str, Any] | None = None) -> None:
        self.state_dir, self.endpoint_url, self.clock = state_dir, "http://127.0.0.1:0", Clock()
        self.clients = clients or {}
        self.emitted: list[dict[str, Any]] = []
        self.logged: list[tuple[str, str, str]] = []
        self.counted: list[tuple[str, str, float, dict[str, str]]] = []
        self.roles: list[str | None] = []

    def credentials_for(self, role_arn: str, session_name: str) -> Credentials:
        return Credentials(role_arn, session_name, "")

    def client(self, service: str, role_arn: str | None = None, session_name: str = "service") -> Any:
        del session_name
        self.roles.append(role_arn)
        return self.clients[service]

    def service(self, name: str) -> Any:
        return self.clients[name]

    def emit(self, source: str, detail_type: str, detail: dict[str, Any], resources: Sequence[str] = ()) -> None:
        self.emitted.append({"source": source, "detail-type": detail_type, "detail": detail, "resources": resources})

    def log(self, group: str, stream: str, lines: Sequence[str]) -> None:
        self.logged += [(group, stream, line) for line in lines]

    def count(self, namespace: str, metric: str, value: float, unit: str, dimensions: dict[str, str]) -> None:
        del unit
        self.counted.append((namespace, metric, value, dimensions))

    def child_environment(self, credentials: Credentials) -> dict[str, str]:
        return credentials.environment()


def client_error(code: str, message: str = "no", status: int = 400) -> ClientError:
    """What boto3 raises for an error answer."""
    metadata = {"HTTPStatusCode": status, "RequestId": "r-1"}
    answer: Any = {"Error": {"Code": code, "Message": message}, "ResponseMetadata": metadata}
    return ClientError(answer, "Operation")
