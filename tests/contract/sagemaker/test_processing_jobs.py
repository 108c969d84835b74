from __future__ import annotations

import json
from typing import Any

import pytest

from local_account.sagemaker.service import SageMakerService
from local_account.wire import AwsError
from tests.support.sagemaker_room import OwnFolder, call, ended, processing, s3_input, until


def put(account: Any, bucket: str, key: str, text: str) -> str:
    account.client("s3").put_object(Bucket=bucket, Key=key, Body=text.encode())
    return f"s3://{bucket}/{key}"


def keys(account: Any, bucket: str, prefix: str) -> list[str]:
    return [
        row["Key"] for row in account.client("s3").list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
    ]


def output(name: str, uri: str, mode: str = "EndOfJob") -> dict[str, Any]:
    path = f"/opt/ml/processing/output/{name}"
    return {"Outputs": [{"OutputName": name, "S3Output": {"S3Uri": uri, "LocalPath": path, "S3UploadMode": mode}}]}


CODE = "/opt/ml/processing/input/code"


def test_a_processing_job_reads_its_inputs_writes_its_outputs_and_leaves_a_message(account, bucket, service, room):
    text = """
import os, pathlib, sys
source, target, message = sys.argv[1:4]
data = pathlib.Path(source, "a.txt").read_text()
pathlib.Path(target, "deep").mkdir()
pathlib.Path(target, "deep", "b.txt").write_text(data.upper() + os.environ["WHERE"][-6:])
pathlib.Path(message).write_text("Completed: " + "ä" * 2000)
"""
    put(account, bucket, "p1/in/a.txt", "data")
    code = put(account, bucket, "p1/code/run.py", text)
    arguments = [
        f"{CODE}/run.py",
        "/opt/ml/processing/input/data",
        "/opt/ml/processing/output/out",
        "/opt/ml/output/message",
    ]
    request = processing("p1", arguments, Environment={"WHERE": "/opt/ml/config"})
    request["ProcessingInputs"] = [s3_input("code", code), s3_input("data", f"s3://{bucket}/p1/in/")]
    request["ProcessingOutputConfig"] = output("out", f"s3://{bucket}/p1/out")
    call(service, "CreateProcessingJob", **request)
    doc = ended(service, "Processing", "p1")
    assert doc["ProcessingJobStatus"] == "Completed", doc.get("FailureReason")
    body = account.client("s3").get_object(Bucket=bucket, Key="p1/out/deep/b.txt")["Body"].read()
    assert body == b"DATAconfig"
    assert doc["ExitMessage"].startswith("Completed: ä")
    assert len(doc["ExitMessage"].encode()) <= 1024
    assert [detail["ProcessingJobStatus"] for _, detail in room.events] == ["InProgress", "Completed"]


def test_an_exit_code_fails_the_job_with_the_exit_message_and_uploads_nothing(account, bucket, service):
    text = "import pathlib, sys; pathlib.Path(sys.argv[1]).write_text('Job inputs had no data'); sys.exit(1)"
    request = processing("p2", [f"{CODE}/run.py", "/opt/ml/output/message"])
    request["ProcessingInputs"] = [s3_input("code", put(account, bucket, "p2/code/run.py", text))]
    request["ProcessingOutputConfig"] = output("out", f"s3://{bucket}/p2/out")
    call(service, "CreateProcessingJob", **request)
    doc = ended(service, "Processing", "p2")
    assert (doc["ProcessingJobStatus"], doc["ExitMessage"]) == ("Failed", "Job inputs had no data")
    assert doc["FailureReason"] == "AlgorithmError: Job inputs had no data, exit code: 1"
    assert keys(account, bucket, "p2/out") == []


def test_hosts_share_sharded_inputs_and_know_who_they_are(account, bucket, service):
    text = """
import json, pathlib, sys
host = json.loads(pathlib.Path(sys.argv[1], "resourceconfig.json").read_text())["current_host"]
names = sorted(p.name for p in pathlib.Path(sys.argv[2]).iterdir())
pathlib.Path(sys.argv[3], f"{host}.json").write_text(json.dumps(names))
"""
    for number in range(5):
        put(account, bucket, f"p3/in/{number}", "x")
    paths = ["/opt/ml/config", "/opt/ml/processing/input/data", "/opt/ml/processing/output/out"]
    request = processing("p3", [f"{CODE}/run.py", *paths])
    request["ProcessingResources"]["ClusterConfig"]["InstanceCount"] = 2
    request["ProcessingInputs"] = [
        s3_input("code", put(account, bucket, "p3/code/run.py", text)),
        s3_input("data", f"s3://{bucket}/p3/in/", S3DataDistributionType="ShardedByS3Key"),
    ]
    request["ProcessingOutputConfig"] = output("out", f"s3://{bucket}/p3/out", "Continuous")
    call(service, "CreateProcessingJob", **request)
    assert ended(service, "Processing", "p3")["ProcessingJobStatus"] == "Completed"
    s3 = account.client("s3")
    seen = {
        key[-11:]: json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        for key in keys(account, bucket, "p3/out")
    }
    assert seen == {"algo-1.json": ["0", "2", "4"], "algo-2.json": ["1", "3"]}


