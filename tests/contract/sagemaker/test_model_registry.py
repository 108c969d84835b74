from __future__ import annotations

import pytest

from local_account.sagemaker.service import SageMakerService
from local_account.sagemaker.shapes import output_members
from local_account.wire import AwsError
from tests.support.sagemaker_room import IMAGE, ROLE, call


def package(bucket: str, **more: object) -> dict[str, object]:
    container = {"Image": IMAGE, "ModelDataUrl": f"s3://{bucket}/m/model.tar.gz"}
    return {"ModelPackageGroupName": "towers", "InferenceSpecification": {"Containers": [container]}, **more}


def test_versions_only_grow_even_after_the_newest_is_deleted_and_the_account_restarts(account, bucket, service, room):
    call(service, "CreateModelPackageGroup", ModelPackageGroupName="towers")
    arns = [call(service, "CreateModelPackage", **package(bucket))["ModelPackageArn"] for _ in range(2)]
    call(service, "DeleteModelPackage", ModelPackageName=arns[1])
    service.stop()
    again = SageMakerService(room)
    try:
        third = call(again, "CreateModelPackage", **package(bucket))["ModelPackageArn"]
        listed = call(again, "ListModelPackages", ModelPackageGroupName="towers")["ModelPackageSummaryList"]
    finally:
        again.stop()
    assert (third.rpartition("/")[2], [row["ModelPackageVersion"] for row in listed]) == ("3", [3, 1])


def test_creation_and_a_changed_approval_are_told_to_the_bus_once_each(bucket, service, room):
    call(service, "CreateModelPackageGroup", ModelPackageGroupName="towers")
    made = call(service, "CreateModelPackage", **package(bucket, CustomerMetadataProperties={"release": "r-1"}))[
        "ModelPackageArn"
    ]
    for _ in range(2):
        call(
            service,
            "UpdateModelPackage",
            ModelPackageArn=made,
            ModelApprovalStatus="Approved",
            ApprovalDescription="good",
        )
    told = [
        (kind, d["ModelApprovalStatus"], d["ModelPackageVersion"], d["ModelPackageGroupName"])
        for kind, d in room.events
    ]
    kind = "SageMaker Model Package State Change"
    assert told == [(kind, "PendingManualApproval", 1, "towers"), (kind, "Approved", 1, "towers")]
    doc = call(service, "DescribeModelPackage", ModelPackageName=made)
    assert (doc["ApprovalDescription"], doc["CustomerMetadataProperties"]) == ("good", {"release": "r-1"})
    assert set(doc) <= output_members("DescribeModelPackage")


def test_a_repeated_client_token_makes_no_second_version(bucket, service):
    call(service, "CreateModelPackageGroup", ModelPackageGroupName="towers")
    asked = package(bucket, ClientToken="t" * 36)
    assert call(service, "CreateModelPackage", **asked) == call(service, "CreateModelPackage", **asked)


def test_packages_are_listed_by_approval(bucket, service):
    call(service, "CreateModelPackageGroup", ModelPackageGroupName="towers")
    call(service, "CreateModelPackage", **package(bucket))
    call(service, "CreateModelPackage", **package(bucket, ModelApprovalStatus="Approved"))
    rows = call(service, "ListModelPackages", ModelPackageGroupName="towers", ModelApprovalStatus="Approved")
    assert [row["ModelPackageVersion"] for row in rows["ModelPackageSummaryList"]] == [2]


def test_a_group_is_refused_twice_and_kept_while_it_has_packages(bucket, service):
    call(service, "CreateModelPackageGroup", ModelPackageGroupName="towers")
    with pytest.raises(AwsError, match="Model Package Group already exists"):
        call(service, "CreateModelPackageGroup", ModelPackageGroupName="towers")
    call(service, "CreateModelPackage", **package(bucket))
    with pytest.raises(AwsError, match="not empty"):
        call(service, "DeleteModelPackageGroup", ModelPackageGroupName="towers")
    with pytest.raises(AwsError, match="does not exist"):
        call(service, "CreateModelPackage", **{**package(bucket), "ModelPackageGroupName": "nobody"})


def test_a_model_needs_its_data_and_its_own_name(account, bucket, service):
    asked = {
        "ModelName": "m",
        "ExecutionRoleArn": ROLE,
        "PrimaryContainer": {"Image": IMAGE, "ModelDataUrl": f"s3://{bucket}/m/m.tar.gz"},
    }
    with pytest.raises(AwsError, match="Could not find model data"):
        call(service, "CreateModel", **asked)
    account.client("s3").put_object(Bucket=bucket, Key="m/m.tar.gz", Body=b"-")
    made = call(service, "CreateModel", **asked, Tags=[{"Key": "release", "Value": "r-1"}])["ModelArn"]
    with pytest.raises(AwsError, match="Cannot create already existing model"):
        call(service, "CreateModel", **asked)
    assert call(service, "ListTags", ResourceArn=made)["Tags"] == [{"Key": "release", "Value": "r-1"}]
    assert [row["ModelName"] for row in call(service, "ListModels", NameContains="m")["Models"]] == ["m"]
    call(service, "DeleteModel", ModelName="m")
    with pytest.raises(AwsError, match='Could not find model "arn:aws:sagemaker:us-east-1:123456789012:model/m"'):
        call(service, "DescribeModel", ModelName="m")


def test_a_package_that_is_not_approved_makes_no_model(bucket, service):
    call(service, "CreateModelPackageGroup", ModelPackageGroupName="towers")
    made = call(service, "CreateModelPackage", **package(bucket))["ModelPackageArn"]
    with pytest.raises(AwsError, match="is not approved"):
        call(service, "CreateModel", ModelName="m2", ExecutionRoleArn=ROLE, PrimaryContainer={"ModelPackageName": made})
