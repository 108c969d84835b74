"""Buckets, tables, catalogs, queues, delivery streams."""

from __future__ import annotations

import json
from typing import Any

from local_account.account import ACCOUNT_ID, REGION
from local_account.deploy.resources.kind import Deployed, Kind, Made, arn, kind


def _bucket(it: Deployed, properties: dict[str, Any]) -> Made:
    s3 = it.client("s3")
    name = properties.get("BucketName") or it.name(63, lower=True)
    if it.physical_id is None:
        s3.create_bucket(Bucket=name)
    if encryption := properties.get("BucketEncryption"):
        rules = [
            {"ApplyServerSideEncryptionByDefault": rule["ServerSideEncryptionByDefault"]}
            for rule in encryption["ServerSideEncryptionConfiguration"]
        ]
        s3.put_bucket_encryption(Bucket=name, ServerSideEncryptionConfiguration={"Rules": rules})
    if block := properties.get("PublicAccessBlockConfiguration"):
        s3.put_public_access_block(Bucket=name, PublicAccessBlockConfiguration=block)
    if ownership := properties.get("OwnershipControls"):
        s3.put_bucket_ownership_controls(Bucket=name, OwnershipControls=ownership)
    if lifecycle := properties.get("LifecycleConfiguration"):
        s3.put_bucket_lifecycle_configuration(
            Bucket=name, LifecycleConfiguration={"Rules": [_lifecycle_rule(rule) for rule in lifecycle["Rules"]]}
        )
    if properties.get("NotificationConfiguration", {}).get("EventBridgeConfiguration", {}).get("EventBridgeEnabled"):
        s3.put_bucket_notification_configuration(
            Bucket=name, NotificationConfiguration={"EventBridgeConfiguration": {}}
        )
    return Made(name, {"Arn": f"arn:aws:s3:::{name}", "DomainName": f"{name}.s3.amazonaws.com"})


def _lifecycle_rule(rule: dict[str, Any]) -> dict[str, Any]:
    written: dict[str, Any] = {"ID": rule["Id"], "Status": rule["Status"], "Filter": {"Prefix": rule.get("Prefix", "")}}
    if "ExpirationInDays" in rule:
        written["Expiration"] = {"Days": int(rule["ExpirationInDays"])}
    if "AbortIncompleteMultipartUpload" in rule:
        written["AbortIncompleteMultipartUpload"] = rule["AbortIncompleteMultipartUpload"]
    return written


def _bucket_policy(it: Deployed, properties: dict[str, Any]) -> Made:
    """Loopback stands for TLS: what is denied without TLS on AWS would deny everything here. All else is kept."""
    document = properties["PolicyDocument"]
    kept = [one for one in document["Statement"] if "aws:SecureTransport" not in json.dumps(one.get("Condition", {}))]
    if kept:
        it.client("s3").put_bucket_policy(
            Bucket=properties["Bucket"], Policy=json.dumps({**document, "Statement": kept})
        )
    return Made(properties["Bucket"])


def _table(it: Deployed, properties: dict[str, Any]) -> Made:
    dynamodb = it.client("dynamodb")
    name = properties.get("TableName") or it.name(255)
    if it.physical_id is None:
        dynamodb.create_table(
            TableName=name,
            BillingMode=properties["BillingMode"],
            AttributeDefinitions=properties["AttributeDefinitions"],
            KeySchema=properties["KeySchema"],
        )
    if ttl := properties.get("TimeToLiveSpecification"):
        dynamodb.update_time_to_live(TableName=name, TimeToLiveSpecification=ttl)
    return Made(name, {"Arn": arn("dynamodb", f"table/{name}")})


def _database(it: Deployed, properties: dict[str, Any]) -> Made:
    name = properties["DatabaseInput"]["Name"]
    if it.physical_id is None:
        it.client("glue").create_database(DatabaseInput=properties["DatabaseInput"])
    return Made(name)


def _queue(it: Deployed, properties: dict[str, Any]) -> Made:
    sqs = it.client("sqs")
    name = properties.get("QueueName") or it.name(80)
    wanted = {
        key: json.dumps(value) if isinstance(value, dict) else str(value).lower()
        for key, value in properties.items()
        if key != "QueueName"
    }
    if it.physical_id is None:
        url = sqs.create_queue(QueueName=name, Attributes=wanted)["QueueUrl"]
    else:
        url = it.physical_id
        sqs.set_queue_attributes(QueueUrl=url, Attributes=wanted)
    return Made(url, {"Arn": arn("sqs", name), "QueueName": name})


def _queue_policy(it: Deployed, properties: dict[str, Any]) -> Made:
    for url in properties["Queues"]:
        it.client("sqs").set_queue_attributes(
            QueueUrl=url, Attributes={"Policy": json.dumps(properties["PolicyDocument"])}
        )
    return Made(it.name())


def _topic(it: Deployed, properties: dict[str, Any]) -> Made:
    name = properties.get("TopicName") or it.name(200)
    topic_arn = it.client("sns").create_topic(Name=name)["TopicArn"]
    return Made(topic_arn, {"TopicArn": topic_arn, "TopicName": name})


def _delivery_stream(it: Deployed, properties: dict[str, Any]) -> Made:
    firehose = it.client("firehose")
    name = properties.get("DeliveryStreamName") or it.name(64)
    if it.physical_id is None:
        firehose.create_delivery_stream(
            DeliveryStreamName=name,
            DeliveryStreamType=properties["DeliveryStreamType"],
            ExtendedS3DestinationConfiguration=properties["ExtendedS3DestinationConfiguration"],
        )
    return Made(name, {"Arn": f"arn:aws:firehose:{REGION}:{ACCOUNT_ID}:deliverystream/{name}"})


KINDS: dict[str, Kind] = {
    "AWS::S3::Bucket": kind(
        _bucket,
        "BucketName BucketEncryption PublicAccessBlockConfiguration OwnershipControls NotificationConfiguration LifecycleConfiguration",
    ),
    "AWS::S3::BucketPolicy": kind(_bucket_policy, "Bucket PolicyDocument"),
    # Encryption at rest and point-in-time recovery are the disk's and the state folder's affair on one machine.
    "AWS::DynamoDB::Table": kind(
        _table,
        "TableName BillingMode AttributeDefinitions KeySchema TimeToLiveSpecification",
        silent="SSESpecification PointInTimeRecoverySpecification",
    ),
    "AWS::Glue::Database": kind(_database, "CatalogId DatabaseInput"),
    "AWS::SQS::Queue": kind(
        _queue, "QueueName VisibilityTimeout MessageRetentionPeriod SqsManagedSseEnabled RedrivePolicy"
    ),
    # Encryption of what waits in a topic is the disk's affair here.
    "AWS::SNS::Topic": kind(_topic, "TopicName", silent="KmsMasterKeyId"),
    "AWS::SQS::QueuePolicy": kind(_queue_policy, "Queues PolicyDocument"),
    "AWS::KinesisFirehose::DeliveryStream": kind(
        _delivery_stream,
        "DeliveryStreamName DeliveryStreamType ExtendedS3DestinationConfiguration",
        silent="DeliveryStreamEncryptionConfigurationInput",
        replaceable=False,
    ),
}
