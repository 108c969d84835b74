"""Which rights a request needs: (IAM action, resource ARN, condition keys), by service.

An operation that no table knows is nobody's but the operator's: it is refused, never waved through.
Source: Service Authorization Reference, one page a service.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson

from local_account.front_door import actions_data, actions_rest
from local_account.front_door.actions_json import TABLES, json_demands
from local_account.front_door.arns import arn
from local_account.front_door.call import Call
from local_account.front_door.iam import Demand
from local_account.front_door.refusals import unknown_operation

_Demands = Callable[[Call, str, dict[str, Any]], list[Demand]]

_BY_SERVICE: dict[str, _Demands] = {
    "s3": actions_data.s3,
    "dynamodb": actions_data.dynamodb,
    "glue": actions_data.glue,
    "sagemaker": actions_rest.sagemaker,
    "lambda": actions_rest.functions,
    "scheduler": actions_rest.scheduler,
    "es": actions_rest.opensearch,
    "execute-api": actions_rest.http_api,
    "apigateway": actions_rest.api_gateway,
    "xray": actions_rest.xray,
    "sns": actions_rest.sns,
    "iam": actions_rest.iam,
    "cloudformation": actions_rest.cloudformation,
    "sts": actions_rest.sts,
}

# Fields that hand a role to a service, and the service that receives it.
_ROLE_FIELDS = frozenset({"RoleArn", "roleArn", "RoleARN", "ExecutionRoleArn", "Role"})
_RECEIVERS = {
    name: f"{name}.amazonaws.com"
    for name in ("sagemaker", "lambda", "states", "events", "scheduler", "firehose", "apigateway", "cloudformation")
}
_HANDING_OVER = ("Create", "Update", "Put", "Register", "Start")


def demands_of(call: Call, service: str, operation: str) -> list[Demand]:
    """Everything the caller must be allowed for this call to be made.

    Raises
    ------
    AwsError
        `AccessDeniedException` for an operation that the tables do not know.
    """
    body = _body(call)
    find = _BY_SERVICE.get(service)
    if find is not None:
        demands = find(call, operation, body)
    elif service in TABLES:
        demands = json_demands(service, operation, body)
    else:
        raise unknown_operation(service, operation)
    return demands + _passed_roles(service, operation, body)


def _body(call: Call) -> dict[str, Any]:
    """Parameters of the call as one dictionary; {} for a body that is no JSON object (the service will say so)."""
    if call.protocol == "query":
        return dict(call.form)
    if call.body[:1] not in (b"{", b" ", b"\n"):
        return {}
    try:
        body = orjson.loads(call.body)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def _passed_roles(service: str, operation: str, body: dict[str, Any]) -> list[Demand]:
    receiver = _RECEIVERS.get(service)
    if receiver is None or not operation.startswith(_HANDING_OVER):
        return []
    roles = sorted(set(_role_arns(body)))
    return [Demand("iam:PassRole", role, {"iam:passedtoservice": receiver}) for role in roles]


def _role_arns(value: Any) -> list[str]:
    if isinstance(value, list):
        return [role for part in value for role in _role_arns(part)]
    if not isinstance(value, dict):
        return []
    found = [
        text if text.startswith("arn:") else arn("iam", f"role/{text}")
        for name, text in value.items()
        if name in _ROLE_FIELDS and isinstance(text, str) and text
    ]
    return found + [role for part in value.values() for role in _role_arns(part)]
