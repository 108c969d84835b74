"""The Model Registry: groups, and package versions that only grow."""

from __future__ import annotations

import threading
from datetime import UTC, datetime

from local_account.sagemaker.errors import arn, invalid
from local_account.sagemaker.listing import Listing, list_page
from local_account.sagemaker.room import Answer, Params, Room, public

GROUP, PACKAGE = "model-package-group", "model-package"
_GROUPS = Listing(
    "ModelPackageGroupSummaryList",
    (
        "ModelPackageGroupName",
        "ModelPackageGroupArn",
        "ModelPackageGroupDescription",
        "CreationTime",
        "ModelPackageGroupStatus",
    ),
    "ModelPackageGroupName",
)
_PACKAGES = Listing(
    "ModelPackageSummaryList",
    (
        "ModelPackageName",
        "ModelPackageGroupName",
        "ModelPackageVersion",
        "ModelPackageArn",
        "ModelPackageDescription",
        "CreationTime",
        "ModelPackageStatus",
        "ModelApprovalStatus",
    ),
    "ModelPackageArn",
    "ModelApprovalStatus",
)
_KEPT = (
    "ModelPackageName",
    "ModelPackageGroupName",
    "ModelPackageDescription",
    "InferenceSpecification",
    "SourceAlgorithmSpecification",
    "MetadataProperties",
    "ModelMetrics",
    "Domain",
    "Task",
    "SamplePayloadUrl",
    "CustomerMetadataProperties",
    "DriftCheckBaselines",
    "AdditionalInferenceSpecifications",
    "SkipModelValidation",
    "SourceUri",
    "SecurityConfig",
    "ModelCard",
    "ModelLifeCycle",
)
_OPERATOR = {"UserProfileArn": "", "UserProfileName": "", "DomainId": ""}


