"""A role session may do what its role's policies say, told apart by the caller's own keys, over the wire."""

from __future__ import annotations

import json
import uuid
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from local_account.front_door.local import LocalAccount

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}


def role_with(account: LocalAccount, *statements: dict[str, Any], trust: dict[str, Any] = TRUST) -> str:
    iam, name = account.client("iam"), f"role-{uuid.uuid4().hex[:8]}"
    arn: str = iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))["Role"]["Arn"]
    if statements:
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        iam.put_role_policy(RoleName=name, PolicyName="p", PolicyDocument=json.dumps(document))
    return arn


def allow(action: str | list[str], resource: str, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def bucket(account: LocalAccount) -> str:
    name = f"bucket-{uuid.uuid4().hex[:12]}"
    account.client("s3").create_bucket(Bucket=name)
    return name


def refusal(failed: pytest.ExceptionInfo[ClientError]) -> tuple[str, str, int]:
    error = failed.value.response
    return error["Error"]["Code"], error["Error"]["Message"], error["ResponseMetadata"]["HTTPStatusCode"]


def test_s3_refuses_in_its_own_words_and_protocol(account: LocalAccount) -> None:
    name = bucket(account)
    role = role_with(account, allow("s3:GetObject", f"arn:aws:s3:::{name}/open/*"))
    s3 = account.client("s3", role, "me")
    account.client("s3").put_object(Bucket=name, Key="open/a", Body=b"1")
    assert s3.get_object(Bucket=name, Key="open/a")["Body"].read() == b"1"
    with pytest.raises(ClientError) as failed:
        s3.put_object(Bucket=name, Key="open/a", Body=b"2")
    who = f"arn:aws:sts::123456789012:assumed-role/{role.rsplit('/', 1)[-1]}/me"
    assert refusal(failed) == (
        "AccessDenied",
        f'User: {who} is not authorized to perform: s3:PutObject on resource: "arn:aws:s3:::{name}/open/a" because no '
        "identity-based policy allows the s3:PutObject action",
        403,
    )


def test_an_object_that_is_not_there_is_denied_to_who_may_not_list(account: LocalAccount) -> None:
    name = bucket(account)
    blind = role_with(account, allow("s3:GetObject", f"arn:aws:s3:::{name}/*"))
    sees = role_with(account, allow(["s3:GetObject", "s3:ListBucket"], "*"))
    with pytest.raises(ClientError) as failed:
        account.client("s3", blind).get_object(Bucket=name, Key="gone")
    assert refusal(failed)[0] == "AccessDenied"
    with pytest.raises(ClientError) as failed:
        account.client("s3", sees).get_object(Bucket=name, Key="gone")
    assert refusal(failed)[0] == "NoSuchKey"


@pytest.mark.parametrize(
    ("service", "operation", "arguments", "code", "status"),
    [
        ("dynamodb", "get_item", {"TableName": "t", "Key": {"id": {"S": "a"}}}, "AccessDeniedException", 400),
        ("sns", "publish", {"TopicArn": "arn:aws:sns:us-east-1:123456789012:t", "Message": "m"}, "AccessDenied", 403),
        ("scheduler", "get_schedule", {"Name": "n"}, "AccessDeniedException", 403),
        ("lambda", "invoke", {"FunctionName": "f"}, "AccessDeniedException", 403),
        ("sagemaker-runtime", "invoke_endpoint", {"EndpointName": "e", "Body": b""}, "AccessDeniedException", 403),
        ("cloudwatch", "put_metric_data", {"Namespace": "N", "MetricData": []}, "AccessDeniedException", 400),
    ],
)
def test_each_protocol_has_its_own_refusal(
    account: LocalAccount, service: str, operation: str, arguments: dict[str, Any], code: str, status: int
) -> None:
    client = account.client(service, role_with(account))
    with pytest.raises(ClientError) as failed:
        getattr(client, operation)(**arguments)
    got = refusal(failed)
    assert (got[0], got[2]) == (code, status)
    assert "because no identity-based policy allows the" in got[1]


def test_a_policy_written_later_counts_at_once(account: LocalAccount) -> None:
    role = role_with(account)
    ssm = account.client("ssm", role)
    with pytest.raises(ClientError):
        ssm.describe_parameters()
    document = {"Version": "2012-10-17", "Statement": allow("ssm:DescribeParameters", "*")}
    name = role.rsplit("/", 1)[-1]
    account.client("iam").put_role_policy(RoleName=name, PolicyName="q", PolicyDocument=json.dumps(document))
    assert ssm.describe_parameters()["Parameters"] is not None
    account.client("iam").delete_role_policy(RoleName=name, PolicyName="q")
    with pytest.raises(ClientError):
        ssm.describe_parameters()


def test_the_managed_lambda_policies_let_a_function_log_and_trace(account: LocalAccount) -> None:
    role = role_with(account)
    for policy in ("service-role/AWSLambdaBasicExecutionRole", "AWSXrayWriteOnlyAccess"):
        account.client("iam").attach_role_policy(
            RoleName=role.rsplit("/", 1)[-1], PolicyArn=f"arn:aws:iam::aws:policy/{policy}"
        )
    logs, group = account.client("logs", role), f"/aws/lambda/{uuid.uuid4().hex[:8]}"
    logs.create_log_group(logGroupName=group)
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    account.client("xray", role).put_trace_segments(TraceSegmentDocuments=["{}"])
    with pytest.raises(ClientError) as failed:
        logs.delete_log_group(logGroupName=group)
    assert refusal(failed)[0] == "AccessDeniedException"


def test_handing_over_a_role_needs_the_right_to_pass_it(account: LocalAccount) -> None:
    other = role_with(account)
    create = allow("states:CreateStateMachine", "*")
    arguments = {"name": f"m-{uuid.uuid4().hex[:8]}", "definition": "{}", "roleArn": other}
    with pytest.raises(ClientError) as failed:
        account.client("stepfunctions", role_with(account, create)).create_state_machine(**arguments)
    assert f"iam:PassRole on resource: {other}" in refusal(failed)[1]
    passes = allow("iam:PassRole", other, Condition={"StringEquals": {"iam:PassedToService": "lambda.amazonaws.com"}})
    with pytest.raises(ClientError) as failed:
        account.client("stepfunctions", role_with(account, create, passes)).create_state_machine(**arguments)
    assert f"iam:PassRole on resource: {other}" in refusal(failed)[1]


def test_an_operation_that_the_map_does_not_know_is_no_roles(account: LocalAccount) -> None:
    role = role_with(account, allow("*", "*"))
    with pytest.raises(ClientError) as failed:
        account.client("dynamodb", role).list_backups()
    assert "not in the local account's map of actions" in refusal(failed)[1]
    assert account.client("dynamodb").list_backups()["BackupSummaries"] == []


def test_assume_role_asks_the_trust_policy(account: LocalAccount) -> None:
    caller = role_with(account)
    trusting = role_with(
        account,
        allow("sts:GetCallerIdentity", "*"),
        trust={"Statement": [{"Effect": "Allow", "Principal": {"AWS": caller}, "Action": "sts:AssumeRole"}]},
    )
    sts = account.client("sts", caller)
    keys = sts.assume_role(RoleArn=trusting, RoleSessionName="me")["Credentials"]
    assumed = boto3.client(
        "sts",
        endpoint_url=account.endpoint_url,
        region_name="us-east-1",
        aws_access_key_id=keys["AccessKeyId"],
        aws_secret_access_key=keys["SecretAccessKey"],
        aws_session_token=keys["SessionToken"],
    )
    assert assumed.get_caller_identity()["Arn"].endswith(f"assumed-role/{trusting.rsplit('/', 1)[-1]}/me")
    with pytest.raises(ClientError) as failed:
        sts.assume_role(RoleArn=role_with(account), RoleSessionName="me")
    assert refusal(failed)[0] == "AccessDenied"


def test_a_role_that_asks_for_an_external_id_gets_it_or_refuses(account: LocalAccount) -> None:
    trust = {
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::123456789012:root"},
        "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "agreed"}},
    }
    role, sts = role_with(account, trust={"Statement": [trust]}), account.client("sts")
    assert sts.assume_role(RoleArn=role, RoleSessionName="me", ExternalId="agreed")["Credentials"]
    for wrong in ({}, {"ExternalId": "other"}):
        with pytest.raises(ClientError) as failed:
            sts.assume_role(RoleArn=role, RoleSessionName="me", **wrong)
        assert refusal(failed)[0] == "AccessDenied"


def test_a_service_gets_only_roles_that_trust_it(account: LocalAccount) -> None:
    role = role_with(account)
    assert account.credentials_for(role, "s", "lambda.amazonaws.com").session_token
    with pytest.raises(Exception, match="sts:AssumeRole"):
        account.credentials_for(role, "s", "sagemaker.amazonaws.com")
    with pytest.raises(Exception, match="sts:AssumeRole"):
        account.credentials_for("arn:aws:iam::123456789012:role/none", "s")


def test_the_partition_key_can_be_held_to_the_caller(account: LocalAccount) -> None:
    table = f"t-{uuid.uuid4().hex[:8]}"
    account.client("dynamodb").create_table(
        TableName=table,
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    own = {"ForAllValues:StringLike": {"dynamodb:LeadingKeys": ["mine-*"]}}
    resource = f"arn:aws:dynamodb:us-east-1:123456789012:table/{table}"
    dynamodb = account.client("dynamodb", role_with(account, allow("dynamodb:PutItem", resource, Condition=own)))
    put = {"Put": {"TableName": table, "Item": {"id": {"S": "mine-2"}}}}
    dynamodb.put_item(TableName=table, Item={"id": {"S": "mine-1"}})
    dynamodb.transact_write_items(TransactItems=[put])
    for key in ("yours", "not-mine-1"):
        with pytest.raises(ClientError) as failed:
            dynamodb.put_item(TableName=table, Item={"id": {"S": key}})
        assert refusal(failed)[0] == "AccessDeniedException"
    with pytest.raises(ClientError):
        dynamodb.transact_write_items(
            TransactItems=[put, {"Put": {"TableName": table, "Item": {"id": {"S": "yours"}}}}]
        )


@pytest.mark.parametrize("by", ["Name", "ARN"])
def test_a_secret_is_one_thing_by_its_name_and_by_its_arn(account: LocalAccount, by: str) -> None:
    made = account.client("secretsmanager").create_secret(Name=f"secret-{uuid.uuid4().hex[:8]}", SecretString="x")
    reader = account.client("secretsmanager", role_with(account, allow("secretsmanager:GetSecretValue", made["ARN"])))
    assert reader.get_secret_value(SecretId=made[by])["SecretString"] == "x"
    stranger = account.client("secretsmanager", role_with(account))
    with pytest.raises(ClientError) as failed:
        stranger.get_secret_value(SecretId=made[by])
    assert refusal(failed)[0] == "AccessDeniedException"


def test_a_namespace_holds_many_metrics_too_although_the_client_compresses_them(account: LocalAccount) -> None:
    own = {"StringEquals": {"cloudwatch:namespace": "Mine"}}
    role = role_with(account, allow("cloudwatch:PutMetricData", "*", Condition=own))
    data = [{"MetricName": f"m{number}", "Value": 1.0, "Unit": "None"} for number in range(400)]
    cloudwatch = account.client("cloudwatch", role)
    cloudwatch.put_metric_data(Namespace="Mine", MetricData=data)
    found = account.client("cloudwatch").get_paginator("list_metrics").paginate(Namespace="Mine")
    assert len({metric["MetricName"] for page in found for metric in page["Metrics"]}) == 400
    with pytest.raises(ClientError) as failed:
        cloudwatch.put_metric_data(Namespace="Yours", MetricData=data)
    assert refusal(failed)[0].startswith("AccessDenied")
