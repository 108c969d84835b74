"""Who signed this? Signature Version 4 in a header or a presigned URL, and S3's old presigned URLs, checked for real.

Source: AWS General Reference, "Create a signed AWS API request"; S3 API Reference, "Authenticating Requests".
"""

from __future__ import annotations

import hashlib
import hmac
import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any
from urllib.parse import quote, unquote, urlsplit

from botocore.auth import HmacV1QueryAuth
from botocore.compat import HTTPHeaders
from botocore.credentials import Credentials as BotocoreCredentials

from local_account.front_door.call import Call
from local_account.wire import AwsError

MAX_SKEW_S = 15 * 60  # AWS refuses a signature older or newer than this
_EMPTY_SHA256 = hashlib.sha256(b"").hexdigest()
_UNSIGNED = "UNSIGNED-PAYLOAD"
_TIMESTAMP = re.compile(r"\d{8}T\d{6}Z", re.ASCII)

SecretOf = Callable[[str, str | None], str | None]  # (access key id, session token) -> secret, None when unknown


@dataclass(frozen=True, slots=True)
class Signature:
    """A checked signature: whose key, for which service, and what a chunked body's chain of signatures starts from."""

    access_key_id: str
    session_token: str | None
    service: str
    region: str
    timestamp: str = ""
    scope: str = ""
    value: str = ""
    key: bytes = b""


def verify(call: Call, secret_of: SecretOf) -> Signature:
    """Check the signature of a call.

    Raises
    ------
    AwsError
        403 with AWS's code: no signature, unknown key, wrong signature, too old, body not what was signed.
    """
    authorization = call.headers.get("authorization", "")
    if authorization.startswith("AWS4-HMAC-SHA256"):
        return _verify_header(call, authorization, secret_of)
    if call.query_string:
        if "X-Amz-Signature" in call.query:
            return _verify_presigned(call, secret_of)
        if "AWSAccessKeyId" in call.query:
            return _verify_s3_query(call, secret_of)
    raise AwsError("MissingAuthenticationTokenException", "Request is missing Authentication Token", 403)


def _verify_header(call: Call, authorization: str, secret_of: SecretOf) -> Signature:
    fields: dict[str, str] = {}
    for part in authorization[len("AWS4-HMAC-SHA256") :].split(","):
        name, _, value = part.strip().partition("=")
        fields[name] = value
    missing = [name for name in ("Credential", "SignedHeaders", "Signature") if not fields.get(name)]
    if missing:
        text = f"Authorization header requires {' and '.join(missing)}. Authorization={authorization.split(' ')[0]}"
        raise AwsError("IncompleteSignatureException", text, 403)
    timestamp = call.headers.get("x-amz-date", "")
    payload_hash = call.headers.get("x-amz-content-sha256")
    signature = _check(
        call,
        credential=fields["Credential"],
        signed_headers=fields["SignedHeaders"],
        given=fields["Signature"],
        timestamp=timestamp,
        token=call.headers.get("x-amz-security-token"),
        payload_hash=payload_hash or _sha256(call.body),
        query=_canonical_query(call.query_string),
        secret_of=secret_of,
    )
    skew_s = time.time() - _epoch(timestamp)
    if abs(skew_s) > MAX_SKEW_S:
        if signature.service == "s3":
            text = "The difference between the request time and the current time is too large."
            raise AwsError("RequestTimeTooSkewed", text, 403)
        age = "expired" if skew_s > 0 else "not yet current"
        text = f"Signature {age}: {timestamp} is more than {MAX_SKEW_S // 60} min from this host's time"
        raise AwsError("InvalidSignatureException", text, 403)
    if payload_hash and len(payload_hash) == 64 and payload_hash != _sha256(call.body):
        text = "The provided 'x-amz-content-sha256' header does not match what was computed."
        raise AwsError("XAmzContentSHA256Mismatch", text, 400)
    return signature


def _verify_presigned(call: Call, secret_of: SecretOf) -> Signature:
    query = call.query
    try:
        timestamp, lifetime_s = query["X-Amz-Date"], int(query["X-Amz-Expires"])
        credential, signed_headers = query["X-Amz-Credential"], query["X-Amz-SignedHeaders"]
    except (KeyError, ValueError) as error:
        raise AwsError("AuthorizationQueryParametersError", f"a presigned URL lacks {error}", 400) from error
    is_s3 = credential.split("/")[-2:-1] == ["s3"]
    signature = _check(
        call,
        credential=credential,
        signed_headers=signed_headers,
        given=query["X-Amz-Signature"],
        timestamp=timestamp,
        token=query.get("X-Amz-Security-Token"),
        payload_hash=call.headers.get("x-amz-content-sha256", _UNSIGNED) if is_s3 else _sha256(call.body),
        query=_canonical_query(call.query_string, leave_out="X-Amz-Signature"),
        secret_of=secret_of,
    )
    if not 0 <= time.time() - _epoch(timestamp) + MAX_SKEW_S <= lifetime_s + MAX_SKEW_S:
        raise AwsError("AccessDenied", "Request has expired", 403)
    return signature


