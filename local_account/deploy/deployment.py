"""Deploying from a checkout: package, hand the template over, and watch the stack come up. Speaks boto3 only."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import boto3

from local_account.deploy.package import package
from local_account.deploy.transform import read_template

DEPLOY_BUCKET = "understudy-deployments"


class DeploymentFailed(Exception):
    """The stack did not come up; the sentence is CloudFormation's reason."""


def deploy(
    session: boto3.Session, root: Path, stack: str, parameters: Mapping[str, str], tell: Callable[[str], None]
) -> dict[str, str]:
    """Bring `root/template.yaml` up as `stack` and return its outputs.

    Raises
    ------
    DeploymentFailed
        With the reason that the stack's events give.
    """
    s3, cloudformation = session.client("s3"), session.client("cloudformation")
    if DEPLOY_BUCKET not in {bucket["Name"] for bucket in s3.list_buckets()["Buckets"]}:
        s3.create_bucket(Bucket=DEPLOY_BUCKET)
    packaged = package(read_template(root / "template.yaml"), root, s3=s3, bucket=DEPLOY_BUCKET)
    s3.put_object(Bucket=DEPLOY_BUCKET, Key=f"{stack}.template", Body=json.dumps(packaged, default=str).encode())
    wanted = {
        "StackName": stack,
        "TemplateURL": f"{s3.meta.endpoint_url}/{DEPLOY_BUCKET}/{stack}.template",
        "Parameters": [{"ParameterKey": key, "ParameterValue": str(value)} for key, value in parameters.items()],
        "Capabilities": ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    }
    try:
        cloudformation.update_stack(**wanted)
    except cloudformation.exceptions.ClientError as problem:
        if "does not exist" not in str(problem):
            raise
        cloudformation.create_stack(**wanted)
    return _wait(cloudformation, stack, tell)


def _wait(cloudformation: Any, stack: str, tell: Callable[[str], None]) -> dict[str, str]:
    told = 0
    while True:
        described = cloudformation.describe_stacks(StackName=stack)["Stacks"][0]
        events = cloudformation.describe_stack_events(StackName=stack)["StackEvents"][::-1]
        for event in events[told:]:
            tell(f"{event['ResourceStatus']:<16} {event['LogicalResourceId']} ({event['ResourceStatusReason']})")
        told = len(events)
        if described["StackStatus"].endswith("_FAILED"):
            raise DeploymentFailed(f"{stack}: {described['StackStatusReason']}")
        if described["StackStatus"].endswith("_COMPLETE"):
            return {output["OutputKey"]: output["OutputValue"] for output in described["Outputs"]}
        time.sleep(0.1)
