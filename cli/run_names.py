"""Names of the executions a person starts: readable, sorted by time, and not the same twice."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime


def run_name(kind: str) -> str:
    """`kind-20261124-074942-9f3a01c7`: kind, second (UTC) and eight random hexadecimal digits.

    Two runs may start within one second — a night that failed at once, and the one that takes its place —, and Step
    Functions refuses a name it has seen with other input for 90 days after the execution ended.
    """
    return f"{kind}-{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(4)}"
