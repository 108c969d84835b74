"""Bodies that a client compressed because they were long: boto3 does it with the metrics of PutMetricData from 10 KiB on.

The signature is of the compressed body. Rights and service read what is in it, so it is unpacked in between. S3's objects keep
their encoding, which is theirs.
"""

from __future__ import annotations

import zlib

from local_account.front_door.call import Call
from local_account.wire import AwsError

SERVICES = frozenset({"monitoring"})
LARGEST = 1 << 20  # of a request to CloudWatch, unpacked
_GZIP = 16 + zlib.MAX_WBITS


def unpack(call: Call, service: str) -> None:
    """Put the plain body in the place of a gzipped one.

    Raises
    ------
    AwsError
        If it is no gzip, ends too early, or holds more than a request may.
    """
    if service not in SERVICES or call.headers.get("content-encoding") != "gzip":
        return
    stream = zlib.decompressobj(_GZIP)
    try:
        body = stream.decompress(call.body, LARGEST)
    except zlib.error as error:
        raise AwsError("SerializationException", f"The body is not gzip: {error}", 400) from None
    if stream.unconsumed_tail:
        raise AwsError("RequestEntityTooLargeException", f"The body holds more than {LARGEST} bytes", 413)
    if not stream.eof:
        raise AwsError("SerializationException", "The body ends too early", 400)
    call.body = body
    del call.headers["content-encoding"]
