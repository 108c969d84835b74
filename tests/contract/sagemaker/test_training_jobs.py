from __future__ import annotations

import io
import json
import tarfile
from typing import Any

import pytest

from local_account.sagemaker.service import SageMakerService
from local_account.wire import AwsError
from tests.support.sagemaker_room import OwnFolder, call, ended, tar_gz, training, until

TRAIN = """
import argparse, json, os, pathlib, sys
words = argparse.ArgumentParser()
words.add_argument("--epochs", type=int); words.add_argument("--name")
given = words.parse_args()
rows = pathlib.Path(os.environ["SM_CHANNEL_TRAIN"], "part-0.csv").read_text()
for epoch in range(given.epochs):
    print(f"epoch={epoch}; loss={1 / (epoch + 1)};")
config = json.loads(pathlib.Path(os.environ["SM_INPUT_CONFIG_DIR"], "hyperparameters.json").read_text())
answer = {"rows": rows, "name": given.name, "hps": json.loads(os.environ["SM_HPS"]), "raw": config["epochs"],
          "hosts": os.environ["SM_HOSTS"], "job": os.environ["TRAINING_JOB_NAME"], "secret": os.environ.get("OF_THE_PARENT")}
pathlib.Path(os.environ["SM_MODEL_DIR"], "model.json").write_text(json.dumps(answer))
pathlib.Path(os.environ["SM_OUTPUT_DATA_DIR"], "curve.txt").write_text("1 0.5 0.33")
"""


def put_code(account: Any, bucket: str, key: str, text: str) -> str:
    account.client("s3").put_object(Bucket=bucket, Key=key, Body=tar_gz({"train.py": text}))
    return key


def channel(name: str, uri: str) -> dict[str, Any]:
    return {"ChannelName": name, "DataSource": {"S3DataSource": {"S3DataType": "S3Prefix", "S3Uri": uri}}}


def members(account: Any, bucket: str, key: str) -> dict[str, bytes]:
    body = account.client("s3").get_object(Bucket=bucket, Key=key)["Body"].read()
    with tarfile.open(fileobj=io.BytesIO(body)) as tar:
        return {m.name: tar.extractfile(m).read() for m in tar if m.isfile()}  # type: ignore[union-attr]


def logged(account: Any, group: str, job: str) -> list[str]:
    logs = account.client("logs")
    streams = logs.describe_log_streams(logGroupName=group, logStreamNamePrefix=f"{job}/algo-1-")["logStreams"]
    names = [stream["logStreamName"] for stream in streams]
    events = [
        logs.get_log_events(logGroupName=group, logStreamName=name, startFromHead=True)["events"] for name in names
    ]
    return [event["message"] for page in events for event in page]


def test_a_training_job_leaves_artefacts_metrics_logs_and_transitions(account, bucket, service, room, monkeypatch):
    monkeypatch.setenv("OF_THE_PARENT", "never in a job")
    account.client("s3").put_object(Bucket=bucket, Key="t1/train/part-0.csv", Body=b"1,2\n")
    metric = {"Name": "loss", "Regex": "loss=([0-9.]+);"}
    request = training("t1", bucket, put_code(account, bucket, "t1/code.tar.gz", TRAIN))
    request["HyperParameters"] |= {"epochs": "3", "name": '"a b"'}
    request["AlgorithmSpecification"]["MetricDefinitions"] = [metric]
    call(service, "CreateTrainingJob", **request, InputDataConfig=[channel("train", f"s3://{bucket}/t1/train")])
    doc = ended(service, "Training", "t1")

    assert (doc["TrainingJobStatus"], doc["SecondaryStatus"], doc.get("FailureReason")) == (
        "Completed",
        "Completed",
        None,
    )
    model = json.loads(members(account, bucket, "models/t1/output/model.tar.gz")["model.json"])
    assert model == {
        "rows": "1,2\n", "name": "a b", "hps": {"epochs": 3, "name": "a b"}, "raw": "3",
        "hosts": '["algo-1"]', "job": "t1", "secret": None,
    }  # fmt: skip
    assert members(account, bucket, "models/t1/output/output.tar.gz") == {"curve.txt": b"1 0.5 0.33"}
    assert doc["ModelArtifacts"]["S3ModelArtifacts"] == f"s3://{bucket}/models/t1/output/model.tar.gz"
    assert doc["FinalMetricDataList"][0]["Value"] == pytest.approx(1 / 3)
    steps = [step["Status"] for step in doc["SecondaryStatusTransitions"]]
    assert steps == ["Starting", "Downloading", "Training", "Uploading", "Completed"]
    assert all("EndTime" in step for step in doc["SecondaryStatusTransitions"])
    assert logged(account, "/aws/sagemaker/TrainingJobs", "t1")[0] == "epoch=0; loss=1.0;"
    kinds = {kind for kind, _ in room.events}
    assert kinds == {"SageMaker Training Job State Change"}
    assert [detail["SecondaryStatus"] for _, detail in room.events] == steps


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        pytest.param(
            "import sys; print('no rows'); sys.exit(3)", 'ErrorMessage "no rows"', id="exit code and last words"
        ),
        pytest.param(
            "import os, pathlib, sys; pathlib.Path(os.environ['SM_OUTPUT_DIR'], 'failure').write_text('loss is NaN'); sys.exit(1)",
            "AlgorithmError: loss is NaN, exit code: 1",
            id="the failure file wins",
        ),
        pytest.param(
            "import os; os.kill(os.getpid(), 9)",
            "Please use an instance type with more memory",
            id="killed: out of memory",
        ),
    ],
)
def test_a_failed_job_says_why(account, bucket, service, text, reason):
    code = put_code(account, bucket, "t2/code.tar.gz", text)
    call(service, "CreateTrainingJob", **training("t2", bucket, code))
    doc = ended(service, "Training", "t2")
    assert doc["TrainingJobStatus"] == "Failed"
    assert reason in doc["FailureReason"]


