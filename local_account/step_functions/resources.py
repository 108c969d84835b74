"""The Resource of a Task, taken apart."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Self

from local_account.step_functions.errors import RUNTIME, StatesError

_OPTIMISED = re.compile(
    r"arn:aws:states:::(?P<service>[a-z]+):(?P<action>[A-Za-z]+)(?:\.(?P<pattern>sync:2|sync|waitForTaskToken))?"
)
_SDK = re.compile(
    r"arn:aws:states:::aws-sdk:(?P<service>[a-z0-9]+):(?P<action>[A-Za-z0-9]+)(?:\.(?P<pattern>waitForTaskToken))?"
)
_FUNCTION = re.compile(r"arn:aws:lambda:[a-z0-9-]+:\d{12}:function:[A-Za-z0-9_:$-]+")

JOBS = ("createTrainingJob", "createProcessingJob", "createTransformJob", "createHyperParameterTuningJob")
OPTIMISED: dict[str, dict[str, tuple[str, ...]]] = {
    "lambda": {"invoke": ("", "waitForTaskToken")},
    "sagemaker": {job: ("", "sync") for job in JOBS},
    "states": {"startExecution": ("", "sync", "sync:2", "waitForTaskToken")},
    "events": {"putEvents": ("", "waitForTaskToken")},
    "sns": {"publish": ("", "waitForTaskToken")},
    "sqs": {"sendMessage": ("", "waitForTaskToken")},
    "dynamodb": {action: ("",) for action in ("getItem", "putItem", "updateItem", "deleteItem")},
}


@dataclass(frozen=True, slots=True)
class Resource:
    """`kind` is "optimised", "sdk" or "function" (a function's ARN, called directly)."""

    kind: str
    service: str
    action: str
    pattern: str = ""  # "", "sync", "sync:2", "waitForTaskToken"

    @classmethod
    def parse(cls, arn: str) -> Self:
        """Take a Resource apart.

        Raises
        ------
        StatesError
            States.Runtime for a resource the local account does not play.
        """
        if _FUNCTION.fullmatch(arn):
            return cls("function", "lambda", arn)
        if found := _SDK.fullmatch(arn):
            return cls("sdk", found["service"], found["action"], found["pattern"] or "")
        if found := _OPTIMISED.fullmatch(arn):
            pattern = found["pattern"] or ""
            if pattern in OPTIMISED.get(found["service"], {}).get(found["action"], ()):
                return cls("optimised", found["service"], found["action"], pattern)
        raise StatesError(RUNTIME, f"The resource provided {arn} is not recognized.")

    def names(self) -> dict[str, str]:
        """As history events name it."""
        if self.kind == "function":
            return {"resourceType": "lambda", "resource": self.action}
        suffix = f".{self.pattern}" if self.pattern else ""
        prefix = "aws-sdk:" if self.kind == "sdk" else ""
        return {"resourceType": f"{prefix}{self.service}", "resource": f"{self.action}{suffix}"}
