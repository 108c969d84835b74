"""S3's aws-chunked bodies: taken apart, each chunk's signature checked where it carries one.

Source: S3 API Reference, "Signature calculations for the authorization header: transferring payload in multiple chunks".
"""

from __future__ import annotations

import hashlib
import hmac

from local_account.front_door.call import Call
from local_account.front_door.signature import Signature
from local_account.wire import AwsError

_EMPTY = hashlib.sha256(b"").hexdigest()


def is_chunked(call: Call) -> bool:
    return call.headers.get("x-amz-content-sha256", "").startswith("STREAMING-")


def unwrap(call: Call, signature: Signature) -> None:
    """Put the object's own bytes and headers in the place of the chunked ones; trailers become headers.

    Raises
    ------
    AwsError
        `SignatureDoesNotMatch` for a chunk that was changed, `IncompleteBody` for one cut short.
    """
    signed = call.headers["x-amz-content-sha256"].startswith("STREAMING-AWS4-HMAC-SHA256")
    body, previous, at, parts = call.body, signature.value, 0, []
    while True:
        line_end = body.find(b"\r\n", at)
        if line_end < 0:
            raise _incomplete()
        size_text, _, extension = body[at:line_end].partition(b";")
        try:
            size = int(size_text, 16)
        except ValueError:
            raise _incomplete() from None
        at = line_end + 2
        chunk = body[at : at + size]
        if len(chunk) != size:
            raise _incomplete()
        if signed:
            previous = _check_chunk(chunk, extension.decode("latin-1"), previous, signature)
        at += size
        if size == 0:
            break
        parts.append(chunk)
        at += 2
    _take_trailers(call, body[at:])
    call.body = b"".join(parts)
    _drop_wrapping_headers(call)


def _check_chunk(chunk: bytes, extension: str, previous: str, signature: Signature) -> str:
    given = extension.removeprefix("chunk-signature=")
    to_sign = (
        f"AWS4-HMAC-SHA256-PAYLOAD\n{signature.timestamp}\n{signature.scope}\n{previous}\n{_EMPTY}\n"
        f"{hashlib.sha256(chunk).hexdigest()}"
    )
    if not hmac.compare_digest(hmac.new(signature.key, to_sign.encode(), hashlib.sha256).hexdigest(), given):
        raise AwsError("SignatureDoesNotMatch", "The signature of a chunk does not match its data.", 403)
    return given


def _take_trailers(call: Call, rest: bytes) -> None:
    for line in rest.split(b"\r\n"):
        name, _, value = line.decode("latin-1").partition(":")
        if name.lower().startswith("x-amz-checksum-"):
            call.headers[name.lower()] = value.strip()


def _drop_wrapping_headers(call: Call) -> None:
    headers = call.headers
    encodings = [
        part for part in headers.get("content-encoding", "").split(",") if part.strip() not in ("aws-chunked", "")
    ]
    headers.pop("content-encoding", None)
    if encodings:
        headers["content-encoding"] = ",".join(encodings)
    for name in ("x-amz-decoded-content-length", "x-amz-trailer", "x-amz-content-sha256", "transfer-encoding"):
        headers.pop(name, None)
    headers["content-length"] = str(len(call.body))


def _incomplete() -> AwsError:
    return AwsError("IncompleteBody", "The request body terminated unexpectedly", 400)
