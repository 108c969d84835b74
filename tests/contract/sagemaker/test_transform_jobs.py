from __future__ import annotations

import json
from typing import Any

import pytest

from local_account.wire import AwsError
from tests.support.sagemaker_room import call, ended, put_model


def transform(name: str, model: str, bucket: str, **more: Any) -> dict[str, Any]:
    source = {"S3DataType": "S3Prefix", "S3Uri": f"s3://{bucket}/{name}/in/"}
    return {
        "TransformJobName": name,
        "ModelName": model,
        "TransformInput": {"DataSource": {"S3DataSource": source}, "ContentType": "text/csv", "SplitType": "Line"},
        "TransformOutput": {"S3OutputPath": f"s3://{bucket}/{name}/out", "AssembleWith": "Line"},
        "TransformResources": {"InstanceType": "ml.m5.large", "InstanceCount": 1},
        **more,
    }


def test_a_transform_job_answers_every_file_beside_its_name(account, bucket, service, room):
    model = put_model(service, account, bucket, "batch-1")
    for name in ("a.csv", "deep/b.csv"):
        account.client("s3").put_object(Bucket=bucket, Key=f"x1/in/{name}", Body=b"1,2\n3,4\n")
    call(service, "CreateTransformJob", **transform("x1", model, bucket, BatchStrategy="SingleRecord"))
    doc = ended(service, "Transform", "x1")
    assert doc["TransformJobStatus"] == "Completed", doc.get("FailureReason")
    body = account.client("s3").get_object(Bucket=bucket, Key="x1/out/deep/b.csv.out")["Body"].read()
    assert [json.loads(line)["echo"] for line in body.splitlines()] == ["1,2", "3,4"]
    assert [d["TransformJobStatus"] for kind, d in room.events if kind == "SageMaker Transform Job State Change"] == [
        "InProgress",
        "Completed",
    ]


@pytest.mark.parametrize(
    ("body", "content_type", "reason"),
    [
        pytest.param(b"boom", "text/csv", "KeyError: 'boom'", id="the model fails"),
        pytest.param(b"1", "text/plain", "400: content type is", id="the model refuses"),
    ],
)
def test_a_file_that_the_model_cannot_answer_fails_the_job_and_uploads_nothing(
    account, bucket, service, body, content_type, reason
):
    account.client("s3").put_object(Bucket=bucket, Key="x2/in/a", Body=body)
    request = transform("x2", put_model(service, account, bucket, "batch-2"), bucket)
    request["TransformInput"]["ContentType"] = content_type
    call(service, "CreateTransformJob", **request)
    doc = ended(service, "Transform", "x2")
    assert doc["TransformJobStatus"] == "Failed"
    assert reason in doc["FailureReason"]
    assert "Contents" not in account.client("s3").list_objects_v2(Bucket=bucket, Prefix="x2/out/")


def test_an_unknown_model_is_refused(bucket, service):
    with pytest.raises(AwsError, match="Could not find model"):
        call(service, "CreateTransformJob", **transform("x3", "nobody", bucket))
