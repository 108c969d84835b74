"""CloudWatch's wire forms: JSON, which today's clients speak, and the query protocol of older ones.

moto has a parser and a writer for each, made from botocore's own model; they are used as they are.
"""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import parse_qsl

from moto.core.parse import PROTOCOL_PARSERS
from moto.core.serialize import SERIALIZERS, SerializationContext
from moto.core.utils import get_service_model

from local_account.wire import AwsError, Request, Response


def read(request: Request) -> dict[str, Any]:
    """Parameters of a request, with the names and types of botocore's model; times are in UTC without saying so.

    Raises
    ------
    AwsError
        `SerializationException` for a body that is not what its protocol says.
    """
    operation = get_service_model("cloudwatch").operation_model(request.action)
    form = dict(parse_qsl(request.body.decode(errors="replace"), keep_blank_values=True) or request.query.items())
    facts: Any = {
        "method": request.method,
        "values": form,
        "headers": request.headers,
        "body": request.body,
        "url_path": request.path,
        "url_params": {},
    }
    try:
        return PROTOCOL_PARSERS[_protocol(request)](operation, map_type=dict).parse(facts)
    except Exception as problem:  # moto's parsers raise whatever the body makes them stumble over
        raise AwsError("SerializationException", f"the request could not be read: {problem}") from problem


def answer(request: Request, result: dict[str, Any]) -> Response:
    """An answer in the protocol of the request."""
    operation = get_service_model("cloudwatch").operation_model(request.action)
    context = SerializationContext(str(uuid.uuid4()))
    made = SERIALIZERS[_protocol(request)](operation, context).serialize(result)
    body = made["body"]
    headers = {
        "content-type": request.headers.get("content-type", "") if "x-amz-target" in request.headers else "text/xml"
    }
    return Response(made["status_code"], headers, body.encode() if isinstance(body, str) else body)


def _protocol(request: Request) -> str:
    if "x-amz-target" in request.headers:
        return "json"
    if request.headers.get("smithy-protocol"):
        raise AwsError("UnknownOperationException", "CBOR is not played by the local account; JSON is", 501)
    return "query"