def test_a_truncated_code_archive_fails_the_job_before_it_runs(account, bucket, service):
    account.client("s3").put_object(
        Bucket=bucket, Key="t3/code.tar.gz", Body=tar_gz({"train.py": "print(1)" * 500})[:60]
    )
    call(service, "CreateTrainingJob", **training("t3", bucket, "t3/code.tar.gz"))
    assert "is no whole tar archive" in ended(service, "Training", "t3")["FailureReason"]


def test_stop_gives_the_program_time_and_still_uploads_the_model(account, bucket, service):
    text = """
import os, pathlib, signal, sys, time
def leave(*_):
    pathlib.Path(os.environ["SM_MODEL_DIR"], "half").write_text("half a model"); sys.exit(0)
signal.signal(signal.SIGTERM, leave)
print("ready"); time.sleep(60)
"""
    call(service, "CreateTrainingJob", **training("t4", bucket, put_code(account, bucket, "t4/code.tar.gz", text)))
    until(lambda: _has_logged(account, "t4", "ready"))
    call(service, "StopTrainingJob", TrainingJobName="t4")
    doc = ended(service, "Training", "t4")
    assert (doc["TrainingJobStatus"], doc["SecondaryStatus"]) == ("Stopped", "Stopped")
    assert members(account, bucket, "models/t4/output/model.tar.gz") == {"half": b"half a model"}


def _has_logged(account: Any, job: str, line: str) -> bool:
    try:
        return line in logged(account, "/aws/sagemaker/TrainingJobs", job)
    except account.client("logs").exceptions.ResourceNotFoundException:
        return False


def test_a_job_that_outlives_its_time_is_stopped_and_says_so(account, bucket, service):
    code = put_code(account, bucket, "t5/code.tar.gz", "import time; time.sleep(60)")
    call(service, "CreateTrainingJob", **training("t5", bucket, code, StoppingCondition={"MaxRuntimeInSeconds": 1}))
    doc = ended(service, "Training", "t5")
    assert (doc["TrainingJobStatus"], doc["SecondaryStatus"]) == ("Stopped", "MaxRuntimeExceeded")


def test_a_name_in_use_is_refused_until_the_job_is_deleted(account, bucket, service):
    request = training("t6", bucket, put_code(account, bucket, "t6/code.tar.gz", "print(1)"))
    call(service, "CreateTrainingJob", **request)
    with pytest.raises(AwsError) as refused:
        call(service, "CreateTrainingJob", **request)
    assert refused.value.code == "ResourceInUse"
    ended(service, "Training", "t6")
    call(service, "DeleteTrainingJob", TrainingJobName="t6")
    call(service, "CreateTrainingJob", **request)
    assert ended(service, "Training", "t6")["TrainingJobStatus"] == "Completed"


def test_a_job_under_way_when_the_account_dies_is_run_again_from_its_checkpoints(account, bucket, room, service):
    text = """
import os, pathlib, time
mark = pathlib.Path(os.environ["SM_MODEL_DIR"], "..", "checkpoints", "step")
if mark.exists():
    pathlib.Path(os.environ["SM_MODEL_DIR"], "resumed").write_text(mark.read_text())
else:
    mark.write_text("7"); print("written"); time.sleep(60)
"""
    call(service, "CreateTrainingJob", **training("t7", bucket, put_code(account, bucket, "t7/code.tar.gz", text)))
    until(lambda: _has_logged(account, "t7", "written"))
    service.stop()
    again = SageMakerService(OwnFolder(account, room.state_dir))
    again.start()
    try:
        doc = ended(again, "Training", "t7")
    finally:
        again.stop()
    assert doc["TrainingJobStatus"] == "Completed"
    assert "Restarting" in [step["Status"] for step in doc["SecondaryStatusTransitions"]]
    assert members(account, bucket, "models/t7/output/model.tar.gz") == {"resumed": b"7"}


