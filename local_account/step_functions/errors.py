"""What goes wrong in a state, by the names that Retry and Catch know."""

from __future__ import annotations

from collections.abc import Sequence

ALL = "States.ALL"
TASK_FAILED = "States.TaskFailed"
TIMEOUT = "States.Timeout"
HEARTBEAT_TIMEOUT = "States.HeartbeatTimeout"
RUNTIME = "States.Runtime"
DATA_LIMIT_EXCEEDED = "States.DataLimitExceeded"
QUERY_EVALUATION_ERROR = "States.QueryEvaluationError"
NO_CHOICE_MATCHED = "States.NoChoiceMatched"
PERMISSIONS = "States.Permissions"

STATES_ERRORS = frozenset(
    {
        ALL,
        TASK_FAILED,
        TIMEOUT,
        HEARTBEAT_TIMEOUT,
        RUNTIME,
        DATA_LIMIT_EXCEEDED,
        QUERY_EVALUATION_ERROR,
        NO_CHOICE_MATCHED,
        PERMISSIONS,
        "States.BranchFailed",
        "States.ExceedToleratedFailureThreshold",
        "States.IntrinsicFailure",
        "States.ItemReaderFailed",
        "States.ParameterPathFailure",
        "States.ResultPathMatchFailure",
        "States.ResultWriterFailed",
    }
)


class StatesError(Exception):
    """A state failed; `error` is the name that ErrorEquals is compared with."""

    def __init__(self, error: str, cause: str = "") -> None:
        super().__init__(f"{error}: {cause}")
        self.error, self.cause = error, cause

    def output(self) -> dict[str, str]:
        """`$states.errorOutput`."""
        return {"Error": self.error, "Cause": self.cause}


class Interrupted(Exception):
    """A branch was told to end: never caught by a machine's Catch.

    `reason` is `abort` (StopExecution), `timeout` (of the whole execution), `sibling` (another branch failed) or
    `suspend` (the account stops: the work goes on where it was when it comes up again).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def matches(error_equals: Sequence[str], error: str) -> bool:
    """Whether a retrier or catcher with these ErrorEquals answers an error.

    `States.ALL` leaves `States.DataLimitExceeded` and `States.Runtime` alone, and nothing answers `States.Runtime`.
    `States.TaskFailed` is every error but those and the timeouts. `States.Timeout` takes a missed heartbeat too.
    """
    if error == RUNTIME:
        return False
    if error in error_equals:
        return True
    if error == HEARTBEAT_TIMEOUT and TIMEOUT in error_equals:
        return True
    if error == DATA_LIMIT_EXCEEDED:
        return False
    if ALL in error_equals:
        return True
    return TASK_FAILED in error_equals and error not in (TIMEOUT, HEARTBEAT_TIMEOUT)
