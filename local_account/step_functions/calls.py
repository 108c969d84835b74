"""Calls that a Task makes: they end with its deadline and its branch, and their errors get Step Functions' names."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError

from local_account.clock import Clock
from local_account.step_functions.errors import HEARTBEAT_TIMEOUT, PERMISSIONS, RUNTIME, TIMEOUT, StatesError
from local_account.step_functions.sdk_shapes import error_name
from local_account.step_functions.task_call import TaskCall
from local_account.wire import AwsError

T = TypeVar("T")

LOOK_EVERY_S = 0.05  # how soon a call notices that its deadline passed or its branch ends


def within_limits(call: TaskCall, clock: Clock, work: Callable[[], T]) -> T:
    """Do blocking work on a thread of its own; leave it behind when the deadline passes or the branch ends.

    Raises
    ------
    StatesError
        States.Timeout, or what the work raised.
    Interrupted
        The branch was told to end.
    """
    call.cancellation.check()
    done = threading.Event()
    result: list[T] = []
    failure: list[BaseException] = []

    def run() -> None:
        try:
            result.append(work())
        except BaseException as error:  # noqa: BLE001 - raised again by the thread that waits
            failure.append(error)
        done.set()

    threading.Thread(target=run, daemon=True, name=f"task {call.state}").start()
    while not done.wait(LOOK_EVERY_S):
        call.cancellation.check()
        check_deadline(call, clock)
    if failure:
        raise failure[0]
    return result[0]


def check_deadline(call: TaskCall, clock: Clock, last_heartbeat: float | None = None) -> None:
    """Raise States.Timeout, or States.HeartbeatTimeout, once it is due."""
    now = clock.epoch()
    if call.deadline is not None and now >= call.deadline:
        raise StatesError(TIMEOUT, "")
    if last_heartbeat is not None and call.heartbeat_s is not None and now >= last_heartbeat + call.heartbeat_s:
        raise StatesError(HEARTBEAT_TIMEOUT, "")


def named_errors(work: Callable[[], T], prefix: str, boto3_service: str, unknown: str) -> T:
    """Do work with a boto3 client; its errors become Step Functions' errors.

    `prefix` and `unknown` as in `sdk_shapes.OPTIMISED_ERRORS`.
    """
    try:
        return work()
    except ClientError as error:
        facts, meta = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
        code = facts.get("Code", "")
        cause = (
            f"{facts.get('Message', '')} (Service: {prefix}, Status Code: {meta.get('HTTPStatusCode')},"
            f" Request ID: {meta.get('RequestId')}, Error Code: {code})"
        )
        raise StatesError(error_name(prefix, boto3_service, code, unknown), cause) from error
    except ParamValidationError as error:
        raise StatesError(RUNTIME, f"The Parameters are not what the API takes. {error}") from error
    except BotoCoreError as error:
        raise StatesError(f"{prefix}.SdkClientException", str(error)) from error
    except AwsError as error:
        raise StatesError(PERMISSIONS, error.message) from error


Client = Any  # a boto3 client
