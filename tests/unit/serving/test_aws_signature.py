"""Our signatures are botocore's, byte for byte."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from understudy.adapters.aws_signature import Keys, signed_headers

AT = datetime(2026, 11, 23, 23, 59, 58, tzinfo=UTC)


@pytest.mark.parametrize("token", [None, "session/token+="], ids=["long-lived keys", "a role session"])
@pytest.mark.parametrize(
    ("method", "host", "path", "headers", "body", "service"),
    [
        pytest.param(
            "POST", "dynamodb.eu-west-1.amazonaws.com", "/", {"X-Amz-Target": "a.B"}, b"{}", "dynamodb", id="json"
        ),
        pytest.param(
            "POST",
            "127.0.0.1:4566",
            "/endpoints/a%20name~1/invocations",
            {"content-type": "text/csv", "x-amzn-sagemaker-inference-id": "  two   words "},
            "ü,1\n".encode(),
            "sagemaker",
            id="an encoded path and a header with spaces",
        ),
        pytest.param("GET", "127.0.0.1:80", "/opensearch/d/_x", {}, b"", "es", id="no body, the scheme's own port"),
    ],
)
def test_a_signature_is_the_one_that_botocore_makes(
    monkeypatch: pytest.MonkeyPatch,
    method: str,
    host: str,
    path: str,
    headers: dict[str, str],
    body: bytes,
    service: str,
    token: str | None,
) -> None:
    monkeypatch.setattr("botocore.auth.get_current_datetime", lambda: AT.replace(tzinfo=None))
    expected = AWSRequest(method, f"http://{host}{path}", headers={**headers, "host": host}, data=body)
    SigV4Auth(Credentials("AKIA", "secret", token), service, "eu-west-1").add_auth(expected)
    ours = signed_headers(
        method,
        host,
        path,
        headers,
        body,
        keys=Keys("AKIA", "secret", token),
        service=service,
        region="eu-west-1",
        at_s=AT.timestamp(),
    )
    assert ours["authorization"] == expected.headers["Authorization"]
    assert ours["x-amz-date"] == expected.headers["X-Amz-Date"]
    assert ours.get("x-amz-security-token") == token
