"""What a call of an endpoint costs beyond the model: CPU in the account's room, the endpoint's server and the worker, and its latency.

The model answers at once, so all there is is the two hops. The peer is the same body over the same worker's port, asked directly.
"""

from __future__ import annotations

import http.client
import io
import json
import tarfile
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

GOAL_MS = 1.5
CALLS = 2_000
_ROLE = "arn:aws:iam::123456789012:role/bench"
_BUCKET = "bench-invoke"
_MODEL = """
import os
def model_fn(model_dir): return os.environ["SAGEMAKER_BIND_TO_PORT"]
def input_fn(body, content_type): return body
def predict_fn(data, model): return model
def output_fn(prediction, accept): return f"{os.getpid()} {prediction}", "text/plain"
"""


def measure() -> dict[str, Any]:
    """An endpoint of one variant with capture of every call, called in this process without the front door."""
    from local_account.front_door.local import LocalAccount

    with tempfile.TemporaryDirectory() as folder:
        account = LocalAccount(Path(folder))
        account.start()
        try:
            return _measure(account)
        finally:
            account.stop()


def _measure(account: Any) -> dict[str, Any]:
    _prepare(account)
    service = account.service("sagemaker")
    pid, port = map(int, _invoke(service, b"1").split())
    worker = psutil.Process(pid)
    processes = [psutil.Process(), worker.parent(), worker]
    rows = {}
    for name, body in (("3 bytes", b"1,2"), ("36 kB, as 200 rows", b"0.1234567," * 3_600)):
        rows[name] = _run(processes, lambda body=body: _invoke(service, body))
    connection = http.client.HTTPConnection("127.0.0.1", port)
    rows["3 bytes, asked of the worker directly"] = _run(processes, lambda: _direct(connection, b"1,2"))
    print(f"{'':40}{'p50 ms':>8}{'p99 ms':>8}{'CPU ms: room':>14}{'server':>8}{'worker':>8}")  # noqa: T201
    for name, (p50, p99, *cpu) in rows.items():
        print(f"{name:40}{p50:8.2f}{p99:8.2f}{cpu[0]:14.2f}{cpu[1]:8.2f}{cpu[2]:8.2f}")  # noqa: T201
    value, peer = sum(rows["3 bytes"][2:]), sum(rows["3 bytes, asked of the worker directly"][2:])
    return {
        "value": value,
        "unit": "ms CPU a call",
        "peer": peer,
        "ratio": value / peer,
        "goal": GOAL_MS,
        "holds": value <= GOAL_MS,
    }


def _prepare(account: Any) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "sagemaker.amazonaws.com"}, "Action": "sts:AssumeRole"}
    rights = {"Effect": "Allow", "Action": "s3:*", "Resource": "*"}
    iam, s3, sagemaker = (account.client(name) for name in ("iam", "s3", "sagemaker"))
    iam.create_role(RoleName="bench", AssumeRolePolicyDocument=_policy(trust))
    iam.put_role_policy(RoleName="bench", PolicyName="s3", PolicyDocument=_policy(rights))
    s3.create_bucket(Bucket=_BUCKET)
    s3.put_object(Bucket=_BUCKET, Key="model.tar.gz", Body=_archive())
    container = {"Image": "none", "ModelDataUrl": f"s3://{_BUCKET}/model.tar.gz"}
    sagemaker.create_model(ModelName="bench", ExecutionRoleArn=_ROLE, PrimaryContainer=container)
    capture = {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": f"s3://{_BUCKET}/capture",
        "CaptureOptions": [{"CaptureMode": "InputAndOutput"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"]},
    }
    variant = {"VariantName": "blue", "ModelName": "bench", "InstanceType": "ml.m5.large", "InitialInstanceCount": 1}
    sagemaker.create_endpoint_config(
        EndpointConfigName="bench", ProductionVariants=[variant], DataCaptureConfig=capture
    )
    sagemaker.create_endpoint(EndpointName="bench", EndpointConfigName="bench")
    while (status := sagemaker.describe_endpoint(EndpointName="bench")["EndpointStatus"]) != "InService":
        assert status == "Creating", status
        time.sleep(0.1)


def _policy(statement: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def _archive() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        info = tarfile.TarInfo("code/inference.py")
        info.size = len(_MODEL)
        tar.addfile(info, io.BytesIO(_MODEL.encode()))
    return buffer.getvalue()


def _invoke(service: Any, body: bytes) -> bytes:
    from local_account.wire import Principal, Request

    path, headers = "/endpoints/bench/invocations", {"content-type": "text/csv"}
    operator = Principal("arn:aws:iam::123456789012:user/operator")
    answer: bytes = service.handle(
        Request("POST", path, path, {}, headers, body, "sagemaker", "InvokeEndpoint", operator)
    ).body
    return answer


def _direct(connection: http.client.HTTPConnection, body: bytes) -> bytes:
    connection.request("POST", "/invocations", body, {"content-type": "text/csv"})
    return connection.getresponse().read()


def _run(processes: list[psutil.Process], call: Any) -> list[float]:
    """p50 and p99 of a call in ms, then its CPU in each process in ms."""
    for _ in range(200):
        call()
    before, took = [_cpu(process) for process in processes], []
    for _ in range(CALLS):
        began = time.perf_counter()
        call()
        took.append(time.perf_counter() - began)
    took.sort()
    cpu = [(_cpu(process) - start) / CALLS * 1e3 for process, start in zip(processes, before, strict=True)]
    return [took[CALLS // 2] * 1e3, took[int(CALLS * 0.99)] * 1e3, *cpu]


def _cpu(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


if __name__ == "__main__":
    print(measure())  # noqa: T201
