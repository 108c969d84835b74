"""Model packages in SageMaker's registry: two a release, approved together."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from botocore.exceptions import ClientError

from understudy.contracts.release import ReleaseRecord
from understudy.domain.approvals import PackageWord

RELEASE_KEY, KIND_KEY = "release_id", "kind"
Decision = Literal["Approved", "Rejected"]
CONTENT_TYPES = {"two_tower": "application/json", "ranker": "text/csv"}


def ensure_package(
    sagemaker: Any, *, group: str, kind: str, release_id: str, image: str, model_s3: str, facts: Mapping[str, str]
) -> str:
    """ARN of the release's package of one kind; made, pending approval, when it is not there yet.

    The registry has no condition on its writes, so a repeated registration looks for its own package first.
    """
    for page in sagemaker.get_paginator("list_model_packages").paginate(
        ModelPackageGroupName=group, SortBy="CreationTime", SortOrder="Descending"
    ):
        for summary in page["ModelPackageSummaryList"]:
            described = sagemaker.describe_model_package(ModelPackageName=summary["ModelPackageArn"])
            if described.get("CustomerMetadataProperties", {}).get(RELEASE_KEY) == release_id:
                return summary["ModelPackageArn"]
    content_type = CONTENT_TYPES[kind]
    return sagemaker.create_model_package(
        ModelPackageGroupName=group,
        ModelPackageDescription=f"{kind} of release {release_id}",
        ModelApprovalStatus="PendingManualApproval",
        InferenceSpecification={
            "Containers": [{"Image": image, "ModelDataUrl": model_s3}],
            "SupportedContentTypes": [content_type],
            "SupportedResponseMIMETypes": ["application/json"],
        },
        CustomerMetadataProperties={
            RELEASE_KEY: release_id,
            KIND_KEY: kind,
            **{key: value[:256] for key, value in facts.items()},
        },
    )["ModelPackageArn"]


def approve(sagemaker: Any, package_arn: str, why: str) -> None:
    """Approve a pending package; what a person decided meanwhile stands."""
    if sagemaker.describe_model_package(ModelPackageName=package_arn)["ModelApprovalStatus"] == "PendingManualApproval":
        sagemaker.update_model_package(
            ModelPackageArn=package_arn, ModelApprovalStatus="Approved", ApprovalDescription=why[:1024]
        )


def decide(sagemaker: Any, package_arn: str, status: Decision, why: str) -> bool:
    """Write a decision about a package, whatever stood there; False when it was decided so before, or somebody deleted it."""
    try:
        if sagemaker.describe_model_package(ModelPackageName=package_arn)["ModelApprovalStatus"] == status:
            return False
        sagemaker.update_model_package(
            ModelPackageArn=package_arn, ModelApprovalStatus=status, ApprovalDescription=why[:1024]
        )
    except ClientError as error:
        if "does not exist" in error.response["Error"]["Message"]:
            return False
        raise
    return True


def release_of_package(sagemaker: Any, package_arn: str) -> str:
    """The release a package belongs to; empty when it is none of ours."""
    described = sagemaker.describe_model_package(ModelPackageName=package_arn)
    return described.get("CustomerMetadataProperties", {}).get(RELEASE_KEY, "")


def packages_of(record: ReleaseRecord) -> list[str]:
    """ARNs of a release's packages, two-tower first; none when it did not pass the gate."""
    return [arn for arn in (record.two_tower_package_arn, record.ranker_package_arn) if arn]


def words_of(sagemaker: Any, record: ReleaseRecord) -> list[PackageWord]:
    """What the registry says of a release's packages, two-tower first."""
    described = [sagemaker.describe_model_package(ModelPackageName=arn) for arn in packages_of(record)]
    return [PackageWord(one["ModelApprovalStatus"], one.get("ApprovalDescription", "")) for one in described]


def approvals(sagemaker: Any, record: ReleaseRecord | None) -> list[str]:
    """Approval status of both packages of a release, two-tower first."""
    return [] if record is None else [word.status for word in words_of(sagemaker, record)]


def digest_of(sagemaker: Any, package_arn: str) -> str:
    """sha256 of the model archive as it was registered."""
    return sagemaker.describe_model_package(ModelPackageName=package_arn)["CustomerMetadataProperties"]["digest"]
