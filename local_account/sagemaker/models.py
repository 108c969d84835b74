"""Models: a container, its data and its role under one name."""

from __future__ import annotations

import threading
from typing import Any

from botocore.exceptions import ClientError

from local_account.sagemaker.errors import JobFailed, already_exists, arn, invalid, not_found
from local_account.sagemaker.listing import Listing
from local_account.sagemaker.room import Answer, Params, Room, event_detail, public
from local_account.sagemaker.s3_data import split_uri

KIND = "model"
_LISTING = Listing("Models", ("ModelName", "ModelArn", "CreationTime"), "ModelName")


class Models:
    def __init__(self, room: Room) -> None:
        self._room = room
        self._lock = threading.Lock()

    def create_model(self, params: Params) -> Answer:
        name = params["ModelName"]
        if self._room.records.get(KIND, name) is not None:
            raise already_exists("model", KIND, name)
        if len(params.get("Containers", [])) > 1:
            raise invalid("The local account plays models of one container: give PrimaryContainer")
        if "PrimaryContainer" not in params and not params.get("Containers"):
            raise invalid("Exactly one of PrimaryContainer or Containers must be provided")
        if "ExecutionRoleArn" not in params:
            raise invalid("ExecutionRoleArn is required")
        params = {**params, "PrimaryContainer": params.get("PrimaryContainer") or params["Containers"][0]}
        self._require_data(params)
        now = self._room.account.clock.epoch()
        doc: Answer = {
            k: params[k] for k in ("ModelName", "PrimaryContainer", "ExecutionRoleArn", "VpcConfig") if k in params
        }
        doc |= {
            "ModelArn": arn(KIND, name),
            "CreationTime": now,
            "EnableNetworkIsolation": params.get("EnableNetworkIsolation", False),
        }
        with self._lock:
            if self._room.records.get(KIND, name) is not None:
                raise already_exists("model", KIND, name)
            self._room.records.put(KIND, name, doc)
        self._room.tag(doc["ModelArn"], params.get("Tags", []))
        self._tell(doc)
        return {"ModelArn": doc["ModelArn"]}

    def describe_model(self, params: Params) -> Answer:
        return public(self._get(params["ModelName"]))

    def list_models(self, params: Params) -> Answer:
        return self._room.page(KIND, params, _LISTING)

    def delete_model(self, params: Params) -> Answer:
        doc = self._get(params["ModelName"])
        self._room.records.delete(KIND, params["ModelName"])
        self._room.records.delete("tags", doc["ModelArn"])
        self._tell(doc)
        return {}

    def _get(self, name: str) -> Answer:
        doc = self._room.records.get(KIND, name)
        if doc is None:
            raise not_found("model", KIND, name)
        found: Answer = doc
        return found

    def _require_data(self, params: Params) -> None:
        """CreateModel looks for the model data as the model's role, as AWS does."""
        uri = model_uri(self._room, params["PrimaryContainer"])
        if uri.endswith("/"):
            return  # a prefix of uncompressed files; the endpoint looks into it
        s3 = self._room.s3(params["ExecutionRoleArn"])
        try:
            bucket, key = split_uri(uri)
            s3.head_object(Bucket=bucket, Key=key)
        except JobFailed as error:
            raise invalid(str(error)) from None
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] == 404:
                raise invalid(f"Could not find model data at {uri}.") from None
            raise invalid(
                f'Could not access model data at {uri}. Please ensure that the role "{params["ExecutionRoleArn"]}" exists and that its '
                'trust relationship policy allows the action "sts:AssumeRole" for the service principal "sagemaker.amazonaws.com". '
                'Also ensure that the role has "s3:GetObject" permissions and that the object is located in us-east-1.'
            ) from None

    def _tell(self, doc: Answer) -> None:
        detail = event_detail(doc, self._room.tags(doc["ModelArn"]))
        self._room.account.emit("aws.sagemaker", "SageMaker Model State Change", detail, [doc["ModelArn"]])


def model_uri(room: Room, container: dict[str, Any]) -> str:
    """Where a container's model data lies: given directly, as a data source, or by an approved package.

    Raises
    ------
    AwsError
        `ValidationException` if it is nowhere, or its package is not approved.
    """
    if "ModelDataUrl" in container:
        return str(container["ModelDataUrl"])
    if "ModelDataSource" in container:
        return str(container["ModelDataSource"]["S3DataSource"]["S3Uri"])
    if "ModelPackageName" in container:
        package = room.records.get("model-package", container["ModelPackageName"])
        if package is None:
            raise invalid(f"ModelPackage {container['ModelPackageName']} does not exist.")
        if package.get("ModelApprovalStatus", "Approved") != "Approved":
            raise invalid(
                f"Model package {container['ModelPackageName']} is not approved: {package['ModelApprovalStatus']}"
            )
        return str(package["InferenceSpecification"]["Containers"][0]["ModelDataUrl"])
    raise invalid("The container has no model data: give ModelDataUrl, ModelDataSource or ModelPackageName")