class Packages:
    def __init__(self, room: Room) -> None:
        self._room = room
        self._lock = threading.Lock()  # a version is given once

    def create_model_package_group(self, params: Params) -> Answer:
        name = params["ModelPackageGroupName"]
        group = arn(GROUP, name)
        with self._lock:
            if self._room.records.get(GROUP, name) is not None:
                raise invalid(f"Model Package Group already exists: {group}")
            doc: Answer = {
                key: params[key] for key in ("ModelPackageGroupName", "ModelPackageGroupDescription") if key in params
            }
            doc |= {"ModelPackageGroupArn": group, "ModelPackageGroupStatus": "Completed", "CreatedBy": _OPERATOR}
            doc["CreationTime"] = self._room.account.clock.epoch()
            self._room.records.put(GROUP, name, doc)
        self._room.tag(group, params.get("Tags", []))
        return {"ModelPackageGroupArn": group}

    def describe_model_package_group(self, params: Params) -> Answer:
        return public(self._group(params["ModelPackageGroupName"]))

    def list_model_package_groups(self, params: Params) -> Answer:
        return self._room.page(GROUP, params, _GROUPS)

    def delete_model_package_group(self, params: Params) -> Answer:
        doc = self._group(params["ModelPackageGroupName"])
        if any(
            package.get("ModelPackageGroupName") == doc["ModelPackageGroupName"]
            for _, package in self._room.records.all(PACKAGE)
        ):
            raise invalid("Model Package Group is not empty, so it cannot be deleted.")
        self._room.records.delete(GROUP, doc["ModelPackageGroupName"])
        return {}

    def create_model_package(self, params: Params) -> Answer:
        if ("ModelPackageGroupName" in params) == ("ModelPackageName" in params):
            raise invalid("Exactly one of ModelPackageName and ModelPackageGroupName must be provided.")
        with self._lock:
            repeated = self._answered(params.get("ClientToken"))
            if repeated is not None:
                return {"ModelPackageArn": repeated}
            doc = self._new(params)
            self._room.records.put(PACKAGE, doc["ModelPackageArn"], doc)
        self._room.tag(doc["ModelPackageArn"], params.get("Tags", []))
        self._tell(doc)
        return {"ModelPackageArn": doc["ModelPackageArn"]}

    def describe_model_package(self, params: Params) -> Answer:
        return public(self._package(params["ModelPackageName"]))

    def batch_describe_model_package(self, params: Params) -> Answer:
        members = (*_PACKAGES.summary, "InferenceSpecification")
        found: dict[str, Answer] = {}
        missing: dict[str, Answer] = {}
        for package in params["ModelPackageArnList"]:
            doc = self._room.records.get(PACKAGE, package)
            if doc is None:
                missing[package] = {
                    "ErrorCode": "ValidationException",
                    "ErrorResponse": f"ModelPackage {package} does not exist.",
                }
            else:
                found[package] = {member: doc[member] for member in members if member in doc}
        return {"ModelPackageSummaries": found, "BatchDescribeModelPackageErrorMap": missing}

    def list_model_packages(self, params: Params) -> Answer:
        group = params.get("ModelPackageGroupName")
        docs = {
            key: doc for key, doc in self._room.records.all(PACKAGE) if doc.get("ModelPackageGroupName") == _name(group)
        }
        asked = {
            **params,
            **({"StatusEquals": params["ModelApprovalStatus"]} if "ModelApprovalStatus" in params else {}),
        }
        return list_page(docs.values(), asked, _PACKAGES)

    def update_model_package(self, params: Params) -> Answer:
        with self._lock:
            before = self._package(params["ModelPackageArn"])
            doc = {**before, "LastModifiedTime": self._room.account.clock.epoch(), "LastModifiedBy": _OPERATOR}
            for member in (
                "ModelApprovalStatus",
                "ApprovalDescription",
                "InferenceSpecification",
                "SourceUri",
                "ModelCard",
                "ModelLifeCycle",
            ):
                if member in params:
                    doc[member] = params[member]
            properties = {
                **before.get("CustomerMetadataProperties", {}),
                **params.get("CustomerMetadataProperties", {}),
            }
            removed = params.get("CustomerMetadataPropertiesToRemove", [])
            doc["CustomerMetadataProperties"] = {key: value for key, value in properties.items() if key not in removed}
            self._room.records.put(PACKAGE, doc["ModelPackageArn"], doc)
        if doc.get("ModelApprovalStatus") != before.get("ModelApprovalStatus"):
            self._tell(doc)
        return {"ModelPackageArn": doc["ModelPackageArn"]}

    def delete_model_package(self, params: Params) -> Answer:
        doc = self._package(params["ModelPackageName"])
        self._room.records.delete(PACKAGE, doc["ModelPackageArn"])
        self._room.records.delete("tags", doc["ModelPackageArn"])
        return {}

    def _new(self, params: Params) -> Answer:
        now = self._room.account.clock.epoch()
        doc: Answer = {key: params[key] for key in _KEPT if key in params}
        if "ModelPackageGroupName" in params:
            group = self._group(params["ModelPackageGroupName"])
            version = self._next_version(group)
            name = group["ModelPackageGroupName"]
            doc |= {
                "ModelPackageGroupName": name,
                "ModelPackageVersion": version,
                "ModelPackageArn": arn(PACKAGE, f"{name}/{version}"),
            }
            doc["ModelApprovalStatus"] = params.get("ModelApprovalStatus", "PendingManualApproval")
        else:
            doc["ModelPackageArn"] = arn(PACKAGE, params["ModelPackageName"])
            if self._room.records.get(PACKAGE, doc["ModelPackageArn"]) is not None:
                raise invalid(f"Model package already exists: {doc['ModelPackageArn']}")
        return doc | {
            "CreationTime": now,
            "LastModifiedTime": now,
            "CreatedBy": _OPERATOR,
            "CertifyForMarketplace": params.get("CertifyForMarketplace", False),
            "ModelPackageStatus": "Completed",
            "ModelPackageStatusDetails": {"ValidationStatuses": [], "ImageScanStatuses": []},
            "_token": params.get("ClientToken"),
        }

    def _next_version(self, group: Answer) -> int:
        """One more than any version there ever was: a deleted version's number is not given again."""
        version = int(group.get("_versions", 0)) + 1
        self._room.records.put(GROUP, group["ModelPackageGroupName"], {**group, "_versions": version})
        return version

    def _answered(self, token: str | None) -> str | None:
        """The package that an earlier call with the same ClientToken made: a lost reply makes no second version."""
        if token is None:
            return None
        return next(
            (doc["ModelPackageArn"] for _, doc in self._room.records.all(PACKAGE) if doc.get("_token") == token), None
        )

    def _group(self, name: str) -> Answer:
        doc: Answer | None = self._room.records.get(GROUP, _name(name) or "")
        if doc is None:
            raise invalid(f"ModelPackageGroup {arn(GROUP, _name(name) or '')} does not exist.")
        return doc

    def _package(self, name: str) -> Answer:
        key = name if name.startswith("arn:") else arn(PACKAGE, name)
        doc: Answer | None = self._room.records.get(PACKAGE, key)
        if doc is None:
            raise invalid(f"ModelPackage {key} does not exist.")
        return doc

    def _tell(self, doc: Answer) -> None:
        detail = {**public(doc), "Tags": self._room.tags(doc["ModelPackageArn"])}
        for member in ("CreationTime", "LastModifiedTime"):
            detail[member] = datetime.fromtimestamp(doc[member], UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        self._room.account.emit(
            "aws.sagemaker", "SageMaker Model Package State Change", detail, [doc["ModelPackageArn"]]
        )


def _name(group: str | None) -> str | None:
    """A group's name, given by name or by ARN."""
    return group.rpartition("/")[2] if group is not None else None
