"""Lambda as boto3 speaks it: functions under AWS's own runtime client, in processes of this machine."""

from __future__ import annotations

import base64
from typing import Any

import orjson

from local_account.account import Account
from local_account.functions.archive import Packages
from local_account.functions.asynchronous import Events
from local_account.functions.catalog import Catalog
from local_account.functions.invoker import WAIT_S, Invoker
from local_account.functions.layers import Layers
from local_account.functions.logs import LogWriter
from local_account.functions.names import LATEST, FunctionName, parse_function_name
from local_account.functions.operations import Functions
from local_account.functions.permissions import Permissions
from local_account.functions.queues import Mappings
from local_account.functions.rest import RestService
from local_account.functions.settings import Aliases, Concurrency, EventInvokeConfigs
from local_account.records import Records
from local_account.wire import AwsError, Request, Response

EVENT_LIMIT = 6_291_456  # bytes of a synchronous event
ASYNC_EVENT_LIMIT = 1_048_576
_TAIL = 4096  # bytes of log that LogType Tail returns


class LambdaService(RestService):
    """The rooms of Lambda, wired. Other services of the account invoke through `invoke`, without the wire."""

    def __init__(self, account: Account) -> None:
        super().__init__("lambda")
        root = account.state_dir / "functions"
        records = Records(root / "functions.sqlite")
        packages = Packages(root / "packages")
        self._records, self._logs = records, LogWriter(account)
        layers = Layers(account, records, packages)
        self._catalog = Catalog(account, records, packages, layers)
        self._invoker = Invoker(account, records, self._catalog, self._logs, root / "scratch")
        self._events = Events(account, records, self._catalog, self._invoker)
        self._mappings = Mappings(account, records, self._catalog, self._invoker)
        self._concurrency = Concurrency(account, records, self._catalog, self._invoker)
        self._permissions = Permissions(account, records, self._catalog)
        self._parts = (
            self,
            Functions(account, records, self._catalog, packages, self._invoker, self._concurrency),
            layers,
            Aliases(records, self._catalog, self._concurrency),
            self._concurrency,
            EventInvokeConfigs(account, records, self._catalog),
            self._permissions,
            self._mappings,
        )

    def start(self) -> None:
        self._logs.start()
        self._invoker.start()
        self._concurrency.start()
        self._events.start()
        self._mappings.start()

    def stop(self) -> None:
        self._invoker.stop()
        self._mappings.stop()
        self._events.stop()
        self._logs.stop()
        self._records.close()

    def call(
        self, function: str, event: bytes, *, service: str, source_arn: str, wait_s: float = WAIT_S
    ) -> tuple[bytes, bool]:
        """Invoke synchronously on behalf of an AWS service, such as `apigateway.amazonaws.com`.

        Parameters
        ----------
        wait_s : float
            Seconds to wait for an environment before the call is throttled.

        Returns
        -------
        (payload, failed)

        Raises
        ------
        AwsError
            `AccessDeniedException` (403) when the function's resource policy does not let that service in for `source_arn`;
            otherwise as `Invoke`.
        """
        name = self._permitted(function, service, source_arn)
        outcome = self._invoker.invoke(name, event, wait_s=wait_s).outcome
        return outcome.payload, outcome.failed

    def longest_s(self, function: str) -> float:
        """Seconds after which a call of this function has surely ended, beside what it waits for an environment."""
        return self._invoker.longest_s(parse_function_name(function))

    def call_later(self, function: str, event: bytes, *, service: str, source_arn: str) -> str:
        """Invoke asynchronously on behalf of an AWS service; the request id. The event is on disk before it returns."""
        name = self._permitted(function, service, source_arn)
        self._catalog.at(name)
        return self._events.accept(name, event)

    def flush_logs(self) -> None:
        """What functions have written so far is in CloudWatch Logs when this returns."""
        self._logs.flush()

    def invoke(self, params: dict[str, Any], request: Request) -> Response:
        """`Invoke`: RequestResponse, Event or DryRun."""
        function = parse_function_name(params["FunctionName"], params.get("Qualifier"))
        kind = params.get("InvocationType", "RequestResponse")
        event = params.get("Payload") or b"{}"
        context = _client_context(params.get("ClientContext"))
        configuration = self._catalog.at(function)
        _check(event, ASYNC_EVENT_LIMIT if kind == "Event" else EVENT_LIMIT)
        if kind == "DryRun":
            return Response(204)
        if kind == "Event":
            return Response(202, {"x-amzn-requestid": self._events.accept(function, event, context)})
        if kind != "RequestResponse":
            raise AwsError(
                "InvalidParameterValueException", f"InvocationType {kind!r} is none of RequestResponse, Event, DryRun"
            )
        result = self._invoker.invoke(function, event, context)
        headers = {
            "content-type": "application/json",
            "x-amzn-requestid": result.request_id,
            "x-amz-executed-version": configuration["Version"]
            if function.qualifier in (None, LATEST)
            else result.version,
        }
        if result.outcome.failed:
            headers["x-amz-function-error"] = "Unhandled"
        if params.get("LogType") == "Tail":
            tail = "\n".join(result.outcome.lines).encode()[-_TAIL:] + b"\n"
            headers["x-amz-log-result"] = base64.b64encode(tail).decode()
        return Response(200, headers, result.outcome.payload)

    def _permitted(self, function: str, service: str, source_arn: str) -> FunctionName:
        name = parse_function_name(function)
        if not self._permissions.allows(name, service, source_arn):
            message = f"User: {service} is not authorized to perform: lambda:InvokeFunction on resource: {name.arn} for {source_arn}"
            raise AwsError("AccessDeniedException", message, 403)
        return name


def _check(event: bytes, limit: int) -> None:
    if len(event) > limit:
        message = f"Request must be smaller than {limit} bytes for the InvokeFunction operation"
        raise AwsError("RequestTooLargeException", message, 413, Type="User")
    try:
        orjson.loads(event)
    except orjson.JSONDecodeError as error:
        message = f"Could not parse request body into json: {error}"
        raise AwsError("InvalidRequestContentException", message, Type="User") from None


def _client_context(text: str | None) -> str:
    if not text:
        return ""
    try:
        return orjson.dumps(orjson.loads(base64.b64decode(text, validate=True))).decode()
    except ValueError:
        raise AwsError(
            "InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object."
        ) from None
