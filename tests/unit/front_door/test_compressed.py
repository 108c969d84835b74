"""A body that boto3 gzipped is read by rights and service as what is in it."""

from __future__ import annotations

import gzip

import pytest

from local_account.front_door import compressed
from local_account.front_door.call import Call
from local_account.wire import AwsError

BODY = b'{"Namespace": "N", "MetricData": []}'


def call(body, **headers):
    return Call("POST", "/", "", {"x-amz-target": "GraniteServiceVersion20100801.PutMetricData", **headers}, body)


def test_a_gzipped_body_is_put_plain_and_is_gzipped_no_more():
    one = call(gzip.compress(BODY), **{"content-encoding": "gzip"})
    compressed.unpack(one, "monitoring")
    assert one.body == BODY
    assert "content-encoding" not in one.headers


@pytest.mark.parametrize(
    ("service", "headers"),
    [
        pytest.param("monitoring", {}, id="it says nothing of gzip"),
        pytest.param("s3", {"content-encoding": "gzip"}, id="an object's encoding is its own"),
    ],
)
def test_other_bodies_stay_as_they_are(service, headers):
    body = gzip.compress(BODY)
    one = call(body, **headers)
    compressed.unpack(one, service)
    assert (one.body, one.headers.get("content-encoding")) == (body, headers.get("content-encoding"))


@pytest.mark.parametrize(
    ("body", "code"),
    [
        pytest.param(BODY, "SerializationException", id="no gzip"),
        pytest.param(gzip.compress(BODY)[:-9], "SerializationException", id="cut off"),
        pytest.param(gzip.compress(bytes(compressed.LARGEST + 1)), "RequestEntityTooLargeException", id="a bomb"),
    ],
)
def test_what_cannot_be_unpacked_is_refused(body, code):
    with pytest.raises(AwsError) as refused:
        compressed.unpack(call(body, **{"content-encoding": "gzip"}), "monitoring")
    assert refused.value.code == code
