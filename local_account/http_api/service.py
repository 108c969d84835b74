"""HTTP APIs of API Gateway: declared by apigatewayv2, called under `/execute-api/<api-id>/`."""

from __future__ import annotations

import concurrent.futures
import re
import time
import uuid
from functools import partial
from typing import Any

import orjson

from local_account.account import ACCOUNT_ID, REGION, Account
from local_account.functions.logs import LogWriter
from local_account.functions.rest import RestService
from local_account.http_api.apis import Apis
from local_account.http_api.payload import Malformed, answer_of, event_of
from local_account.http_api.routes import Route, find
from local_account.records import Records
from local_account.wire import AwsError, Request, Response

BODY_LIMIT = 10 * 1024 * 1024  # bytes of a request
EVENT_LIMIT = 6_291_456  # bytes a function takes
_CALL = re.compile(r"/execute-api/(?P<api>[^/]+)(?P<path>/.*)?")
_VARIABLE = re.compile(r"\$context\.([A-Za-z.]+)")


class HttpApiService(RestService):
    """Control plane and data plane. The front door has checked the caller's signature and right to the route."""

    def __init__(self, account: Account) -> None:
        super().__init__("apigatewayv2")
        self._account = account
        self._records = Records(account.state_dir / "http_api" / "http_api.sqlite")
        self._apis = Apis(account, self._records)
        self._parts = (self._apis,)
        self._logs = LogWriter(account)
        self._calls = concurrent.futures.ThreadPoolExecutor(64, thread_name_prefix="http-api")

    def start(self) -> None:
        self._logs.start()

    def stop(self) -> None:
        self._calls.shutdown(wait=False, cancel_futures=True)
        self._logs.stop()
        self._records.close()

    def handle(self, request: Request) -> Response:
        found = _CALL.fullmatch(request.path)
        return super().handle(request) if found is None else self._answer(found["api"], found["path"] or "/", request)

    def _answer(self, api: str, path: str, request: Request) -> Response:
        """A call of a route: always an answer, in API Gateway's words where the function gave none."""
        began, request_id = time.perf_counter(), uuid.uuid4().hex[:15] + "="
        found = self._apis.stage_of(api, path)
        stage, path = found or ({"stageName": "$default"}, path)
        route = find(self._apis.routes(api), request.method, path) if found else None
        if route is None:
            response = _said(404, "Not Found")
        elif len(request.body) > BODY_LIMIT:
            response = _said(413, "Request Entity Too Large")
        else:
            event = event_of(request, route[0], path, route[1], api, stage, request_id, self._account.clock.now())
            response = self._invoke(route[0], event, self._source_arn(api, stage["stageName"], route[0]))
        response.headers["apigw-requestid"] = request_id
        took_ms = (time.perf_counter() - began) * 1000
        self._record(api, stage, route[0].key if route else "-", request, request_id, response, took_ms)
        return response

    def _invoke(self, route: Route, event: bytes, source_arn: str) -> Response:
        if len(event) > EVENT_LIMIT:
            return _said(413, "Request Entity Too Large")
        functions = self._account.service("lambda")
        call = partial(functions.call, route.function, event, service="apigateway.amazonaws.com", source_arn=source_arn)
        try:
            # A function that ends in time by itself is called on this thread: nobody has to be woken in between.
            if (wait_s := route.timeout_s - functions.longest_s(route.function)) > 0:
                payload, failed = call(wait_s=wait_s)
            else:
                payload, failed = self._calls.submit(call).result(route.timeout_s)
            return _said(500, "Internal Server Error") if failed else answer_of(payload)
        except TimeoutError:
            return _said(504, "Gateway Timeout")
        except AwsError as error:
            busy = error.code == "TooManyRequestsException"
            return _said(503, "Service Unavailable") if busy else _said(500, "Internal Server Error")
        except (Malformed, orjson.JSONDecodeError):
            return _said(500, "Internal Server Error")

    def _source_arn(self, api: str, stage: str, route: Route) -> str:
        tail = route.key if route.key == "$default" else f"{'*' if route.method == 'ANY' else route.method}{route.path}"
        return f"arn:aws:execute-api:{REGION}:{ACCOUNT_ID}:{api}/{stage}/{tail}"

    def _record(
        self,
        api: str,
        stage: dict[str, Any],
        route_key: str,
        request: Request,
        request_id: str,
        response: Response,
        took_ms: float,
    ) -> None:
        """Metrics of the call, and a line in the stage's access log where it has one."""
        dimensions = {"ApiId": api}
        self._account.count("AWS/ApiGateway", "Count", 1, "Count", dimensions)
        self._account.count("AWS/ApiGateway", "4xx", int(400 <= response.status < 500), "Count", dimensions)
        self._account.count("AWS/ApiGateway", "5xx", int(response.status >= 500), "Count", dimensions)
        self._account.count("AWS/ApiGateway", "Latency", took_ms, "Milliseconds", dimensions)
        settings = stage.get("accessLogSettings") or {}
        if "destinationArn" not in settings:
            return
        values = {
            "requestId": request_id,
            "apiId": api,
            "stage": stage["stageName"],
            "routeKey": route_key,
            "status": str(response.status),
            "httpMethod": request.method,
            "path": request.path,
            "protocol": "HTTP/1.1",
            "responseLatency": f"{took_ms:.0f}",
            "responseLength": str(len(response.body)),
            "requestTimeEpoch": str(int(self._account.clock.epoch() * 1000)),
            "identity.userArn": request.principal.arn,
            "identity.sourceIp": "127.0.0.1",
        }
        line = _VARIABLE.sub(lambda name: values.get(name[1], "-"), settings.get("format", "$context.requestId"))
        group = settings["destinationArn"].partition(":log-group:")[2].removesuffix(":*")
        self._logs.write(group, f"{api}/{stage['stageName']}", [line])


def _said(status: int, message: str) -> Response:
    return Response(status, {"content-type": "application/json"}, orjson.dumps({"message": message}))