def test_a_manifest_file_names_the_objects_of_an_input(account, bucket, service):
    text = "import pathlib, sys; print(sorted(p.name for p in pathlib.Path(sys.argv[1]).iterdir())); sys.exit(4)"
    put(account, bucket, "p4/in/a", "1"), put(account, bucket, "p4/in/b", "2")
    manifest = put(account, bucket, "p4/list.manifest", json.dumps([{"prefix": f"s3://{bucket}/p4/in/"}, "b"]))
    request = processing("p4", [f"{CODE}/run.py", "/opt/ml/processing/input/data"])
    request["ProcessingInputs"] = [
        s3_input("code", put(account, bucket, "p4/code/run.py", text)),
        s3_input("data", manifest, S3DataType="ManifestFile"),
    ]
    call(service, "CreateProcessingJob", **request)
    assert ended(service, "Processing", "p4")["FailureReason"] == "AlgorithmError: ['b'], exit code: 4"


def test_an_input_that_is_not_there_fails_the_job_with_its_key(account, bucket, service):
    request = processing("p5", [f"{CODE}/run.py"], ProcessingInputs=[s3_input("code", f"s3://{bucket}/p5/none/")])
    call(service, "CreateProcessingJob", **request)
    reason = ended(service, "Processing", "p5")["FailureReason"]
    assert reason == f"ClientError: Data download failed:S3 key: s3://{bucket}/p5/none/ matches no files on s3"


def test_a_stopped_job_is_stopped_and_cannot_be_stopped_twice(account, bucket, service):
    request = processing("p6", [f"{CODE}/run.py"])
    request["ProcessingInputs"] = [
        s3_input("code", put(account, bucket, "p6/code/run.py", "import time; time.sleep(60)"))
    ]
    call(service, "CreateProcessingJob", **request)
    call(service, "StopProcessingJob", ProcessingJobName="p6")
    assert ended(service, "Processing", "p6")["ProcessingJobStatus"] == "Stopped"
    with pytest.raises(AwsError, match="ValidationException"):
        call(service, "StopProcessingJob", ProcessingJobName="p6")


def test_a_job_that_waited_when_the_account_died_runs_when_it_is_back(account, bucket, tmp_path):
    before = SageMakerService(OwnFolder(account, tmp_path), jobs_at_once=1)
    before.start()
    request = processing("p7", [f"{CODE}/run.py"])
    request["ProcessingInputs"] = [
        s3_input("code", put(account, bucket, "p7/code/run.py", "import time; time.sleep(2)"))
    ]
    for name in ("p7-a", "p7-b"):
        call(before, "CreateProcessingJob", **{**request, "ProcessingJobName": name})
    until(lambda: "ProcessingStartTime" in call(before, "DescribeProcessingJob", ProcessingJobName="p7-a"))
    before.stop()
    after = SageMakerService(OwnFolder(account, tmp_path))
    after.start()
    try:
        assert [ended(after, "Processing", n)["ProcessingJobStatus"] for n in ("p7-a", "p7-b")] == ["Completed"] * 2
    finally:
        after.stop()


def test_lists_filter_sort_and_page(account, bucket, service):
    request = processing("p8", [f"{CODE}/run.py"], ProcessingInputs=[s3_input("code", f"s3://{bucket}/p8/none/")])
    for name in ("p8-a", "p8-b", "p8-c", "other"):
        call(service, "CreateProcessingJob", **{**request, "ProcessingJobName": name})
        ended(service, "Processing", name)
    first = call(service, "ListProcessingJobs", NameContains="p8", SortBy="Name", SortOrder="Ascending", MaxResults=2)
    rest = call(
        service,
        "ListProcessingJobs",
        NameContains="p8",
        SortBy="Name",
        SortOrder="Ascending",
        NextToken=first["NextToken"],
    )
    names = [row["ProcessingJobName"] for page in (first, rest) for row in page["ProcessingJobSummaries"]]
    assert names == ["p8-a", "p8-b", "p8-c"]
    assert "NextToken" not in rest
    assert call(service, "ListProcessingJobs", StatusEquals="Completed")["ProcessingJobSummaries"] == []
    assert len(call(service, "ListProcessingJobs", StatusEquals="Failed")["ProcessingJobSummaries"]) == 4


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(
            {"LocalPath": "/opt/ml/processing/../../../etc"},
            "must be under /opt/ml/processing",
            id="path leaves the folder",
        ),
        pytest.param({"S3InputMode": "Pipe"}, "File mode", id="pipe"),
    ],
)
def test_an_input_that_cannot_be_played_is_refused_at_once(bucket, service, change, said):
    request = processing("p9", [f"{CODE}/run.py"], ProcessingInputs=[s3_input("code", f"s3://{bucket}/p9/", **change)])
    with pytest.raises(AwsError, match=said):
        call(service, "CreateProcessingJob", **request)


def test_a_role_that_is_not_there_is_refused_at_once(bucket, service):
    request = processing("p10", [f"{CODE}/run.py"], RoleArn="arn:aws:iam::123456789012:role/sagemaker-tests-nobody")
    with pytest.raises(AwsError, match="Could not assume role"):
        call(service, "CreateProcessingJob", **request)


def test_a_job_reads_with_its_own_roles_rights_only(account, bucket, service):
    arn = "arn:aws:iam::123456789012:role/sagemaker-tests-poor"
    trust = {
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
        ]
    }
    account.client("iam").create_role(RoleName="sagemaker-tests-poor", AssumeRolePolicyDocument=json.dumps(trust))
    request = processing("p11", [f"{CODE}/run.py"], RoleArn=arn)
    request["ProcessingInputs"] = [s3_input("code", put(account, bucket, "p11/code/run.py", "print(1)"))]
    call(service, "CreateProcessingJob", **request)
    doc = ended(service, "Processing", "p11")
    assert doc["ProcessingJobStatus"] == "Failed"
    assert "AccessDenied" in doc["FailureReason"]
