"""Read REST calls as botocore writes them: which operation is meant, and its parameters from path, query, headers and body."""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

import botocore.session
from botocore import xform_name
from botocore.model import OperationModel, Shape, StructureShape

from local_account.wire import AwsError, Request, Response, json_response

_LABEL = re.compile(r"\{([\w.-]+)(\+?)\}")

Operation = Callable[[dict[str, Any], Request], Response | Mapping[str, Any] | None]


@dataclass(frozen=True, slots=True)
class _Route:
    method: str
    pattern: re.Pattern[str]
    labels: tuple[str, ...]  # names of the pattern's groups, which need be no identifiers
    query: dict[str, str]  # constants in the request URI, as in `/layers?find=LayerVersion`
    operation: OperationModel


class RestModel:
    """The routes of one rest-json service, most specific first.

    Examples
    --------
    >>> model = RestModel("lambda")
    >>> model.match("GET", "/2015-03-31/functions/judge/configuration", {})[0].name
    'GetFunctionConfiguration'
    """

    def __init__(self, service: str) -> None:
        model = botocore.session.get_session().get_service_model(service)
        operations = (model.operation_model(name) for name in model.operation_names)
        self._routes = sorted((_route(operation) for operation in operations), key=_specificity, reverse=True)

    def match(self, method: str, path: str, query: Mapping[str, str]) -> tuple[OperationModel, dict[str, str]]:
        """The operation and its path parameters, decoded.

        Raises
        ------
        AwsError
            `UnknownOperationException` (404) when nothing answers at this address.
        """
        for route in self._routes:
            if route.method != method or not route.query.items() <= query.items():
                continue
            if found := route.pattern.fullmatch(path.rstrip("/") or "/"):
                return route.operation, dict(zip(route.labels, map(unquote, found.groups()), strict=True))
        raise AwsError("UnknownOperationException", f"no operation answers {method} {path}", 404)

    def parse(self, request: Request) -> tuple[OperationModel, dict[str, Any]]:
        """The operation of a request and its parameters, as a botocore caller passed them."""
        operation, labels = self.match(request.method, request.raw_path.partition("?")[0], request.query)
        shape = operation.input_shape
        return operation, {} if shape is None else _parameters(shape, labels, request)


def _route(operation: OperationModel) -> _Route:
    path, _, query = str(operation.http["requestUri"]).partition("?")
    pattern, end = "", 0
    for label in _LABEL.finditer(path):
        pattern += re.escape(path[end : label.start()])
        pattern += "(.+)" if label[2] else "([^/]+)"
        end = label.end()
    pattern += re.escape(path[end:].rstrip("/") if len(path) > 1 else path[end:])
    return _Route(
        str(operation.http["method"]),
        re.compile(pattern),
        tuple(label[1] for label in _LABEL.finditer(path)),
        dict(parse_qsl(query, keep_blank_values=True)),
        operation,
    )


def _specificity(route: _Route) -> tuple[int, int, int]:
    return len(route.query), -len(route.labels), len(route.pattern.pattern)


def _parameters(shape: StructureShape, labels: dict[str, str], request: Request) -> dict[str, Any]:
    payload = shape.serialization.get("payload")
    body = {} if payload else _body(request)
    values: dict[str, Any] = {}
    for name, member in shape.members.items():
        where, wire_name = member.serialization.get("location"), member.serialization.get("name", name)
        if name == payload:
            value: Any = request.body if member.type_name == "blob" else _body(request)
        elif where == "uri":
            value = labels.get(wire_name)
        elif where == "querystring":
            value = request.query.get(wire_name)
        elif where == "header":
            value = request.headers.get(wire_name.lower())
        else:
            value = body.get(wire_name)
        if value is not None:
            values[name] = _typed(member, value)
    missing = [name for name in shape.required_members if name not in values]
    if missing:
        raise AwsError("ValidationException", f"missing: {', '.join(missing)}")
    return values


def _body(request: Request) -> dict[str, Any]:
    try:
        body = request.json()
    except ValueError as error:
        raise AwsError("SerializationException", f"the body is no JSON: {error}") from None
    if not isinstance(body, dict):
        raise AwsError("SerializationException", "the body is no JSON object")
    return body


def _typed(member: Shape, value: Any) -> Any:
    """Text of a query or header in the member's type; base64 of a blob in a JSON body as bytes."""
    if member.type_name == "blob" and isinstance(value, str):
        try:
            return base64.b64decode(value, validate=True)
        except binascii.Error as error:
            raise AwsError("SerializationException", f"{member.name} is no base64: {error}") from None
    if member.type_name == "structure" and isinstance(value, dict) and isinstance(member, StructureShape):
        inner = {part.serialization.get("name", name): part for name, part in member.members.items()}
        return {name: _typed(inner[name], part) if name in inner else part for name, part in value.items()}
    if isinstance(value, str) and member.type_name in ("integer", "long"):
        if not re.fullmatch(r"-?\d+", value):
            raise AwsError("SerializationException", f"{value!r} is no {member.type_name}")
        return int(value)
    if isinstance(value, str) and member.type_name == "boolean":
        return value == "true"
    return value


class RestService:
    """A rest-json service: operation `GetFunction` is the method `get_function(params, request)` of one of its parts."""

    def __init__(self, service: str) -> None:
        self._model = RestModel(service)
        self._parts: Sequence[object] = ()

    def start(self) -> None: ...

    def stop(self) -> None: ...

    def handle(self, request: Request) -> Response:
        operation, params = self._model.parse(request)
        answer = self._operation(operation.name)(params, request)
        if isinstance(answer, Response):
            return answer
        status = int(operation.http.get("responseCode", 200))
        return Response(status) if status == 204 else _json(answer, status)

    def _operation(self, name: str) -> Operation:
        for part in self._parts:
            if (found := getattr(part, xform_name(name), None)) is not None:
                return found
        raise AwsError("UnknownOperationException", f"{name} is not played by the local account", 501)


def _json(answer: Mapping[str, Any] | None, status: int) -> Response:
    return json_response(answer or {}, status, "application/json")
