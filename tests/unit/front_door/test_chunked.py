"""aws-chunked bodies without signatures of their own: what SDKs send over TLS, checksum last."""

from __future__ import annotations

import pytest

from local_account.front_door.call import Call
from local_account.front_door.chunked import is_chunked, unwrap
from local_account.front_door.signature import Signature
from local_account.wire import AwsError

SIGNED = Signature("AKIA", None, "s3", "us-east-1")


def upload(body: bytes) -> Call:
    headers = {
        "x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER",
        "content-encoding": "gzip,aws-chunked",
        "x-amz-decoded-content-length": "11",
        "x-amz-trailer": "x-amz-checksum-crc32",
    }
    return Call("PUT", "/b/k", "", headers, body)


def test_chunks_become_the_object_and_the_trailer_a_header() -> None:
    call = upload(b"6\r\nhello \r\n5\r\nworld\r\n0\r\nx-amz-checksum-crc32:DUoRhQ==\r\n\r\n")
    assert is_chunked(call)
    unwrap(call, SIGNED)
    assert call.body == b"hello world"
    assert call.headers == {"content-encoding": "gzip", "content-length": "11", "x-amz-checksum-crc32": "DUoRhQ=="}


@pytest.mark.parametrize("body", [b"6\r\nhel", b"zz\r\nhello", b"", b"5\r\nhello\r\n"])
def test_a_body_cut_short_is_refused(body: bytes) -> None:
    with pytest.raises(AwsError, match="IncompleteBody"):
        unwrap(upload(body), SIGNED)
