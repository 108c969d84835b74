"""Which operation is asked for, by the name botocore gives it: `PutItem`, `InvokeEndpoint`, `ListObjectsV2`."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import botocore.session

from local_account.front_door.call import Call
from local_account.front_door.s3_operations import s3_operation
from local_account.wire import AwsError

FAULTS = "/_local/faults"  # sagemaker/faults.py: not AWS's
# Signing names whose REST operations come from more than one service model of botocore's.
_MODELS = {
    "sagemaker": ("sagemaker-runtime", "sagemaker-featurestore-runtime", "sagemaker-metrics"),
    "apigateway": ("apigatewayv2", "apigateway"),
}


def operation_of(call: Call, service: str) -> str:
    """Name of the operation a call asks for.

    Raises
    ------
    AwsError
        404 `UnknownOperationException` for a request that is none of the service's.
    """
    protocol = call.protocol
    if service == "s3":
        return s3_operation(call)
    if service == "es" and call.raw_path.startswith("/opensearch/"):
        return f"ESHttp{call.method.capitalize()}"
    if service == "execute-api":
        return "Invoke"
    if call.raw_path == FAULTS:
        return "OrderFault"  # no operation of AWS's, so no role is ever allowed it
    if protocol == "json":
        return call.headers["x-amz-target"].rpartition(".")[2]
    if protocol == "cbor":
        return call.raw_path.rpartition("/")[2]
    if protocol == "query":
        return call.form["Action"]
    for route in _routes(service):
        if route.method == call.method and route.path.fullmatch(call.raw_path):
            return route.operation
    raise AwsError("UnknownOperationException", f"{call.method} {call.path} is no operation of {service}", 404)


def path_parameters(call: Call, service: str, operation: str) -> dict[str, str]:
    """What botocore's URI template of a REST operation has in its braces, as sent in this call's path."""
    for route in _routes(service):
        if route.operation == operation and route.method == call.method and (match := route.path.fullmatch(call.path)):
            return {route.names[group]: value for group, value in match.groupdict().items() if value is not None}
    return {}


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    path: re.Pattern[str]
    names: dict[str, str]  # regex group -> parameter, whose name may be no identifier
    operation: str


@cache
def _routes(service: str) -> tuple[_Route, ...]:
    """REST routes of a signing name, the ones with most literal text first, so that `/a/b` wins over `/a/{name}`."""
    session = botocore.session.get_session()
    known = session.get_available_services()
    routes = []
    for model_name in _MODELS.get(service, (service,)):
        if model_name not in known:
            model_name = next((name for name in known if name == _BY_SIGNING_NAME.get(service)), "")
        if not model_name:
            continue
        model = session.get_service_model(model_name)
        for name in model.operation_names:
            http = model.operation_model(name).http
            routes.append(_route(http["method"], http["requestUri"].partition("?")[0], name))
    return tuple(sorted(routes, key=lambda route: -len(re.sub(r"\(\?P<.*?\)", "", route.path.pattern))))


_BY_SIGNING_NAME = {"monitoring": "cloudwatch", "states": "stepfunctions", "es": "opensearch"}


def _route(method: str, uri: str, operation: str) -> _Route:
    names: dict[str, str] = {}

    def group(match: re.Match[str]) -> str:
        key = f"p{len(names)}"
        names[key] = match[1].rstrip("+")
        return f"(?P<{key}>.+)" if match[1].endswith("+") else f"(?P<{key}>[^/]+)"

    pattern = "".join(
        re.sub(r"\{(.+)\}", group, part) if part.startswith("{") else re.escape(part)
        for part in re.split(r"(\{[^}]+\})", uri)
    )
    return _Route(method, re.compile(pattern.rstrip("/") + "/?"), names, operation)
