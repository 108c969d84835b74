"""What Step Functions tells the rest of the account: status-change events and its CloudWatch metrics."""

from __future__ import annotations

from typing import Any

from local_account.account import Account

METRICS = {
    "RUNNING": "ExecutionsStarted",
    "SUCCEEDED": "ExecutionsSucceeded",
    "FAILED": "ExecutionsFailed",
    "ABORTED": "ExecutionsAborted",
    "TIMED_OUT": "ExecutionsTimedOut",
}


def tell(account: Account, record: dict[str, Any]) -> None:
    """Emit `Step Functions Execution Status Change`, and count in AWS/States."""
    detail: dict[str, Any] = {
        key: record.get(key)
        for key in ("executionArn", "stateMachineArn", "name", "status", "input", "output", "error", "cause")
    }
    detail |= {
        "startDate": int(record["startDate"] * 1000),
        "stopDate": int(record["stopDate"] * 1000) if "stopDate" in record else None,
        "inputDetails": {"included": True},
        "outputDetails": {"included": True} if "output" in record else None,
        "redriveCount": record["redriveCount"],
        "redriveStatus": redrive_status(record)[0],
        "redriveDate": int(record["redriveDate"] * 1000) if "redriveDate" in record else None,
    }
    account.emit("aws.states", "Step Functions Execution Status Change", detail, [record["executionArn"]])
    dimensions = {"StateMachineArn": record["stateMachineArn"]}
    if record["status"] == "RUNNING" and record["redriveCount"]:
        account.count("AWS/States", "ExecutionsRedriven", 1, "Count", dimensions)
        return
    account.count("AWS/States", METRICS[record["status"]], 1, "Count", dimensions)
    if "stopDate" in record:
        took_ms = (record["stopDate"] - record.get("redriveDate", record["startDate"])) * 1000
        account.count("AWS/States", "ExecutionTime", took_ms, "Milliseconds", dimensions)


def redrive_status(record: dict[str, Any]) -> tuple[str, str | None]:
    """(REDRIVABLE | NOT_REDRIVABLE, why not)."""
    if record["status"] == "RUNNING":
        return "NOT_REDRIVABLE", "Execution is RUNNING and cannot be redriven"
    if record["status"] == "SUCCEEDED":
        return "NOT_REDRIVABLE", "Execution is SUCCEEDED and cannot be redriven"
    return "REDRIVABLE", None
