"""Firehose through boto3 and the front door, with a bucket behind it."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from local_account.front_door.local import LocalAccount

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "firehose.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def test_records_reach_the_bucket_by_the_streams_own_role(account: LocalAccount) -> None:
    iam, s3, firehose = account.client("iam"), account.client("s3"), account.client("firehose")
    role = iam.create_role(RoleName="stream-role", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    s3.create_bucket(Bucket="stream-lake")
    firehose.create_delivery_stream(
        DeliveryStreamName="stream-test",
        ExtendedS3DestinationConfiguration={
            "BucketARN": "arn:aws:s3:::stream-lake",
            "RoleARN": role,
            "Prefix": "served/!{timestamp:yyyy/MM/dd/HH}/",
            "ErrorOutputPrefix": "errors/",
            "BufferingHints": {"IntervalInSeconds": 1, "SizeInMBs": 1},
        },
    )
    described = firehose.describe_delivery_stream(DeliveryStreamName="stream-test")["DeliveryStreamDescription"]
    assert described["DeliveryStreamStatus"] == "ACTIVE"
    assert "stream-test" in firehose.list_delivery_streams()["DeliveryStreamNames"]
    firehose.put_record(DeliveryStreamName="stream-test", Record={"Data": b"one\n"})
    account.service("firehose").flush("stream-test")
    assert s3.list_objects_v2(Bucket="stream-lake")["KeyCount"] == 0, "the role may not write yet"
    allow = {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::stream-lake/*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [allow]})
    iam.put_role_policy(RoleName="stream-role", PolicyName="write", PolicyDocument=policy)
    batch = [{"Data": b"two\n"}, {"Data": b"three\n"}]
    assert firehose.put_record_batch(DeliveryStreamName="stream-test", Records=batch)["FailedPutCount"] == 0
    deadline, found = time.monotonic() + 15, list[bytes]()
    while len(found) < 3 and time.monotonic() < deadline:
        objects = s3.list_objects_v2(Bucket="stream-lake", Prefix="served/").get("Contents", [])
        bodies = [s3.get_object(Bucket="stream-lake", Key=one["Key"])["Body"].read() for one in objects]
        found = sorted(line for body in bodies for line in body.splitlines())  # two objects of one second have no order
        time.sleep(0.1)
    assert found == [b"one", b"three", b"two"]
    firehose.delete_delivery_stream(DeliveryStreamName="stream-test")
    with pytest.raises(firehose.exceptions.ResourceNotFoundException):
        firehose.put_record(DeliveryStreamName="stream-test", Record={"Data": b"late\n"})
