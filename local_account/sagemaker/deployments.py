"""What an endpoint runs: a configuration with its models resolved, as it was when it was asked for.

A deployment stands on its own: deleting its configuration or models later changes nothing for it.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from local_account.account import Account
from local_account.sagemaker import opt_ml
from local_account.sagemaker.archives import BadArchive, unpack
from local_account.sagemaker.endpoint_configs import EndpointConfigs
from local_account.sagemaker.errors import JobFailed, not_found
from local_account.sagemaker.models import model_uri
from local_account.sagemaker.room import Answer, Room
from local_account.sagemaker.s3_data import download, fetch, list_prefix
from local_account.wire import AwsError

READY_LIMIT_S = 60.0  # AWS gives several minutes; a worker here starts in seconds or never

Deployment = dict[str, Any]
Variant = dict[str, Any]


def deployment_of(room: Room, configs: EndpointConfigs, config_name: str, generation: int) -> Deployment:
    """Resolve a configuration; every variant gets a worker of its own, named after the generation."""
    config = configs.get(config_name)
    capture = config.get("DataCaptureConfig")
    return {
        "config": config_name,
        "capture": capture if capture and capture.get("EnableCapture") else None,
        "variants": [_variant(room, row, generation) for row in config["ProductionVariants"]],
    }


def _variant(room: Room, row: Answer, generation: int) -> Variant:
    return {
        **variant_of(room, row["ModelName"]),
        "name": row["VariantName"],
        "worker": f"{row['VariantName']}-{generation}",
        "weight": row["InitialVariantWeight"],
        "count": row["InitialInstanceCount"],
        "ready_limit_s": row.get("ContainerStartupHealthCheckTimeoutInSeconds", READY_LIMIT_S),
    }


def variant_of(room: Room, model_name: str) -> Variant:
    """A model as it is now: data, role, environment, and a signature that changes with any of them."""
    model = room.records.get("model", model_name)
    if model is None:
        raise not_found("model", "model", model_name)
    container = model["PrimaryContainer"]
    facts = {
        "model": model["ModelName"],
        "created": model["CreationTime"],
        "uri": model_uri(room, container),
        "role": model["ExecutionRoleArn"],
        "environment": container.get("Environment", {}),
        "image": container.get("Image", ""),
    }
    signature = hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()
    return {**facts, "name": "AllTraffic", "signature": signature}


def keep_untouched(new: Deployment, old: Deployment) -> Deployment:
    """The new deployment, in which a variant that is the same model as before keeps its worker."""
    running = {variant["name"]: variant for variant in old["variants"]}

    def kept(variant: Variant) -> Variant:
        before = running.get(variant["name"])
        same = before is not None and before["signature"] == variant["signature"]
        return {**variant, "worker": before["worker"]} if same and before is not None else variant

    return {**new, "variants": [kept(variant) for variant in new["variants"]]}


def keep_properties(new: Deployment, old: Deployment, excluded: frozenset[str]) -> Deployment:
    """`RetainAllVariantProperties`: weights and counts as they are now, unless excluded."""
    running = {variant["name"]: variant for variant in old["variants"]}
    members = [
        m for m, name in (("weight", "DesiredWeight"), ("count", "DesiredInstanceCount")) if name not in excluded
    ]

    def kept(variant: Variant) -> Variant:
        before = running.get(variant["name"], variant)
        return {**variant, **{member: before[member] for member in members}}

    return {**new, "variants": [kept(variant) for variant in new["variants"]]}


def place_model(room: Room, variant: Variant, folder: Path) -> Path:
    """Fetch and unpack a variant's model, once; the model's folder.

    Raises
    ------
    JobFailed
        With the sentence for the endpoint's FailureReason.
    """
    model = folder / "opt" / "ml" / "model"
    done = folder / "complete"
    if done.exists():
        return model
    try:
        s3 = room.s3(variant["role"])
        if variant["uri"].endswith("/"):
            download(s3, list_prefix(s3, variant["uri"]), model)
        else:
            archive = fetch(s3, variant["uri"], folder / "model.tar.gz")
            unpack(archive, model)
            archive.unlink()
    except (JobFailed, BadArchive, AwsError) as error:
        raise JobFailed(
            f'Failed to download model data for container "container_1" from URL: "{variant["uri"]}". Please ensure that there is '
            "an object located at the URL and that the role passed to CreateModel has permissions to download the object. "
            f"({error})"
        ) from None
    program = str(variant["environment"].get("SAGEMAKER_PROGRAM", "inference.py"))
    if not (model / "code" / program).is_file():
        raise JobFailed(f'The model data of variant {variant["name"]} at "{variant["uri"]}" has no code/{program}.')
    done.touch()
    return model


def worker_environment(account: Account, endpoint: str, variant: Variant, model: Path) -> dict[str, str]:
    """What the worker finds: its role's credentials, its code on the path, and the model's own variables."""
    given = {key: opt_ml.rewrite(value, model.parent) for key, value in variant["environment"].items()}
    return {
        **account.child_environment(account.credentials_for(variant["role"], "SageMaker")),
        "PYTHONUNBUFFERED": "1",
        "PYTHONPATH": str(model / "code"),
        "SM_MODEL_DIR": str(model),
        # One thread infers; libraries that start as many as there are cores would fight each other over them.
        "OMP_NUM_THREADS": "1",
        "SAGEMAKER_ENDPOINT_NAME": endpoint,
        "SAGEMAKER_VARIANT_NAME": variant["name"],
        **given,
    }
