"""Releases without a night: models of a few lines that answer as the real containers do, an index of a few items, a record."""

from __future__ import annotations

import hashlib
import math
from datetime import UTC, datetime, timedelta
from typing import Any

from cli.site import Site
from item_index.schema import index_body
from support.releases import release
from support.sagemaker_room import tar_gz
from understudy.adapters.aws_items import to_item

ITEMS = 30
TWO_TOWER = """
import json
def model_fn(model_dir):
    return {"tower_id": TOWER_ID}
def input_fn(body, content_type):
    return json.loads(body)["users"]
def predict_fn(users, model):
    return {"tower_id": model["tower_id"], "vectors": [[0.125] * 64 for _ in users]}
def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""
RANKER = """
import json
def model_fn(model_dir):
    return RANKER_ID
def input_fn(body, content_type):
    return (body.decode() if isinstance(body, bytes) else body).splitlines()
def predict_fn(rows, ranker_id):
    return {"ranker_id": ranker_id, "scores": [1 / (2 + place) for place in range(len(rows))]}
def output_fn(prediction, accept):
    return json.dumps(prediction), "application/json"
"""


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def put_release(site: Site, release_id: str, *, age_s: float = 0.0) -> None:
    """Models in the artifact bucket, packages pending, index built, record registered: as after `register_release`."""
    bucket, tower_id, ranker_id = site.outputs["ArtifactBucket"], digest(f"t{release_id}"), digest(f"k{release_id}")
    codes = {
        "two_tower": f'TOWER_ID = "{tower_id}"\n{TWO_TOWER}',
        "ranker": f'RANKER_ID = "{ranker_id}"\n{RANKER}',
    }
    fields: dict[str, Any] = {"tower_id": tower_id, "ranker_id": ranker_id}
    for kind, code in codes.items():
        body, key = tar_gz({"code/inference.py": code}), f"work/{kind}/{release_id}/j/output/model.tar.gz"
        site.client("s3").put_object(Bucket=bucket, Key=key, Body=body)
        fields[f"{kind}_model_s3"] = f"s3://{bucket}/{key}"
        fields[f"{kind}_package_arn"] = _package(site, release_id, kind, body, fields[f"{kind}_model_s3"])
    record = release(release_id, created_at=datetime.now(UTC) - timedelta(seconds=age_s), status="pending", **fields)
    _put_index(site, record.index, record.tower_id)
    item = to_item(record.model_dump(mode="json"))
    site.client("dynamodb").put_item(TableName=site.outputs["ReleasesTable"], Item=item)


def approve_release(site: Site, release_id: str) -> None:
    """As a person does in the registry, or `register_release` with Approval=auto."""
    item = site.client("dynamodb").get_item(
        TableName=site.outputs["ReleasesTable"], Key=to_item({"release_id": release_id})
    )["Item"]
    for kind in ("two_tower", "ranker"):
        site.client("sagemaker").update_model_package(
            ModelPackageArn=item[f"{kind}_package_arn"]["S"], ModelApprovalStatus="Approved"
        )


def _package(site: Site, release_id: str, kind: str, body: bytes, uri: str) -> str:
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/none:latest"
    arn: str = site.client("sagemaker").create_model_package(
        ModelPackageGroupName=f"{site.stack}-{kind.replace('_', '-')}",
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [{"Image": image, "ModelDataUrl": uri}],
            "SupportedContentTypes": ["text/csv"],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        CustomerMetadataProperties={
            "release_id": release_id,
            "kind": kind,
            "digest": hashlib.sha256(body).hexdigest(),
        },
    )["ModelPackageArn"]
    return arn


def _put_index(site: Site, index: str, tower_id: str) -> None:
    url, fields = f"{site.outputs['ItemIndexUrl']}/{index}", ("item_id", "title", "item_topic")
    meta = {"release_id": index.removeprefix("items-"), "tower_id": tower_id}
    status, said = site.signed("es", "PUT", url, index_body(fields, 64, "faiss", meta))
    assert status == 200, said
    for number in range(ITEMS):
        vector = [math.sin(number + place) for place in range(64)]
        document = {
            "item_id": f"i-{number}",
            "title": f"Item {number} of {index}",
            "item_topic": "news",
            "vector": vector,
        }
        status, said = site.signed("es", "PUT", f"{url}/_doc/i-{number}", document)
        assert status in (200, 201), said
    site.signed("es", "POST", f"{url}/_refresh")
