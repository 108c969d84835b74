"""Rights of the JSON protocols' services whose resources are a name in the body: tables, not code."""

from __future__ import annotations

import re
from typing import Any

from local_account.front_door.arns import arn
from local_account.front_door.iam import Demand
from local_account.front_door.moto_services import backend
from local_account.front_door.refusals import unknown_operation
from local_account.wire import AwsError

# Service -> resource template -> operations. `{Field}` is that field of the body, `{Field?}` may be absent (then empty), a
# field that holds an ARN stands for the whole; `[]` walks a list. "*" is an action without resource types.
_LOG = "log-group:{logGroupName?}:log-stream:{logStreamName?}"
TABLES: dict[str, dict[str, str]] = {
    "states": {
        "{stateMachineArn}": (
            "StartExecution StartSyncExecution ListExecutions DescribeStateMachine UpdateStateMachine DeleteStateMachine "
            "PublishStateMachineVersion ListStateMachineVersions ListStateMachineAliases"
        ),
        "{executionArn}": (
            "DescribeExecution StopExecution GetExecutionHistory RedriveExecution ListMapRuns "
            "DescribeStateMachineForExecution"
        ),
        "stateMachine:{name}": "CreateStateMachine",
        "{resourceArn}": "TagResource UntagResource ListTagsForResource",
        "{mapRunArn}": "DescribeMapRun UpdateMapRun",
        "*": "ListStateMachines SendTaskSuccess SendTaskFailure SendTaskHeartbeat ValidateStateMachineDefinition",
    },
    "events": {
        "rule/{Name}": "PutRule DeleteRule DescribeRule EnableRule DisableRule",
        "rule/{Rule}": "PutTargets RemoveTargets ListTargetsByRule",
        "event-bus/{Entries[].EventBusName?default}": "PutEvents",
        "event-bus/{Name?default}": "DescribeEventBus",
        "{ResourceARN}": "TagResource UntagResource ListTagsForResource",
        "*": "ListRules ListRuleNamesByTarget ListEventBuses TestEventPattern",
    },
    "sqs": {
        "{QueueUrl}": (
            "SendMessage SendMessageBatch ReceiveMessage DeleteMessage DeleteMessageBatch ChangeMessageVisibility "
            "ChangeMessageVisibilityBatch GetQueueAttributes SetQueueAttributes PurgeQueue DeleteQueue TagQueue UntagQueue "
            "ListQueueTags ListDeadLetterSourceQueues"
        ),
        "{QueueName}": "CreateQueue GetQueueUrl",
        "*": "ListQueues",
    },
    "ssm": {
        "parameter/{Name}": "GetParameter PutParameter DeleteParameter GetParameterHistory LabelParameterVersion",
        "parameter/{Names[]}": "GetParameters DeleteParameters",
        "parameter/{Path}": "GetParametersByPath",
        "*": "DescribeParameters",
    },
    "secretsmanager": {
        "secret:{SecretId}": (
            "GetSecretValue DescribeSecret PutSecretValue UpdateSecret DeleteSecret RestoreSecret RotateSecret "
            "ListSecretVersionIds TagResource UntagResource UpdateSecretVersionStage GetResourcePolicy"
        ),
        "secret:{Name}": "CreateSecret",
        "*": "ListSecrets GetRandomPassword BatchGetSecretValue",
    },
    "logs": {
        _LOG: (
            "CreateLogGroup DeleteLogGroup CreateLogStream DeleteLogStream PutLogEvents GetLogEvents DescribeLogStreams "
            "FilterLogEvents PutRetentionPolicy DeleteRetentionPolicy PutMetricFilter DescribeMetricFilters "
            "DeleteMetricFilter PutSubscriptionFilter DescribeSubscriptionFilters TagLogGroup ListTagsLogGroup StartQuery "
            "AssociateKmsKey"
        ),
        "{resourceArn}": "TagResource UntagResource ListTagsForResource",
        "log-group::log-stream:": "DescribeLogGroups",
        "*": (
            "GetQueryResults StopQuery DescribeQueries CreateLogDelivery GetLogDelivery UpdateLogDelivery DeleteLogDelivery "
            "ListLogDeliveries PutResourcePolicy DescribeResourcePolicies"
        ),
    },
    "firehose": {
        "deliverystream/{DeliveryStreamName}": (
            "PutRecord PutRecordBatch CreateDeliveryStream DeleteDeliveryStream DescribeDeliveryStream UpdateDestination "
            "ListTagsForDeliveryStream TagDeliveryStream UntagDeliveryStream"
        ),
        "*": "ListDeliveryStreams",
    },
    "monitoring": {
        "alarm:{AlarmName}": "PutMetricAlarm SetAlarmState DescribeAlarmHistory PutCompositeAlarm",
        "alarm:{AlarmNames[]}": "DeleteAlarms EnableAlarmActions DisableAlarmActions",
        "arn:aws:cloudwatch::123456789012:dashboard/{DashboardName}": "PutDashboard GetDashboard",
        "arn:aws:cloudwatch::123456789012:dashboard/{DashboardNames[]}": "DeleteDashboards",
        "*": (
            "PutMetricData GetMetricData GetMetricStatistics ListMetrics DescribeAlarms DescribeAlarmsForMetric "
            "GetMetricWidgetImage ListDashboards"
        ),
        "{ResourceARN}": "TagResource UntagResource ListTagsForResource",
    },
    "kms": {
        "key/{KeyId?*}": "Decrypt Encrypt GenerateDataKey GenerateDataKeyWithoutPlaintext DescribeKey ReEncryptFrom",
        "*": "ListKeys ListAliases CreateKey",
    },
    "ecr": {
        "repository/{repositoryName}": (
            "BatchGetImage BatchCheckLayerAvailability GetDownloadUrlForLayer DescribeImages ListImages DescribeRepositories"
        ),
        "*": "GetAuthorizationToken",
    },
    "application-autoscaling": {
        "scalable-target/{ResourceId}": "RegisterScalableTarget DeregisterScalableTarget PutScalingPolicy DeleteScalingPolicy",
        "*": "DescribeScalableTargets DescribeScalingPolicies",
    },
}
# Fields of the body that are condition keys: the namespace of metrics, and of what is scaled.
_CONDITION_KEYS = {"Namespace": "cloudwatch:namespace", "ServiceNamespace": "application-autoscaling:service-namespace"}
_IAM_PREFIX = {"monitoring": "cloudwatch"}
# Operations whose IAM action is not their own name: a batch needs the right to the single call.
_IAM_ACTION = {
    "SendMessageBatch": "SendMessage",
    "DeleteMessageBatch": "DeleteMessage",
    "ChangeMessageVisibilityBatch": "ChangeMessageVisibility",
}
_TEMPLATE_OF = {
    service: {operation: template for template, operations in table.items() for operation in operations.split()}
    for service, table in TABLES.items()
}
_FIELD = re.compile(r"\{(\w+)(\[\])?(?:\.(\w+))?(\?)?([^}]*)\}")


