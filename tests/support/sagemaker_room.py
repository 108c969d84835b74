"""A SageMaker service of a test's own on the shared account: its own folder, its events kept, jobs and archives in a few words."""

from __future__ import annotations

import io
import json
import tarfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from local_account.sagemaker.service import SageMakerService
from local_account.wire import Principal, Request

ROLE = "arn:aws:iam::123456789012:role/sagemaker-tests"
IMAGE = "123456789012.dkr.ecr.us-east-1.amazonaws.com/none:latest"
OPERATOR = Principal("arn:aws:iam::123456789012:user/operator")


class OwnFolder:
    """The shared account with another state folder; keeps what is emitted and counted, and delivers it too."""

    def __init__(self, account: Any, state_dir: Path) -> None:
        self._account, self.state_dir = account, state_dir
        self.events: list[tuple[str, dict[str, Any]]] = []
        self.counted: list[tuple[str, str, float, dict[str, str]]] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._account, name)

    def emit(self, source: str, detail_type: str, detail: dict[str, Any], resources: Any = ()) -> None:
        self.events.append((detail_type, detail))

    def count(self, namespace: str, metric: str, value: float, unit: str, dimensions: dict[str, str]) -> None:
        self.counted.append((namespace, metric, value, dimensions))


def call(service: SageMakerService, action: str, **params: Any) -> dict[str, Any]:
    request = Request("POST", "/", "/", {}, {}, json.dumps(params).encode(), "sagemaker", action, OPERATOR)
    answer: dict[str, Any] = json.loads(service.handle(request).body)
    return answer


def invoke(
    service: SageMakerService, endpoint: str, body: bytes, content_type: str = "text/csv", **headers: str
) -> Any:
    """InvokeEndpoint as the front door hands it on; headers by their short names, `TargetVariant="blue"`."""
    names = {"TargetVariant": "target-variant", "InferenceId": "inference-id", "CustomAttributes": "custom-attributes"}
    given = {f"x-amzn-sagemaker-{names[key]}": value for key, value in headers.items()}
    path = f"/endpoints/{endpoint}/invocations"
    request = Request(
        "POST", path, path, {}, {"content-type": content_type, **given}, body, "sagemaker", "InvokeEndpoint", OPERATOR
    )
    return service.handle(request)


def tar_gz(files: Mapping[str, str]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def until(condition: Callable[[], Any], patience_s: float = 30.0) -> Any:
    """Wait for something that must come about; its value, or a failed test."""
    deadline = time.monotonic() + patience_s
    while not (value := condition()):
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)
    return value


def ended(service: SageMakerService, word: str, name: str) -> dict[str, Any]:
    """A job's description once it has ended."""

    def look() -> dict[str, Any] | None:
        doc = call(service, f"Describe{word}Job", **{f"{word}JobName": name})
        return doc if doc[f"{word}JobStatus"] in ("Completed", "Failed", "Stopped") else None

    found: dict[str, Any] = until(look)
    return found


def training(name: str, bucket: str, code: str, **more: Any) -> dict[str, Any]:
    """A CreateTrainingJob request in script mode; `code` is the key of its archive."""
    return {
        "TrainingJobName": name,
        "RoleArn": ROLE,
        "AlgorithmSpecification": {"TrainingImage": IMAGE, "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": f"s3://{bucket}/models"},
        "ResourceConfig": {"InstanceType": "ml.m5.large", "InstanceCount": 1, "VolumeSizeInGB": 1},
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
        **more,
        "HyperParameters": {
            "sagemaker_program": '"train.py"',
            "sagemaker_submit_directory": json.dumps(f"s3://{bucket}/{code}"),
            **more.get("HyperParameters", {}),
        },
    }


def processing(name: str, arguments: list[str], **more: Any) -> dict[str, Any]:
    return {
        "ProcessingJobName": name,
        "RoleArn": ROLE,
        "AppSpecification": {"ImageUri": IMAGE, "ContainerEntrypoint": ["python3", *arguments]},
        "ProcessingResources": {
            "ClusterConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1}
        },
        **more,
    }


def s3_input(name: str, uri: str, **more: Any) -> dict[str, Any]:
    path = f"/opt/ml/processing/input/{name}"
    return {
        "InputName": name,
        "S3Input": {"S3Uri": uri, "LocalPath": path, "S3DataType": "S3Prefix", "S3InputMode": "File", **more},
    }


INFERENCE = """
import json, os, sys, time
def model_fn(model_dir):
    text = open(os.path.join(model_dir, "name")).read()
    if text == "broken":
        raise RuntimeError("no such weights")
    print("loaded", text, flush=True)
    return text
def input_fn(body, content_type):
    if content_type != "text/csv":
        raise ValueError(f"content type is {content_type!r}; expected text/csv")
    return body.decode()
def predict_fn(data, model):
    if data == "boom":
        raise KeyError("boom")
    if data == "die":
        os._exit(3)
    return {"model": model, "echo": data, "pid": os.getpid()}
def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""


def put_model(service: SageMakerService, account: Any, bucket: str, name: str) -> str:
    """A model whose answers carry its name; one called `broken` cannot load."""
    key = f"models/{name}/model.tar.gz"
    text = "broken" if name.startswith("broken") else name
    account.client("s3").put_object(Bucket=bucket, Key=key, Body=tar_gz({"name": text, "code/inference.py": INFERENCE}))
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{bucket}/{key}"}
    call(service, "CreateModel", ModelName=name, ExecutionRoleArn=ROLE, PrimaryContainer=container)
    return name


def put_config(service: SageMakerService, name: str, models: Mapping[str, str], **more: Any) -> str:
    """An endpoint configuration; `models` is variant -> model, all of weight 1."""
    rows = [
        {
            "VariantName": v,
            "ModelName": m,
            "InstanceType": "ml.m5.large",
            "InitialInstanceCount": 1,
            "InitialVariantWeight": 1.0,
        }
        for v, m in models.items()
    ]
    call(service, "CreateEndpointConfig", EndpointConfigName=name, ProductionVariants=rows, **more)
    return name


def settled(service: SageMakerService, endpoint: str) -> dict[str, Any]:
    """An endpoint's description once it is InService or Failed."""

    def look() -> dict[str, Any] | None:
        doc = call(service, "DescribeEndpoint", EndpointName=endpoint)
        return doc if doc["EndpointStatus"] in ("InService", "Failed", "OutOfService") else None

    found: dict[str, Any] = until(look)
    return found
