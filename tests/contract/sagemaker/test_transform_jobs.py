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


def lines(account: Any, bucket: str, key: str) -> list[Any]:
    body = account.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    return [json.loads(line) for line in body.splitlines()]


def test_answers_of_several_processes_come_in_the_order_of_the_records(account, bucket, service):
    body = b"".join(b"%d,x\n" % number for number in range(40))
    account.client("s3").put_object(Bucket=bucket, Key="x4/in/a.csv", Body=body)
    request = transform("x4", put_model(service, account, bucket, "batch-4"), bucket)
    call(service, "CreateTransformJob", **request, BatchStrategy="SingleRecord", MaxConcurrentTransforms=2)
    doc = ended(service, "Transform", "x4")
    assert doc["TransformJobStatus"] == "Completed", doc.get("FailureReason")
    assert [one["echo"] for one in lines(account, bucket, "x4/out/a.csv.out")] == [f"{n},x" for n in range(40)]


def test_a_record_is_filtered_for_the_model_and_joined_to_its_answer(account, bucket, service):
    account.client("s3").put_object(Bucket=bucket, Key="x5/in/a.csv", Body=b"u1,7,8\nu2,9,10\n")
    model = put_model(service, account, bucket, "batch-5")
    request = transform("x5", model, bucket, BatchStrategy="SingleRecord")
    request["DataProcessing"] = {
        "InputFilter": "$[1:]",
        "JoinSource": "Input",
        "OutputFilter": "$.SageMakerOutput.echo",
    }
    request["TransformOutput"]["Accept"] = "application/json"
    call(service, "CreateTransformJob", **request)
    doc = ended(service, "Transform", "x5")
    assert doc["TransformJobStatus"] == "Completed", doc.get("FailureReason")
    assert lines(account, bucket, "x5/out/a.csv.out") == ["7,8", "9,10"]


@pytest.mark.parametrize(
    ("processing", "said"),
    [
        pytest.param({"InputFilter": "id"}, "does not begin with", id="no JSONPath"),
        pytest.param({"OutputFilter": "$[?(@.x)]"}, "expected names in quotes", id="a filter SageMaker does not take"),
    ],
)
def test_a_filter_that_cannot_be_is_refused_at_once(account, bucket, service, processing, said):
    request = transform("x6", put_model(service, account, bucket, "batch-6"), bucket, DataProcessing=processing)
    with pytest.raises(AwsError, match=said):
        call(service, "CreateTransformJob", **request)


def test_a_refused_record_is_the_datas_fault_and_names_the_file(account, bucket, service):
    account.client("s3").put_object(Bucket=bucket, Key="x7/in/deep/b", Body=b"1")
    request = transform("x7", put_model(service, account, bucket, "batch-7"), bucket)
    request["TransformInput"]["ContentType"] = "text/plain"
    call(service, "CreateTransformJob", **request)
    reason = ended(service, "Transform", "x7")["FailureReason"]
    assert reason.startswith("ClientError: deep/b: Bad HTTP status received from algorithm: 400"), reason


def test_an_unknown_model_is_refused(bucket, service):
    with pytest.raises(AwsError, match="Could not find model"):
        call(service, "CreateTransformJob", **transform("x3", "nobody", bucket))
