"""An account with nothing behind it: folders and a clock, lists for what was logged and counted, clients as given."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from local_account.account import REGION, Credentials
from local_account.clock import Clock
from local_account.wire import Principal, Request

OPERATOR = Principal("arn:aws:iam::123456789012:user/operator")
ROLE = "arn:aws:iam::123456789012:role/function"


class SmallAccount:
    def __init__(self, state_dir: Path, **clients: Any) -> None:
        self.state_dir, self.endpoint_url, self.clock = state_dir, "http://127.0.0.1:9", Clock()
        self.clients, self.services = clients, dict[str, Any]()
        self.logged: dict[tuple[str, str], list[str]] = {}
        self.counted: list[tuple[str, str, float, str, dict[str, str]]] = []
        self._lock = threading.Lock()

    def credentials_for(self, role_arn: str, session_name: str) -> Credentials:
        return Credentials("ASIA" + role_arn[-8:].upper(), "secret", f"token of {session_name}")

    def client(self, service: str, role_arn: str | None = None, session_name: str = "service") -> Any:
        return self.clients[service]

    def service(self, name: str) -> Any:
        return self.services[name]

    def emit(self, source: str, detail_type: str, detail: dict[str, Any], resources: Sequence[str] = ()) -> None:
        raise AssertionError("nothing here emits events")

    def log(self, group: str, stream: str, lines: Sequence[str]) -> None:
        with self._lock:
            self.logged.setdefault((group, stream), []).extend(lines)

    def count(self, namespace: str, metric: str, value: float, unit: str, dimensions: dict[str, str]) -> None:
        with self._lock:
            self.counted.append((namespace, metric, value, unit, dimensions))

    def child_environment(self, credentials: Credentials) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_REGION": REGION,
            **credentials.environment(),
        }

    def lines(self, group: str) -> list[str]:
        return [line for (owner, _), lines in self.logged.items() if owner == group for line in lines]

    def counts(self, metric: str) -> list[float]:
        return [value for _, name, value, _, _ in self.counted if name == metric]


def request(
    method: str,
    path: str,
    body: bytes = b"",
    *,
    service: str,
    query: dict[str, str] | None = None,
    headers: dict[str, str] | None = None,
    action: str = "",
) -> Request:
    """A request as the front door hands it to a service."""
    from urllib.parse import unquote

    return Request(method, unquote(path), path, query or {}, headers or {}, body, service, action, OPERATOR)
