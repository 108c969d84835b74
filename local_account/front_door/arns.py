"""ARNs of this account."""

from __future__ import annotations

from local_account.account import ACCOUNT_ID, REGION

_GLOBAL = frozenset({"iam"})  # services whose ARNs name no region


def arn(service: str, resource: str) -> str:
    """`arn("sqs", "jobs")` is the queue's ARN; what is an ARN already stays as it is."""
    if resource.startswith("arn:") or resource == "*":
        return resource
    return f"arn:aws:{service}:{'' if service in _GLOBAL else REGION}:{ACCOUNT_ID}:{resource}"