def _verify_s3_query(call: Call, secret_of: SecretOf) -> Signature:
    """Signature Version 2 in a URL: what boto3 and the CLI still presign S3 with by default in this region."""
    key_id, token = call.query["AWSAccessKeyId"], call.query.get("x-amz-security-token")
    secret = secret_of(key_id, token)
    if secret is None:
        raise AwsError("InvalidAccessKeyId", "The AWS Access Key Id you provided does not exist in our records.", 403)
    expires = call.query.get("Expires", "")
    if not expires.isdigit():
        raise AwsError("AccessDenied", "Invalid date (should be seconds since epoch)", 403)
    auth = _S3QueryAuth(BotocoreCredentials(key_id, secret, token), expires)
    # Headers signed are the URL's own: content-type, content-md5 and x-amz-* where the client sends them.
    headers: Any = HTTPHeaders()
    for name, value in call.headers.items():
        if name.startswith(("content-", "x-amz-")):
            headers[name] = value
    if token:
        headers["x-amz-security-token"] = token
    given = call.query.get("Signature", "")
    url = urlsplit(f"http://s3{call.raw_path}?{call.query_string}")
    expected = auth.sign_string(auth.canonical_string(call.method, url, headers))
    if not hmac.compare_digest(expected, given):
        raise AwsError("SignatureDoesNotMatch", _MISMATCH, 403)
    if time.time() > int(expires):
        raise AwsError("AccessDenied", "Request has expired", 403)
    return Signature(key_id, token, "s3", "us-east-1")


class _S3QueryAuth(HmacV1QueryAuth):
    """botocore's own computation, for the moment of expiry that the URL names instead of one reckoned from now."""

    def __init__(self, credentials: BotocoreCredentials, expires: str) -> None:
        super().__init__(credentials)
        self._moment = expires

    def _get_date(self) -> str:
        return self._moment


_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. "
    "Check your AWS Secret Access Key and signing method."
)


def _check(
    call: Call,
    *,
    credential: str,
    signed_headers: str,
    given: str,
    timestamp: str,
    token: str | None,
    payload_hash: str,
    query: str,
    secret_of: SecretOf,
) -> Signature:
    try:
        key_id, date, region, service, terminator = credential.rsplit("/", 4)
    except ValueError:
        raise AwsError("IncompleteSignatureException", f"Credential {credential!r} has no scope", 403) from None
    is_s3 = service == "s3"
    secret = secret_of(key_id, token)
    if secret is None:
        if is_s3:
            text = "The AWS Access Key Id you provided does not exist in our records."
            raise AwsError("InvalidAccessKeyId", text, 403)
        raise AwsError("UnrecognizedClientException", "The security token included in the request is invalid.", 403)
    names = signed_headers.split(";")
    headers = "".join(f"{name}:{' '.join(call.headers.get(name, '').split())}\n" for name in names)
    path = call.raw_path if is_s3 else quote(call.raw_path, safe="/~-_.")
    canonical = f"{call.method}\n{path}\n{query}\n{headers}\n{signed_headers}\n{payload_hash}"
    scope = f"{date}/{region}/{service}/{terminator}"
    to_sign = f"AWS4-HMAC-SHA256\n{timestamp}\n{scope}\n{_sha256(canonical.encode())}"
    key = _signing_key(secret, date, region, service)
    expected = hmac.new(key, to_sign.encode(), hashlib.sha256).hexdigest()
    if not hmac.compare_digest(expected, given) or terminator != "aws4_request" or not timestamp.startswith(date):
        raise AwsError("SignatureDoesNotMatch" if is_s3 else "InvalidSignatureException", _MISMATCH, 403)
    if "host" not in names:
        raise AwsError("IncompleteSignatureException", "'Host' must be a signed header", 403)
    return Signature(key_id, token, service, region, timestamp, scope, given, key)


@lru_cache(maxsize=256)
def _signing_key(secret: str, date: str, region: str, service: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


def _canonical_query(query_string: str, leave_out: str | None = None) -> str:
    if not query_string:
        return ""
    pairs = []
    for pair in query_string.split("&"):
        name, _, value = pair.partition("=")
        if name != leave_out:
            pairs.append((quote(unquote(name), safe="-_.~"), quote(unquote(value), safe="-_.~")))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _epoch(timestamp: str) -> float:
    try:
        if not _TIMESTAMP.fullmatch(timestamp):
            raise ValueError
        return datetime.fromisoformat(timestamp).timestamp()  # a tenth of strptime's time, in every call
    except ValueError:
        raise AwsError(
            "IncompleteSignatureException", f"Date {timestamp!r} must be in ISO-8601 basic format", 403
        ) from None


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest() if data else _EMPTY_SHA256
