"""Payload format 2.0: a request as the event a function gets, and what a function returned as an HTTP answer.

https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import base64
import binascii
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import orjson

from local_account.account import ACCOUNT_ID
from local_account.http_api.routes import Route
from local_account.wire import Request, Response

_TEXT = ("text/", "application/json", "application/xml", "application/javascript")
_CREDENTIAL = "Credential="


class Malformed(Exception):
    """A function returned what is no answer."""


def event_of(
    request: Request,
    route: Route,
    path: str,
    labels: dict[str, str],
    api: str,
    stage: dict[str, Any],
    request_id: str,
    now: datetime,
) -> bytes:
    """The event of a request, as JSON."""
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route.key,
        "rawPath": path,
        "rawQueryString": urlencode(request.query),
        "headers": {name: value for name, value in request.headers.items() if name != "cookie"},
        "requestContext": _context(request, route, path, api, stage["stageName"], request_id, now),
        "isBase64Encoded": False,
    }
    if "cookie" in request.headers:
        event["cookies"] = [cookie.strip() for cookie in request.headers["cookie"].split(";")]
    if request.query:
        event["queryStringParameters"] = request.query
    if labels:
        event["pathParameters"] = labels
    if stage.get("stageVariables"):
        event["stageVariables"] = stage["stageVariables"]
    if request.body:
        event["body"], event["isBase64Encoded"] = _body(request)
    return orjson.dumps(event)


def answer_of(payload: bytes) -> Response:
    """The HTTP answer a function's return value stands for.

    Raises
    ------
    Malformed
        If it says `statusCode` but is not well-formed otherwise; API Gateway answers 500 then.
    """
    value = orjson.loads(payload)
    if not isinstance(value, dict) or "statusCode" not in value:
        return Response(200, {"content-type": "application/json"}, payload)
    try:
        status = int(value["statusCode"])
        headers = {str(name).lower(): _text(header) for name, header in (value.get("headers") or {}).items()}
        body = value.get("body")
        if body is not None and not isinstance(body, str):
            raise Malformed("the body is no string")
        data = base64.b64decode(body or "", validate=True) if value.get("isBase64Encoded") else (body or "").encode()
        if cookies := value.get("cookies"):
            headers["set-cookie"] = ", ".join(cookies)
    except (TypeError, ValueError, AttributeError, binascii.Error) as error:
        raise Malformed(str(error)) from None
    if not 100 <= status <= 599:
        raise Malformed(f"{status} is no status")
    headers.setdefault("content-type", "text/plain;charset=UTF-8")
    return Response(status, headers, data)


def access_key(request: Request) -> str:
    """The key that signed the request."""
    authorization = request.headers.get("authorization", "")
    credential = authorization.partition(_CREDENTIAL)[2] or request.query.get("X-Amz-Credential", "")
    return credential.partition("/")[0]


def _context(
    request: Request, route: Route, path: str, api: str, stage: str, request_id: str, now: datetime
) -> dict[str, Any]:
    context: dict[str, Any] = {
        "accountId": ACCOUNT_ID,
        "apiId": api,
        "domainName": request.headers.get("host", ""),
        "domainPrefix": api,
        "http": {
            "method": request.method,
            "path": path,
            "protocol": "HTTP/1.1",
            "sourceIp": "127.0.0.1",
            "userAgent": request.headers.get("user-agent", ""),
        },
        "requestId": request_id,
        "routeKey": route.key,
        "stage": stage,
        "time": now.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(now.timestamp() * 1000),
    }
    if route.iam:
        user = request.principal.arn
        context["authorizer"] = {
            "iam": {
                "accessKey": access_key(request),
                "accountId": ACCOUNT_ID,
                "callerId": user.rpartition("/")[2],
                "cognitoIdentity": None,
                "principalOrgId": None,
                "userArn": user,
                "userId": user.rpartition("/")[2],
            }
        }
    return context


def _body(request: Request) -> tuple[str, bool]:
    """(body, whether it is base64): text types go as text, everything else as base64."""
    if request.headers.get("content-type", "application/json").lower().startswith(_TEXT):
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(request.body).decode(), True


def _text(header: Any) -> str:
    return str(header).lower() if isinstance(header, bool) else str(header)
