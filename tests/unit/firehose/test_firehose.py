"""Firehose: nothing acknowledged is lost, and objects are where their prefix says."""

from __future__ import annotations

import base64
import gzip
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from local_account.firehose.service import FirehoseService
from local_account.wire import AwsError
from tests.support.small_account import OPERATOR, ROLE, SmallAccount


class Bucket:
    """S3 as far as a stream needs it; refuses while `down`."""

    def __init__(self) -> None:
        self.objects: dict[str, bytes] = {}
        self.down = False

    def put_object(self, Bucket: str, Key: str, Body: bytes) -> None:
        if self.down:
            raise ClientError({"Error": {"Code": "SlowDown", "Message": "down"}}, "PutObject")
        self.objects[f"{Bucket}/{Key}"] = Body

    @property
    def whole(self) -> bytes:
        return b"".join(self.objects.values())


@pytest.fixture
def bucket() -> Bucket:
    return Bucket()


@pytest.fixture
def firehose(tmp_path: Path, bucket: Bucket) -> FirehoseService:
    return FirehoseService(SmallAccount(tmp_path, s3=bucket))


def create(service: FirehoseService, **destination: Any) -> None:
    where = {"BucketARN": "arn:aws:s3:::lake", "RoleARN": ROLE, "Prefix": "served/", **destination}
    params = {"DeliveryStreamName": "served", "ExtendedS3DestinationConfiguration": where}
    service.create_delivery_stream(params, OPERATOR)


def put(service: FirehoseService, *records: bytes) -> dict[str, Any]:
    data = [{"Data": base64.b64encode(record).decode()} for record in records]
    return service.put_record_batch({"DeliveryStreamName": "served", "Records": data}, OPERATOR)


def test_a_flush_puts_one_object_under_the_hour_of_its_first_record(firehose: FirehoseService, bucket: Bucket) -> None:
    create(firehose)
    answer = put(firehose, b"a\n", b"b\n")
    assert (answer["FailedPutCount"], len(answer["RequestResponses"])) == (0, 2)
    firehose.flush("served")
    ((key, body),) = bucket.objects.items()
    now = firehose._account.clock.now()
    assert key.startswith(f"lake/served/{now:%Y/%m/%d/%H}/served-1-{now:%Y-%m-%d-%H}-")
    assert body == b"a\nb\n"


def test_expressions_delimiters_and_compression(firehose: FirehoseService, bucket: Bucket) -> None:
    processor = {
        "Type": "AppendDelimiterToRecord",
        "Parameters": [{"ParameterName": "Delimiter", "ParameterValue": "\\n"}],
    }
    create(
        firehose,
        Prefix="day=!{timestamp:yyyy-MM-dd}/",
        ErrorOutputPrefix="errors/",
        CompressionFormat="GZIP",
        ProcessingConfiguration={"Enabled": True, "Processors": [processor]},
    )
    put(firehose, b"a", b"b")
    firehose.flush("served")
    ((key, body),) = bucket.objects.items()
    assert key.startswith(f"lake/day={firehose._account.clock.now():%Y-%m-%d}/served-1-")
    assert key.endswith(".gz")
    assert gzip.decompress(body) == b"a\nb\n"


def test_a_killed_account_delivers_what_it_had_acknowledged(
    firehose: FirehoseService, bucket: Bucket, tmp_path: Path
) -> None:
    create(firehose)
    put(firehose, b"a\n")
    put(firehose, b"b\n")
    (buffer,) = tmp_path.rglob("*.open")
    with buffer.open("ab") as file:
        file.write(b"\x09\x00\x00\x00half")
    again = FirehoseService(SmallAccount(tmp_path, s3=bucket))
    again.flush("served")
    assert bucket.whole == b"a\nb\n"


def test_a_delivery_that_was_cut_off_makes_no_second_object(
    firehose: FirehoseService, bucket: Bucket, monkeypatch: pytest.MonkeyPatch
) -> None:
    create(firehose)
    put(firehose, b"a\n")
    monkeypatch.setattr(Path, "unlink", lambda self: (_ for _ in ()).throw(ClientError({"Error": {}}, "killed here")))
    firehose.flush("served")
    monkeypatch.undo()
    firehose.flush("served")
    assert list(bucket.objects.values()) == [b"a\n"]


def test_records_wait_while_s3_refuses(firehose: FirehoseService, bucket: Bucket) -> None:
    create(firehose)
    bucket.down = True
    put(firehose, b"a\n")
    firehose.flush("served")
    put(firehose, b"b\n")
    bucket.down = False
    firehose.flush("served")
    assert bucket.whole == b"a\nb\n"


@pytest.mark.parametrize(
    ("records", "fits"),
    [
        pytest.param([b"x" * 1_024_000], True, id="the largest record"),
        pytest.param([b"x" * 1_024_001], False, id="one byte more"),
        pytest.param([b"x"] * 500, True, id="the largest batch"),
        pytest.param([b"x"] * 501, False, id="one record more"),
        pytest.param([b"x" * 1_000_000] * 5, False, id="a batch of five megabytes"),
    ],
)
def test_the_limits_of_a_batch(firehose: FirehoseService, bucket: Bucket, records: list[bytes], fits: bool) -> None:
    create(firehose)
    if fits:
        put(firehose, *records)
    else:
        with pytest.raises(AwsError, match="InvalidArgumentException"):
            put(firehose, *records)
    firehose.flush("served")
    assert bucket.whole == (b"".join(records) if fits else b"")


@pytest.mark.parametrize(
    "destination",
    [
        pytest.param({"BufferingHints": {"SizeInMBs": 0, "IntervalInSeconds": 60}}, id="no size"),
        pytest.param({"Prefix": "!{timestamp:yyyy}/"}, id="expressions without an error prefix"),
        pytest.param({"CompressionFormat": "Snappy"}, id="a compression that is not played"),
        pytest.param({"DynamicPartitioningConfiguration": {"Enabled": True}}, id="dynamic partitions"),
        pytest.param(
            {"ProcessingConfiguration": {"Enabled": True, "Processors": [{"Type": "Lambda"}]}}, id="a function"
        ),
    ],
)
def test_what_is_not_played_is_refused_when_the_stream_is_made(
    firehose: FirehoseService, destination: dict[str, Any]
) -> None:
    with pytest.raises(AwsError, match="InvalidArgumentException"):
        create(firehose, **destination)


def test_a_stream_that_is_absent_or_there_already(firehose: FirehoseService) -> None:
    with pytest.raises(AwsError, match="ResourceNotFoundException"):
        put(firehose, b"a")
    create(firehose)
    with pytest.raises(AwsError, match="ResourceInUseException"):
        create(firehose)
