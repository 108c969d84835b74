"""Function, version, alias and layer names, in each form that Lambda takes."""

from __future__ import annotations

import re
from dataclasses import dataclass

from local_account.account import ACCOUNT_ID, REGION
from local_account.wire import AwsError

ARN = f"arn:aws:lambda:{REGION}:{ACCOUNT_ID}"
LATEST = "$LATEST"
_FUNCTION = re.compile(
    r"(?:(?:arn:aws:lambda:[a-z0-9-]+:)?(?P<account>\d{12}):function:)?(?P<name>[A-Za-z0-9_-]{1,64})(?::(?P<qualifier>\$LATEST|[A-Za-z0-9_-]+))?"
)


@dataclass(frozen=True, slots=True)
class FunctionName:
    name: str
    qualifier: str | None = None

    @property
    def arn(self) -> str:
        return function_arn(self.name, self.qualifier)


def function_arn(name: str, qualifier: str | None = None) -> str:
    return f"{ARN}:function:{name}" + (f":{qualifier}" if qualifier else "")


def parse_function_name(text: str, qualifier: str | None = None) -> FunctionName:
    """Read `name`, `name:alias`, a partial or a full ARN.

    Examples
    --------
    >>> parse_function_name("arn:aws:lambda:us-east-1:123456789012:function:judge:live")
    FunctionName(name='judge', qualifier='live')
    """
    found = _FUNCTION.fullmatch(text)
    if found is None:
        raise AwsError("ValidationException", f"{text!r} is no function name or ARN")
    if found["account"] not in (None, ACCOUNT_ID):
        raise AwsError("AccessDeniedException", f"{text} belongs to another account", 403)
    if qualifier and found["qualifier"] and qualifier != found["qualifier"]:
        message = "The derived qualifier from the function name does not match the specified qualifier."
        raise AwsError("InvalidParameterValueException", message)
    return FunctionName(found["name"], qualifier or found["qualifier"])


def not_found(arn: str) -> AwsError:
    return AwsError("ResourceNotFoundException", f"Function not found: {arn}", 404, Type="User")
