"""Routes of an API as its OpenAPI body declares them, and which of them answers a request."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from local_account.wire import AwsError

_METHODS = frozenset(["get", "put", "post", "delete", "options", "head", "patch"])
_ANY = "x-amazon-apigateway-any-method"
_LABEL = re.compile(r"\{([^}+]+)(\+?)\}")
_FUNCTION = re.compile(r"arn:[^:]+:apigateway:[^:]+:lambda:path/2015-03-31/functions/(arn:[^/]+)/invocations")


@dataclass(frozen=True, slots=True)
class Route:
    key: str  # "POST /recommend", "ANY /items/{proxy+}" or "$default"
    method: str  # "ANY" for all
    path: str
    function: str  # ARN, with its alias where it has one
    iam: bool  # the caller must be a signed one
    timeout_s: float
    pattern: re.Pattern[str]
    labels: tuple[str, ...]

    @property
    def specificity(self) -> tuple[bool, bool, int, int, bool]:
        """Larger wins: a plain path over one with labels, over a greedy one, over $default; then the longer; a method over ANY."""
        greedy = "+}" in self.path
        return self.key != "$default", not greedy, -len(self.labels), len(self.path), self.method != "ANY"


def read_routes(document: dict[str, Any]) -> list[Route]:
    """Routes of an OpenAPI 3 document, the most specific first.

    Raises
    ------
    AwsError
        `BadRequestException` for what the local account cannot play: it does not leave routes out silently.
    """
    if not str(document.get("openapi", "")).startswith("3."):
        raise _refused("the body is no OpenAPI 3 document")
    schemes = document.get("components", {}).get("securitySchemes", {})
    routes = []
    for path, item in (document.get("paths") or {}).items():
        for method, operation in item.items():
            if method in _METHODS or method == _ANY or path == "/$default":
                routes.append(_route(path, method, operation, document.get("security", []), schemes))
    return sorted(routes, key=lambda route: route.specificity, reverse=True)


def find(routes: list[Route], method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route that answers and its path parameters."""
    for route in routes:
        if route.method in ("ANY", method) and (found := route.pattern.fullmatch(path)):
            return route, dict(zip(route.labels, found.groups(), strict=True))
    return None


def _route(path: str, method: str, operation: dict[str, Any], security: list[Any], schemes: dict[str, Any]) -> Route:
    default = path in ("/$default", "$default")
    verb = "ANY" if method == _ANY or default else method.upper()
    key = "$default" if default else f"{verb} {path}"
    integration = operation.get("x-amazon-apigateway-integration", {})
    if str(integration.get("type", "")).lower() != "aws_proxy" or integration.get("payloadFormatVersion") != "2.0":
        raise _refused(f"{key}: only aws_proxy integrations of payload format 2.0 are played")
    function = _FUNCTION.fullmatch(str(integration.get("uri", "")))
    if function is None:
        raise _refused(f"{key}: {integration.get('uri')!r} is no function's invocation URI")
    pattern, labels, end = "", [], 0
    for label in _LABEL.finditer(path):
        pattern += re.escape(path[end : label.start()]) + ("(.+)" if label[2] else "([^/]+)")
        labels.append(label[1])
        end = label.end()
    pattern += re.escape(path[end:])
    return Route(
        key=key,
        method=verb,
        path=path,
        function=function[1],
        iam=_needs_iam(key, operation, security, schemes),
        timeout_s=min(30.0, integration.get("timeoutInMillis", 30_000) / 1000),
        pattern=re.compile("/.*" if default else pattern),
        labels=tuple(labels),
    )


def _needs_iam(key: str, operation: dict[str, Any], security: list[Any], schemes: dict[str, Any]) -> bool:
    auth = operation.get("x-amazon-apigateway-auth", {}).get("type")
    if auth is not None:
        if auth not in ("AWS_IAM", "NONE"):
            raise _refused(f"{key}: authorisation {auth} is not played, AWS_IAM and NONE are")
        return bool(auth == "AWS_IAM")
    names = [name for requirement in operation.get("security", security) for name in requirement if name != "NONE"]
    for name in names:
        if name != "AWS_IAM" and schemes.get(name, {}).get("x-amazon-apigateway-authtype") != "awsSigv4":
            raise _refused(f"{key}: authoriser {name} is not played, AWS_IAM is")
    return bool(names)


def _refused(reason: str) -> AwsError:
    return AwsError("BadRequestException", reason, 400)