def json_demands(service: str, operation: str, body: dict[str, Any]) -> list[Demand]:
    """Demands of one call by the table of its service."""
    template = _TEMPLATE_OF[service].get(operation)
    if template is None:
        raise unknown_operation(service, operation)
    prefix = _IAM_PREFIX.get(service, service)
    action = f"{prefix}:{_IAM_ACTION.get(operation, operation)}"
    context = {key: body[field] for field, key in _CONDITION_KEYS.items() if isinstance(body.get(field), str)}
    return [Demand(action, resource, context) for resource in _resources(service, prefix, template, body)]


def _resources(service: str, prefix: str, template: str, body: dict[str, Any]) -> list[str]:
    texts = [template]
    for match in _FIELD.finditer(template):
        texts = [text.replace(match[0], value, 1) for text in texts for value in _values(service, match, body)]
    found: dict[str, None] = {}
    for text in texts:
        at = text.find("arn:aws:")
        resource = text[at:] if at >= 0 else text
        if service == "logs" and at >= 0:
            resource = resource.removesuffix(":log-stream:").removesuffix(":*") + ":log-stream:"
        found[arn(prefix, resource)] = None
    return list(found)


def _values(service: str, match: re.Match[str], body: dict[str, Any]) -> list[str]:
    name, is_list, inner, optional, default = match.groups()
    value = body.get(name)
    if value is None and service == "logs":  # newer operations name the group by an identifier, or several
        value = body.get("logGroupIdentifier") if name == "logGroupName" else None
    parts = value if is_list and isinstance(value, list) else [value]
    if inner:
        parts = [part.get(inner) if isinstance(part, dict) else None for part in parts]
    values = [_name(service, part) for part in parts if isinstance(part, str)]
    values += [default for part in parts if part is None and optional]
    if not values:
        raise AwsError("ValidationException", f"{name} must be given", 400)
    return values


def _name(service: str, value: str) -> str:
    if service == "sqs" and not value.startswith("arn:"):
        return value.rstrip("/").rsplit("/", 1)[-1]
    if service == "ssm":
        return value.split(":")[0].lstrip("/") if not value.startswith("arn:") else value
    if service == "secretsmanager":
        return _secret_arn(value)
    if service == "events":
        return value.removeprefix("default/")
    return value


def _secret_arn(name: str) -> str:
    """A secret's ARN ends in six random characters, which policies spell `-??????`."""
    found = next(
        (
            secret.arn
            for secret in list(backend("secretsmanager").secrets.values())
            if name in (secret.name, secret.arn)
        ),
        None,
    )
    return found or f"{name}-XXXXXX"
