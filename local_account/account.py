"""The account that every local service is built with: names, folders, clock, and the ways to reach the others.

Services get an `Account` and nothing else. `front_door/` fulfils it (`LocalAccount`); tests may hand in their own.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from local_account.clock import Clock

ACCOUNT_ID = "123456789012"
REGION = "us-east-1"


@dataclass(frozen=True, slots=True)
class Credentials:
    access_key_id: str
    secret_access_key: str
    session_token: str

    def environment(self) -> dict[str, str]:
        """What a child process needs to sign as this session."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": self.session_token,
        }


class Account(Protocol):
    state_dir: Path  # everything that outlives the process lies under it, one folder per service
    endpoint_url: str  # http://127.0.0.1:PORT, the front door
    clock: Clock

    def credentials_for(self, role_arn: str, session_name: str) -> Credentials:
        """Fresh credentials of a role session: what Lambda, SageMaker and Step Functions get when they assume it."""

    def client(self, service: str, role_arn: str | None = None, session_name: str = "service") -> Any:
        """A boto3 client through the front door, as the role, or as the operator when no role is named. Cached."""

    def service(self, name: str) -> Any:
        """Another service of ours by its signing name ("lambda", "events", ...), for what has no public call."""

    def emit(self, source: str, detail_type: str, detail: dict[str, Any], resources: Sequence[str] = ()) -> None:
        """Put an event of AWS's own ("aws.sagemaker") on the default bus. Returns at once; delivery is at least once."""

    def log(self, group: str, stream: str, lines: Sequence[str]) -> None:
        """Append lines to CloudWatch Logs with the account's time; group and stream are made when missing."""

    def count(self, namespace: str, metric: str, value: float, unit: str, dimensions: dict[str, str]) -> None:
        """Put one datapoint to CloudWatch metrics, as AWS's services do for themselves. Batched; never blocks."""

    def child_environment(self, credentials: Credentials) -> dict[str, str]:
        """Environment of a process that plays inside the account: endpoint, region, credentials, no proxies, a clean PATH."""