def test_checkpoints_travel_to_s3_and_back(account, bucket, service):
    text = """
import os, pathlib
seen = sorted(p.name for p in pathlib.Path(os.environ["SM_MODEL_DIR"], "..", "checkpoints").iterdir())
pathlib.Path(os.environ["SM_MODEL_DIR"], "seen").write_text(" ".join(seen))
pathlib.Path(os.environ["SM_MODEL_DIR"], "..", "checkpoints", "new").write_text("1")
"""
    account.client("s3").put_object(Bucket=bucket, Key="t8/checkpoints/old", Body=b"0")
    code = put_code(account, bucket, "t8/code.tar.gz", text)
    call(
        service,
        "CreateTrainingJob",
        **training("t8", bucket, code, CheckpointConfig={"S3Uri": f"s3://{bucket}/t8/checkpoints"}),
    )
    ended(service, "Training", "t8")
    assert members(account, bucket, "models/t8/output/model.tar.gz") == {"seen": b"old"}
    keys = [
        row["Key"] for row in account.client("s3").list_objects_v2(Bucket=bucket, Prefix="t8/checkpoints/")["Contents"]
    ]
    assert keys == ["t8/checkpoints/new", "t8/checkpoints/old"]


def test_jobs_beyond_the_limit_wait_and_one_that_waits_can_be_stopped(account, bucket, tmp_path):
    narrow = SageMakerService(OwnFolder(account, tmp_path / "narrow"), jobs_at_once=1)
    narrow.start()
    try:
        slow = training("t9-slow", bucket, put_code(account, bucket, "t9/slow.tar.gz", "import time; time.sleep(60)"))
        call(narrow, "CreateTrainingJob", **slow)
        call(narrow, "CreateTrainingJob", **training("t9-waits", bucket, "t9/slow.tar.gz"))
        until(lambda: call(narrow, "DescribeTrainingJob", TrainingJobName="t9-slow")["SecondaryStatus"] == "Training")
        assert call(narrow, "DescribeTrainingJob", TrainingJobName="t9-waits")["SecondaryStatus"] == "Starting"
        call(narrow, "StopTrainingJob", TrainingJobName="t9-waits")
        assert ended(narrow, "Training", "t9-waits")["TrainingJobStatus"] == "Stopped"
    finally:
        narrow.stop()


def test_an_unknown_prefix_is_refused_at_once(bucket, service):
    request = training("t10", bucket, "t10/none.tar.gz", InputDataConfig=[channel("train", f"s3://{bucket}/nothing/")])
    with pytest.raises(AwsError, match="No S3 objects found under S3 URL"):
        call(service, "CreateTrainingJob", **request)


def test_boto3_runs_a_job_over_the_wire(account, bucket):
    client = account.client("sagemaker")
    code = put_code(account, bucket, "t11/code.tar.gz", "print('over the wire')")
    client.create_training_job(**training("t11-wire", bucket, code))
    client.get_waiter("training_job_completed_or_stopped").wait(TrainingJobName="t11-wire", WaiterConfig={"Delay": 1})
    names = [row["TrainingJobName"] for row in client.list_training_jobs(NameContains="t11")["TrainingJobSummaries"]]
    assert names == ["t11-wire"]


def test_a_program_that_says_opt_ml_itself_gets_it(account, bucket, service):
    text = "import pathlib; pathlib.Path('/opt/ml/model/literal').write_text(pathlib.Path('/opt/ml/input/config/resourceconfig.json').name)"
    call(service, "CreateTrainingJob", **training("t12", bucket, put_code(account, bucket, "t12/code.tar.gz", text)))
    doc = ended(service, "Training", "t12")
    if doc["TrainingJobStatus"] == "Failed":  # not root, or not Linux: said so
        assert "names /opt/ml itself" in doc["FailureReason"]
    else:
        assert members(account, bucket, "models/t12/output/model.tar.gz") == {"literal": b"resourceconfig.json"}


def test_describe_gives_only_what_the_api_has(account, bucket, service, room):
    from local_account.sagemaker.shapes import output_members

    call(
        service,
        "CreateTrainingJob",
        **training("t13", bucket, put_code(account, bucket, "t13/code.tar.gz", "print(1)")),
    )
    assert set(ended(service, "Training", "t13")) <= output_members("DescribeTrainingJob")
