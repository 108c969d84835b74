"""A release's two models in one slot of both endpoints. Every name is made of its content, so each step may be repeated."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import ClientError

from understudy.adapters.work import split_s3
from understudy.contracts.rollout import AskedEndpoint
from understudy.errors import InvalidInput, NotReady

CHANGING = {"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}


@dataclass(frozen=True, slots=True)
class EndpointPlan:
    """What one endpoint is to become: one variant, in the release's slot."""

    endpoint: str
    slot: str
    model: str
    image: str
    model_s3: str
    role_arn: str
    instance_type: str
    capture_s3_uri: str

    def variant(self) -> dict[str, Any]:
        return {
            "VariantName": self.slot,
            "ModelName": self.model,
            "InstanceType": self.instance_type,
            "InitialInstanceCount": 1,
            "InitialVariantWeight": 1.0,
        }

    def capture(self) -> dict[str, Any]:
        """Must be in every new configuration, or capture stops."""
        return {
            "EnableCapture": True,
            "InitialSamplingPercentage": 100,
            "DestinationS3Uri": self.capture_s3_uri,
            "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
            "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
        }

    def config_name(self) -> str:
        """The same content has the same name, so a clash is the very configuration that is wanted."""
        content = json.dumps([self.variant(), self.capture()], sort_keys=True)
        return f"{self.endpoint}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"


def check_artefact(s3: Any, uri: str, digest: str) -> None:
    """Refuse a model that is not the one which was registered.

    Raises
    ------
    InvalidInput
        The archive is missing, truncated or altered.
    """
    bucket, key = split_s3(uri)
    hasher = hashlib.sha256()
    for chunk in s3.get_object(Bucket=bucket, Key=key)["Body"].iter_chunks(1024 * 1024):
        hasher.update(chunk)
    if hasher.hexdigest() != digest:
        raise InvalidInput(
            f"{uri} has sha256 {hasher.hexdigest()}", f"{digest}, as registered; the artefact was truncated or altered"
        )


def ask_for(sagemaker: Any, plan: EndpointPlan) -> AskedEndpoint:
    """Model, configuration and endpoint, each made unless it is there.

    Raises
    ------
    NotReady
        The endpoint is changing, or runs another configuration, which only a rollout may replace.
    """
    _make(
        sagemaker.create_model,
        ModelName=plan.model,
        ExecutionRoleArn=plan.role_arn,
        PrimaryContainer={"Image": plan.image, "ModelDataUrl": plan.model_s3},
    )
    config = plan.config_name()
    _make(
        sagemaker.create_endpoint_config,
        EndpointConfigName=config,
        ProductionVariants=[plan.variant()],
        DataCaptureConfig=plan.capture(),
    )
    _make(sagemaker.create_endpoint, EndpointName=plan.endpoint, EndpointConfigName=config)
    described = sagemaker.describe_endpoint(EndpointName=plan.endpoint)
    if described.get("EndpointConfigName", config) != config:
        raise NotReady(
            f"endpoint {plan.endpoint} runs {described['EndpointConfigName']}, {described['EndpointStatus']}; it"
        )
    return AskedEndpoint(endpoint=plan.endpoint, config=config)


def _make(create: Any, **arguments: Any) -> None:
    try:
        create(**arguments)
    except ClientError as error:
        if "already exist" not in error.response["Error"]["Message"]:
            raise


def check_in_service(sagemaker: Any, asked: AskedEndpoint) -> None:
    """Return once the endpoint serves the very configuration that was asked for.

    Raises
    ------
    NotReady
        It is still changing.
    InvalidInput
        It ended in another state, or InService with another configuration: an update can end so, with a FailureReason.
    """
    described = sagemaker.describe_endpoint(EndpointName=asked.endpoint)
    status = described["EndpointStatus"]
    if status in CHANGING:
        raise NotReady(f"endpoint {asked.endpoint} is {status} and")
    if status != "InService" or described["EndpointConfigName"] != asked.config:
        why = described.get("FailureReason", "no reason given")
        raise InvalidInput(
            f"endpoint {asked.endpoint} is {status} with {described['EndpointConfigName']} ({why})",
            f"InService with {asked.config}",
        )
