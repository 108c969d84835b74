"""Roles, policies, log groups, secrets, package groups."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

from local_account.deploy.resources.kind import Deployed, Kind, Made, arn, kind


def _role(it: Deployed, properties: dict[str, Any]) -> Made:
    iam = it.client("iam")
    name = properties.get("RoleName") or it.name(64)
    trust = json.dumps(properties["AssumeRolePolicyDocument"])
    if it.physical_id is None:
        made = iam.create_role(RoleName=name, AssumeRolePolicyDocument=trust)["Role"]
    else:
        iam.update_assume_role_policy(RoleName=name, PolicyDocument=trust)
        made = iam.get_role(RoleName=name)["Role"]
    wanted = {policy["PolicyName"]: json.dumps(policy["PolicyDocument"]) for policy in properties.get("Policies", [])}
    for gone in set(iam.list_role_policies(RoleName=name)["PolicyNames"]) - set(wanted):
        iam.delete_role_policy(RoleName=name, PolicyName=gone)
    for policy_name, document in wanted.items():
        iam.put_role_policy(RoleName=name, PolicyName=policy_name, PolicyDocument=document)
    for policy_arn in properties.get("ManagedPolicyArns", []):
        iam.attach_role_policy(RoleName=name, PolicyArn=policy_arn)
    return Made(name, {"Arn": made["Arn"], "RoleId": made["RoleId"]})


def _managed_policy(it: Deployed, properties: dict[str, Any]) -> Made:
    iam = it.client("iam")
    document = json.dumps(properties["PolicyDocument"])
    if it.physical_id is None:
        return Made(iam.create_policy(PolicyName=it.name(128), PolicyDocument=document)["Policy"]["Arn"])
    for version in iam.list_policy_versions(PolicyArn=it.physical_id)["Versions"]:
        if not version["IsDefaultVersion"]:
            iam.delete_policy_version(PolicyArn=it.physical_id, VersionId=version["VersionId"])
    iam.create_policy_version(PolicyArn=it.physical_id, PolicyDocument=document, SetAsDefault=True)
    return Made(it.physical_id)


def _log_group(it: Deployed, properties: dict[str, Any]) -> Made:
    logs = it.client("logs")
    name = properties["LogGroupName"]
    if it.physical_id is None:
        # A function may have written its first line before the group is deployed; the retention is what matters.
        with suppress(logs.exceptions.ResourceAlreadyExistsException):
            logs.create_log_group(logGroupName=name)
    logs.put_retention_policy(logGroupName=name, retentionInDays=int(properties["RetentionInDays"]))
    return Made(name, {"Arn": arn("logs", f"log-group:{name}:*")})


def _log_stream(it: Deployed, properties: dict[str, Any]) -> Made:
    if it.physical_id is None:
        it.client("logs").create_log_stream(
            logGroupName=properties["LogGroupName"], logStreamName=properties["LogStreamName"]
        )
    return Made(properties["LogStreamName"])


def _secret(it: Deployed, properties: dict[str, Any]) -> Made:
    secrets = it.client("secretsmanager")
    if it.physical_id is not None:
        return Made(it.physical_id)  # its value was generated once and is never generated again
    text = secrets.get_random_password(**properties["GenerateSecretString"])["RandomPassword"]
    return Made(
        secrets.create_secret(Name=it.name(), Description=properties.get("Description", ""), SecretString=text)["ARN"]
    )


def _package_group(it: Deployed, properties: dict[str, Any]) -> Made:
    sagemaker = it.client("sagemaker")
    name = properties["ModelPackageGroupName"]
    if it.physical_id is None:
        sagemaker.create_model_package_group(
            ModelPackageGroupName=name, ModelPackageGroupDescription=properties.get("ModelPackageGroupDescription", "")
        )
    made = arn("sagemaker", f"model-package-group/{name}")
    return Made(made, {"ModelPackageGroupArn": made})


KINDS: dict[str, Kind] = {
    "AWS::IAM::Role": kind(_role, "RoleName AssumeRolePolicyDocument Policies ManagedPolicyArns"),
    "AWS::IAM::ManagedPolicy": kind(_managed_policy, "PolicyDocument"),
    "AWS::Logs::LogGroup": kind(_log_group, "LogGroupName RetentionInDays"),
    "AWS::Logs::LogStream": kind(_log_stream, "LogGroupName LogStreamName"),
    "AWS::SecretsManager::Secret": kind(_secret, "Description GenerateSecretString"),
    "AWS::SageMaker::ModelPackageGroup": kind(_package_group, "ModelPackageGroupName ModelPackageGroupDescription"),
}
