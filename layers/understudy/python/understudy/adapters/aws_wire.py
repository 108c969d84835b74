"""Signed HTTP to AWS with a timeout of its own for every call: what the request path uses instead of boto3 clients.

A boto3 client has one timeout for its life and tries again unless told not to; the path needs the budget that is left,
once. It also loads 100-200 ms of service models at the first call. The credential chain is botocore's.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from functools import cached_property
from typing import Any

from botocore.exceptions import ClientError
from pydantic_core import from_json

from understudy.adapters.aws_signature import signed_headers
from understudy.adapters.http_exchange import Answer, Exchanger
from understudy.errors import StepFailed

# Service -> (signing name, host prefix); runtime hosts differ from their signing name.
HOSTS = {
    "sagemaker-runtime": ("sagemaker", "runtime.sagemaker"),
    "secretsmanager": ("secretsmanager", "secretsmanager"),
}


class SignedHttp:
    """One connection pool and one set of credentials; safe to share between threads.

    `post` and `get` answer any status; only no answer at all is an exception.
    """

    def __init__(self) -> None:
        self._exchanger = Exchanger()

    @cached_property
    def _session(self) -> Any:
        from botocore.session import get_session

        return get_session()

    @cached_property
    def _credentials(self) -> Any:
        credentials = self._session.get_credentials()
        if credentials is None:
            raise StepFailed("credentials", "none found in the environment")
        return credentials

    @cached_property
    def region(self) -> str:
        return os.environ.get("AWS_REGION") or self._session.get_config_variable("region") or "us-east-1"

    def endpoint(self, service: str) -> str:
        """As boto3 chooses it: AWS_ENDPOINT_URL_<SERVICE>, AWS_ENDPOINT_URL, the profile's, else the region's."""
        variable = f"AWS_ENDPOINT_URL_{service.upper().replace('-', '_')}"
        url = os.environ.get(variable) or os.environ.get("AWS_ENDPOINT_URL")
        url = url or self._session.get_scoped_config().get("endpoint_url")
        if url:
            return url.rstrip("/")
        prefix = HOSTS.get(service, (service, service))[1]
        suffix = "amazonaws.com.cn" if self.region.startswith("cn-") else "amazonaws.com"
        return f"https://{prefix}.{self.region}.{suffix}"

    def send(
        self, method: str, url: str, body: bytes, headers: Mapping[str, str], *, signing_name: str, timeout_s: float
    ) -> Answer:
        """One attempt; one more if a kept connection turns out to be closed, because then nobody was asked.

        Raises
        ------
        StepFailed
            No readable answer within `timeout_s`, from the first packet to the last byte, or no connection.
        """
        scheme, _, rest = url.partition("://")
        host, slash, path = rest.partition("/")
        signed = signed_headers(
            method,
            host,
            slash + path or "/",
            headers,
            body,
            keys=self._credentials.get_frozen_credentials(),
            service=signing_name,
            region=self.region,
            at_s=time.time(),
        )
        try:
            return self._exchanger.exchange(method, scheme, host, slash + path or "/", signed, body, timeout_s)
        except OSError as error:
            raise StepFailed(signing_name, type(error).__name__) from None


class JsonProtocol:
    """A service of AWS's JSON protocol as the methods of a low-level client: `DynamoDB_20120810`, 1.0."""

    def __init__(self, http: SignedHttp, service: str, target: str, version: str) -> None:
        self._http, self._service, self._target = http, service, target
        self._type = f"application/x-amz-json-{version}"

    @cached_property
    def _url(self) -> str:
        return self._http.endpoint(self._service) + "/"

    def call(self, action: str, arguments: Mapping[str, Any], timeout_s: float) -> dict[str, Any]:
        """The answer as JSON.

        Raises
        ------
        ClientError
            The service said no; its code and message as boto3 gives them.
        StepFailed
            It said nothing, or nothing readable.
        """
        headers = {"content-type": self._type, "x-amz-target": f"{self._target}.{action}"}
        body = json.dumps(arguments, separators=(",", ":")).encode()
        answer = self._http.send("POST", self._url, body, headers, signing_name=self._service, timeout_s=timeout_s)
        content = read_json(answer.body, self._service)
        if answer.status >= 300:
            code = str(content.get("__type", answer.status)).rpartition("#")[2]
            message = content.get("message") or content.get("Message") or ""
            response: Any = {**content, "Error": {"Code": code, "Message": message}}
            raise ClientError(response, action)
        return content


class DynamoReads:
    """`get_item` of a low-level client with a timeout: enough for the stores' reading half."""

    def __init__(self, http: SignedHttp, timeout_s: float) -> None:
        self._dynamo = JsonProtocol(http, "dynamodb", "DynamoDB_20120810", "1.0")
        self._timeout_s = timeout_s

    def get_item(self, *, timeout_s: float | None = None, **arguments: Any) -> dict[str, Any]:
        return self._dynamo.call("GetItem", arguments, timeout_s or self._timeout_s)


def read_json(body: bytes, who: str) -> dict[str, Any]:
    """A JSON object; StepFailed for anything else, whatever a dependency sends."""
    try:
        content = from_json(body or b"{}", cache_strings="keys")
    except ValueError:
        raise StepFailed(who, "the answer is no JSON") from None
    if not isinstance(content, dict):
        raise StepFailed(who, "the answer is no JSON object")
    return content
