"""What an endpoint is to become: its variants as a configuration whose name is made of its content."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from understudy.contracts.release import ReleaseRecord
from understudy.contracts.traffic import Standing, Traffic


@dataclass(frozen=True, slots=True)
class Hosting:
    """What every variant of this stack has in common."""

    role_arn: str
    image: str
    instance_type: str
    capture_s3_uri: str


@dataclass(frozen=True, slots=True)
class Model:
    """One of a release's two models, as the endpoint holds it."""

    name: str  # `<endpoint>-<release>`
    model_s3: str
    package_arn: str


def standings(traffic: Traffic | None, coming: Standing | None) -> list[Standing]:
    """Every release that must have a variant: what traffic names, and what comes."""
    named = [] if traffic is None else [traffic.champion, traffic.candidate, traffic.previous]
    found: list[Standing] = []
    for one in [*named, coming]:
        if one is not None and one not in found:
            found.append(one)
    return found


def models_of(record: ReleaseRecord, two_tower_endpoint: str, ranker_endpoint: str) -> dict[str, Model]:
    """A release's model by endpoint."""
    parts = {
        two_tower_endpoint: (record.two_tower_model_s3, record.two_tower_package_arn),
        ranker_endpoint: (record.ranker_model_s3, record.ranker_package_arn),
    }
    return {
        endpoint: Model(f"{endpoint}-{record.release_id}", uri, str(package))
        for endpoint, (uri, package) in parts.items()
    }


def variant(slot: str, model: str, hosting: Hosting) -> dict[str, Any]:
    """A new variant: one instance that nobody is routed to; capacity is raised before each stage."""
    return {
        "VariantName": slot,
        "ModelName": model,
        "InstanceType": hosting.instance_type,
        "InitialInstanceCount": 1,
        "InitialVariantWeight": 0.0,
    }


def capture(hosting: Hosting) -> dict[str, Any]:
    """Must be in every new configuration, or capture stops."""
    return {
        "EnableCapture": True,
        "InitialSamplingPercentage": 100,
        "DestinationS3Uri": hosting.capture_s3_uri,
        "CaptureOptions": [{"CaptureMode": "Input"}, {"CaptureMode": "Output"}],
        "CaptureContentTypeHeader": {"CsvContentTypes": ["text/csv"], "JsonContentTypes": ["application/json"]},
    }


def wanted_variants(
    running: Iterable[Mapping[str, Any]], models: Mapping[str, str], hosting: Hosting
) -> list[dict[str, Any]]:
    """Variants by slot for `models` (slot -> model name). One that holds its model already stays as it is."""
    kept = {row["VariantName"]: dict(row) for row in running if models.get(row["VariantName"]) == row["ModelName"]}
    rows = [kept.get(slot) or variant(slot, name, hosting) for slot, name in sorted(models.items())]
    if all(row["InitialVariantWeight"] == 0 for row in rows):  # SageMaker wants somebody to route to
        rows[0] = {**rows[0], "InitialVariantWeight": 1.0}
    return rows


def config_name(endpoint: str, variants: list[dict[str, Any]], hosting: Hosting) -> str:
    """The same content has the same name, so a clash is the very configuration that is wanted."""
    content = json.dumps([variants, capture(hosting)], sort_keys=True)
    return f"{endpoint}-{hashlib.sha256(content.encode()).hexdigest()[:12]}"
