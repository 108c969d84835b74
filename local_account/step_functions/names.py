"""What may be called what: names, ARNs, inputs of the API."""

from __future__ import annotations

import json
import re

from local_account.account import ACCOUNT_ID, REGION
from local_account.step_functions.history import MAX_PAYLOAD_BYTES
from local_account.wire import AwsError

MAX_NAME = 80
_FORBIDDEN = re.compile(r"[\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f]")
PREFIX = f"arn:aws:states:{REGION}:{ACCOUNT_ID}"


def check_name(name: str) -> str:
    """A machine's or an execution's name.

    Raises
    ------
    AwsError
        InvalidName: 1 to 80 characters, none of whitespace, brackets, wildcards or the other special ones.
    """
    if not 1 <= len(name) <= MAX_NAME or _FORBIDDEN.search(name):
        raise AwsError("InvalidName", f"Invalid Name: '{name}'")
    return name


def check_input(text: str) -> str:
    """An execution's input.

    Raises
    ------
    AwsError
        InvalidExecutionInput if it is no JSON, ValidationException if it is too long.
    """
    if len(text.encode()) > MAX_PAYLOAD_BYTES:
        raise AwsError(
            "ValidationException",
            f"1 validation error detected: Value at 'input' failed to satisfy constraint: Member must have length less"
            f" than or equal to {MAX_PAYLOAD_BYTES}",
        )
    try:
        json.loads(text)
    except ValueError as reason:
        raise AwsError("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{reason}'") from reason
    return text


def machine_arn(name: str) -> str:
    return f"{PREFIX}:stateMachine:{name}"


def execution_arn(machine: str, name: str) -> str:
    return f"{PREFIX}:execution:{machine.rpartition(':')[2]}:{name}"


def check_arn(arn: str, kind: str) -> str:
    if not arn.startswith(f"{PREFIX}:{kind}:"):
        raise AwsError("InvalidArn", f"Invalid Arn: 'Invalid ARN type: {arn}'")
    return arn
