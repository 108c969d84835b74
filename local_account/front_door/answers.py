"""An AWS error in the protocol of the caller: JSON, query XML, REST JSON, S3's REST XML, or CBOR."""

from __future__ import annotations

import json
import uuid
from xml.sax.saxutils import escape

from local_account.front_door.call import Call
from local_account.wire import AwsError, Response

# The same refusal has several names: the JSON protocols' on the left, what query XML and S3 call it on the right.
_QUERY_CODES = {
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "UnrecognizedClientException": "InvalidClientTokenId",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "IncompleteSignatureException": "IncompleteSignature",
    "ExpiredTokenException": "ExpiredToken",
    "AccessDeniedException": "AccessDenied",
}
_S3_CODES = {
    **_QUERY_CODES,
    "MissingAuthenticationTokenException": "AccessDenied",
    "IncompleteSignatureException": "AuthorizationHeaderMalformed",
    "UnrecognizedClientException": "InvalidAccessKeyId",
}


def error_response(call: Call, service: str, error: AwsError) -> Response:
    """What AWS's front end would send for `error`, as the client that made this call reads it."""
    request_id = str(uuid.uuid4())
    if service == "s3":
        response = _s3(call, error, request_id)
    elif call.protocol == "query":
        response = _query(error, request_id)
    elif call.protocol == "cbor":
        response = _cbor(error)
    elif call.protocol == "json":
        content_type = call.headers.get("content-type", "application/x-amz-json-1.1")
        status = 400 if error.code == "AccessDeniedException" else error.status
        body = {"__type": error.code, "message": error.message, **error.extra}
        response = Response(status, {"content-type": content_type}, json.dumps(body).encode())
    else:
        body = {"message": error.message, "Message": error.message, **error.extra}
        headers = {"content-type": "application/json", "x-amzn-errortype": error.code}
        response = Response(error.status, headers, json.dumps(body).encode())
    response.headers["x-amzn-requestid"] = request_id
    return response


def _query(error: AwsError, request_id: str) -> Response:
    code, sender = _QUERY_CODES.get(error.code, error.code), "Sender" if error.status < 500 else "Receiver"
    body = (
        f"<ErrorResponse><Error><Type>{sender}</Type><Code>{code}</Code><Message>{escape(error.message)}</Message>"
        f"</Error><RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return Response(error.status, {"content-type": "text/xml"}, body.encode())


def _s3(call: Call, error: AwsError, request_id: str) -> Response:
    code = _S3_CODES.get(error.code, error.code)
    body = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{escape(error.message)}</Message>'
        f"<Resource>{escape(call.path)}</Resource><RequestId>{request_id}</RequestId></Error>"
    )
    headers = {"content-type": "application/xml", "x-amz-request-id": request_id}
    return Response(error.status, headers, b"" if call.method == "HEAD" else body.encode())


def _cbor(error: AwsError) -> Response:
    """A CBOR map of two text strings (RFC 8949, major types 5 and 3)."""

    def text(value: str) -> bytes:
        data = value.encode()
        return (bytes([0x78, len(data)]) if len(data) < 256 else b"\x79" + len(data).to_bytes(2, "big")) + data

    body = b"\xa2" + text("__type") + text(error.code) + text("message") + text(error.message)
    return Response(error.status, {"content-type": "application/cbor", "smithy-protocol": "rpc-v2-cbor"}, body)
