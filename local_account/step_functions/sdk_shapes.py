"""How Step Functions spells boto3's services, actions, parameters, results and errors."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import botocore.session
from botocore.model import ListShape, MapShape, OperationModel, ServiceModel, Shape, StructureShape

from local_account.step_functions.resources import Resource

# The Java SDK's package name where it is not boto3's without hyphens, and the prefix of its errors.
_BOTO3_NAMES = {"sfn": "stepfunctions", "eventbridge": "events", "cloudwatchlogs": "logs"}
_PREFIXES = {
    "sagemaker": "SageMaker",
    "sagemakerruntime": "SageMakerRuntime",
    "dynamodb": "DynamoDb",
    "s3": "S3",
    "sfn": "Sfn",
    "cloudwatch": "CloudWatch",
    "cloudwatchlogs": "CloudWatchLogs",
    "eventbridge": "EventBridge",
    "lambda": "Lambda",
    "ssm": "Ssm",
    "sns": "Sns",
    "sqs": "Sqs",
    "glue": "Glue",
    "iam": "Iam",
    "sts": "Sts",
    "scheduler": "Scheduler",
    "firehose": "Firehose",
    "secretsmanager": "SecretsManager",
    "applicationautoscaling": "ApplicationAutoScaling",
    "opensearch": "OpenSearch",
}
# Optimised integrations: boto3 service, prefix of the errors, name of an error the service model does not know.
OPTIMISED_ERRORS = {
    "sagemaker": ("sagemaker", "SageMaker", "AmazonSageMakerException"),
    "lambda": ("lambda", "Lambda", "AWSLambdaException"),
    "states": ("stepfunctions", "StepFunctions", "AWSStepFunctionsException"),
    "dynamodb": ("dynamodb", "DynamoDB", "AmazonDynamoDBException"),
    "sns": ("sns", "SNS", "AmazonSNSException"),
    "sqs": ("sqs", "SQS", "AmazonSQSException"),
    "events": ("events", "EventBridge", "AmazonEventBridgeException"),
}
_OF_OUR_OWN = {"Lambda.Unknown", "Lambda.ServiceException", "Lambda.SdkClientException", "EventBridge.FailedEntry"}


def boto3_name(service: str) -> str | None:
    """boto3's name of a service as `aws-sdk:` spells it."""
    if service in _BOTO3_NAMES:
        return _BOTO3_NAMES[service]
    return _by_package().get(service)


@cache
def _by_package() -> dict[str, str]:
    return {name.replace("-", ""): name for name in botocore.session.get_session().get_available_services()}


@cache
def service_model(boto3_service: str) -> ServiceModel:
    return botocore.session.get_session().get_service_model(boto3_service)


def operation_model(boto3_service: str, action: str) -> OperationModel | None:
    """The operation that an action in camelCase names."""
    wanted = action.lower()
    for name in service_model(boto3_service).operation_names:
        if name.lower() == wanted:
            return service_model(boto3_service).operation_model(name)
    return None


def pascal(name: str) -> str:
    return name[:1].upper() + name[1:]


def error_prefix(service: str) -> str:
    return _PREFIXES.get(service, pascal(service))


def error_name(prefix: str, boto3_service: str, code: str, unknown: str) -> str:
    """`SageMaker.ResourceInUseException` for a code the service's model has, `SageMaker.SageMakerException` else."""
    codes = _error_codes(boto3_service)
    if code not in codes:
        return f"{prefix}.{unknown}"
    name = pascal(codes[code])
    return f"{prefix}.{name if name.endswith('Exception') else name + 'Exception'}"


@cache
def _error_codes(boto3_service: str) -> dict[str, str]:
    """Code on the wire, and shape name, of each modelled error -> its shape name."""
    shapes: list[Any] = list(service_model(boto3_service).error_shapes)
    return {key: shape.name for shape in shapes for key in (shape.name, shape.error_code)}


@cache
def error_is_known(name: str) -> bool:
    """Whether some service we can call raises an error of this name."""
    prefix, _, rest = name.partition(".")
    if name in _OF_OUR_OWN or not rest:
        return name in _OF_OUR_OWN
    sources = [(boto3, unknown) for boto3, of, unknown in OPTIMISED_ERRORS.values() if of == prefix]
    packages = [package for package in _by_package() if error_prefix(package) == prefix] + [
        package for package in _BOTO3_NAMES if error_prefix(package) == prefix
    ]
    sources += [(boto3_name(package) or package, f"{prefix}Exception") for package in packages]
    for boto3, unknown in sources:
        known = {error_name(prefix, boto3, code, unknown) for code in _error_codes(boto3)}
        if name in known or rest == unknown:
            return True
    return False


def argument_problems(resource: Resource, arguments: Mapping[str, Any]) -> Iterator[str]:
    """Parameters that the called API does not have, and required ones that are missing."""
    if resource.kind == "function" or resource.service in ("lambda", "events", "states"):
        return  # their parameters are Step Functions' own
    boto3 = boto3_name(resource.service) if resource.kind == "sdk" else OPTIMISED_ERRORS[resource.service][0]
    operation = operation_model(boto3, resource.action) if boto3 else None
    if operation is None or operation.input_shape is None:
        if operation is None:
            yield f"there is no {resource.service}:{resource.action}"
        return
    members = {pascal(name) for name in operation.input_shape.members}
    required = {pascal(name) for name in operation.input_shape.required_members}
    for name in sorted(arguments.keys() - members):
        yield f"{operation.name} has no parameter {name}"
    for name in sorted(required - arguments.keys()):
        yield f"{operation.name} needs {name}"


def to_boto3(shape: Shape | None, value: Any) -> Any:
    """Arguments in PascalCase as boto3 spells them.

    Raises
    ------
    KeyError
        Names a field the shape does not have.
    """
    if shape is None:
        return value
    if isinstance(shape, StructureShape) and isinstance(value, Mapping):
        members = {pascal(name): (name, member) for name, member in shape.members.items()}
        return {members[key][0]: to_boto3(members[key][1], inside) for key, inside in value.items()}
    if isinstance(shape, ListShape) and isinstance(value, list):
        return [to_boto3(shape.member, inside) for inside in value]
    if isinstance(shape, MapShape) and isinstance(value, Mapping):
        return {key: to_boto3(shape.value, inside) for key, inside in value.items()}
    if shape.type_name == "blob":
        return value if isinstance(value, str) else _json(value)
    return value


def _json(value: Any) -> str:
    from local_account.step_functions.history import text

    return text(value)


def from_boto3(shape: Shape | None, value: Any, *, epoch_ms: bool = False) -> Any:
    """A result as Step Functions shows it: PascalCase, times as ISO text (or milliseconds), blobs as text."""
    if isinstance(value, datetime):
        if epoch_ms:
            return int(value.timestamp() * 1000)
        return value.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    if hasattr(value, "read"):
        value = value.read()
    if isinstance(value, bytes):
        return _text(value)
    if isinstance(shape, StructureShape):
        known = {name: inside for name, inside in value.items() if name in shape.members}
        return {pascal(n): from_boto3(shape.members[n], v, epoch_ms=epoch_ms) for n, v in known.items()}
    if isinstance(shape, ListShape):
        return [from_boto3(shape.member, inside, epoch_ms=epoch_ms) for inside in value]
    if isinstance(shape, MapShape):
        return {key: from_boto3(shape.value, inside, epoch_ms=epoch_ms) for key, inside in value.items()}
    return value


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        return base64.b64encode(data).decode()
