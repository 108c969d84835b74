"""Both endpoints made to hold exactly the releases they must. Every name is made of its content, so each step may be repeated."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from understudy.adapters.endpoint_plan import Hosting, Model, capture, config_name, wanted_variants
from understudy.adapters.work import split_s3
from understudy.contracts.rollout import AskedEndpoint
from understudy.errors import InvalidInput, NotReady, SlotChanged

CHANGING = {"Creating", "Updating", "SystemUpdating", "RollingBack", "Deleting"}
TORN = "UpdateRollbackFailed"  # part of the fleet has the one configuration, part the other; another update mends it


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


def ensure_model(sagemaker: Any, model: Model, hosting: Hosting) -> None:
    """The model, made unless it is there.

    Raises
    ------
    InvalidInput
        The name is taken by other data.
    """
    container = {"Image": hosting.image, "ModelDataUrl": model.model_s3}
    if _make(
        sagemaker.create_model,
        ModelName=model.name,
        ExecutionRoleArn=hosting.role_arn,
        PrimaryContainer=container,
    ):
        return
    there = sagemaker.describe_model(ModelName=model.name)["PrimaryContainer"].get("ModelDataUrl")
    if there != model.model_s3:
        raise InvalidInput(f"model {model.name} holds {there}", f"{model.model_s3}, as registered")


def match_endpoint(sagemaker: Any, endpoint: str, models: Mapping[str, str], hosting: Hosting) -> AskedEndpoint:
    """Bring one endpoint to exactly these variants (slot -> model name); counts and weights stay as they are.

    Raises
    ------
    NotReady
        The endpoint is on its way to something else.
    SlotChanged
        It has failed, and can only be deleted.
    InvalidInput
        The configuration's name is taken by other content.
    """
    described = describe(sagemaker, endpoint)
    running = [] if described is None else _running_variants(sagemaker, described)
    variants = wanted_variants(running, models, hosting)
    config = config_name(endpoint, variants, hosting)
    if described is None:
        _ensure_config(sagemaker, config, variants, hosting)
        _make(sagemaker.create_endpoint, EndpointName=endpoint, EndpointConfigName=config)
    elif _goes_to(described) != config or described["EndpointStatus"] == TORN:
        if described["EndpointStatus"] in CHANGING:
            raise NotReady(f"endpoint {endpoint} is {described['EndpointStatus']} towards {_goes_to(described)} and")
        if described["EndpointStatus"] == "Failed":
            raise SlotChanged(endpoint, f"is Failed ({described.get('FailureReason', 'no reason given')})", config)
        _ensure_config(sagemaker, config, variants, hosting)
        _update(sagemaker, EndpointName=endpoint, EndpointConfigName=config, RetainAllVariantProperties=True)
    return AskedEndpoint(endpoint=endpoint, config=config)


def describe(sagemaker: Any, endpoint: str) -> dict[str, Any] | None:
    """DescribeEndpoint's answer; None where there is no such endpoint."""
    try:
        found: dict[str, Any] = sagemaker.describe_endpoint(EndpointName=endpoint)
    except ClientError as error:
        if "Could not find" in error.response["Error"]["Message"]:
            return None
        raise
    return found


def _running_variants(sagemaker: Any, described: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Rows of the configuration that the endpoint runs; none if somebody deleted it (then they are made anew)."""
    try:
        config = sagemaker.describe_endpoint_config(EndpointConfigName=described["EndpointConfigName"])
    except ClientError as error:
        if "Could not find" not in error.response["Error"]["Message"]:
            raise
        return []
    rows: list[dict[str, Any]] = config["ProductionVariants"]
    return rows


def _goes_to(described: Mapping[str, Any]) -> str:
    pending = described.get("PendingDeploymentSummary") or {}
    return str(pending.get("EndpointConfigName") or described["EndpointConfigName"])


def _ensure_config(sagemaker: Any, name: str, variants: list[dict[str, Any]], hosting: Hosting) -> None:
    """The configuration under its content's name: the same content is reused, other content under that name is refused."""
    wanted = {"ProductionVariants": variants, "DataCaptureConfig": capture(hosting)}
    if _make(sagemaker.create_endpoint_config, EndpointConfigName=name, **wanted):
        return
    there = sagemaker.describe_endpoint_config(EndpointConfigName=name)
    if not _holds(there, wanted):
        raise InvalidInput(f"endpoint configuration {name} has other content", "the content its name is made of")


def _holds(there: Any, wanted: Any) -> bool:
    """Whether all that is wanted is there; SageMaker adds members of its own."""
    if isinstance(wanted, dict):
        return isinstance(there, dict) and all(_holds(there.get(key), value) for key, value in wanted.items())
    if isinstance(wanted, list):
        return isinstance(there, list) and len(there) == len(wanted) and all(map(_holds, there, wanted))
    return bool(there == wanted)


def _make(create: Any, **arguments: Any) -> bool:
    """Whether it was made now; False when the name is in use."""
    try:
        create(**arguments)
    except ClientError as error:
        if "already exist" not in error.response["Error"]["Message"]:
            raise
        return False
    return True


def _update(sagemaker: Any, **arguments: Any) -> None:
    """UpdateEndpoint, unless another update came between looking and asking."""
    try:
        sagemaker.update_endpoint(**arguments)
    except ClientError as error:
        raise_if_busy(error, arguments["EndpointName"])
        raise


def raise_if_busy(error: ClientError, endpoint: str) -> None:
    """NotReady, if SageMaker refuses because the endpoint is changing."""
    message = error.response["Error"]["Message"]
    if "in-progress" in message or "Cannot update" in message:
        raise NotReady(f"endpoint {endpoint} ({message})") from None


def check_in_service(sagemaker: Any, asked: AskedEndpoint) -> None:
    """Return once the endpoint serves the very configuration that was asked for, with the instances that were asked for.

    Raises
    ------
    NotReady
        It is still changing.
    SlotChanged
        It ended in another state, or InService with another configuration: an update can end so, with a FailureReason.
    """
    described = sagemaker.describe_endpoint(EndpointName=asked.endpoint)
    status = described["EndpointStatus"]
    if status in CHANGING:
        raise NotReady(f"endpoint {asked.endpoint} is {status} and")
    if status != "InService" or described["EndpointConfigName"] != asked.config:
        why = described.get("FailureReason", "no reason given")
        raise SlotChanged(asked.endpoint, f"is {status} with {described['EndpointConfigName']} ({why})", asked.config)
    counts = {row["VariantName"]: row.get("CurrentInstanceCount", 0) for row in described.get("ProductionVariants", [])}
    short = {slot: count for slot, count in asked.counts.items() if counts.get(slot, 0) < count}
    if short:
        raise NotReady(f"endpoint {asked.endpoint} has {counts} instances of {asked.counts} and")
