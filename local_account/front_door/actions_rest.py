"""Rights of the services whose resources are told from the path, from several fields, or by rule."""

from __future__ import annotations

import re
from typing import Any

from local_account.front_door.arns import arn
from local_account.front_door.call import Call
from local_account.front_door.iam import Demand
from local_account.front_door.operations import path_parameters
from local_account.front_door.refusals import unknown_operation
from local_account.front_door.words import words

_Body = dict[str, Any]

_SAGEMAKER_KINDS = words(
    "TrainingJob ProcessingJob TransformJob HyperParameterTuningJob Model EndpointConfig Endpoint ModelPackageGroup "
    "ModelPackage FeatureGroup MonitoringSchedule"
)
_SAGEMAKER = re.compile(rf"(?:Create|Describe|Update|Stop|Start|Delete)({'|'.join(sorted(_SAGEMAKER_KINDS))})")


def sagemaker(call: Call, operation: str, body: _Body) -> list[Demand]:
    action = f"sagemaker:{operation}"
    path = path_parameters(call, "sagemaker", operation)
    if operation in ("InvokeEndpoint", "InvokeEndpointWithResponseStream", "InvokeEndpointAsync"):
        return [_sagemaker(action, "endpoint", path.get("EndpointName") or _second(call.path))]
    if operation in ("PutRecord", "GetRecord", "DeleteRecord"):
        return [_sagemaker(action, "feature-group", path.get("FeatureGroupName", ""))]
    if operation in ("AddTags", "ListTags", "DeleteTags"):
        return [Demand(action, body.get("ResourceArn", "*"))]
    if operation == "UpdateEndpointWeightsAndCapacities":
        return [_sagemaker(action, "endpoint", body.get("EndpointName", ""))]
    if operation.startswith(("List", "Search")):
        return [Demand(action, "*")]
    match = _SAGEMAKER.fullmatch(operation)
    if match is None:
        raise unknown_operation("sagemaker", operation)
    return _sagemaker_kind(action, match[1], operation, body)


def _sagemaker_kind(action: str, kind: str, operation: str, body: _Body) -> list[Demand]:
    resource = re.sub(r"(?<!^)(?=[A-Z])", "-", kind).lower()
    name = body.get(f"{kind}Name") or body.get(f"{kind}Arn") or ""
    if operation == "CreateModelPackage" and not name:
        name = f"{body.get('ModelPackageGroupName', '')}/*"  # the version it will get is not known yet
    demands = [_sagemaker(action, resource, name)]
    if operation in ("CreateEndpoint", "UpdateEndpoint"):
        demands.append(_sagemaker(action, "endpoint-config", body.get("EndpointConfigName", "")))
    if operation.startswith("Create") and body.get("Tags"):
        demands.append(Demand("sagemaker:AddTags", demands[0].resource))
    return demands


def _sagemaker(action: str, resource: str, name: str) -> Demand:
    """SageMaker's ARNs hold names in lower case, whatever case they were created in."""
    return Demand(action, arn("sagemaker", name if name.startswith("arn:") else f"{resource}/{name.lower()}"))


def functions(call: Call, operation: str, body: _Body) -> list[Demand]:
    action = f"lambda:{'InvokeFunction' if operation in ('Invoke', 'InvokeAsync') else operation}"
    path = path_parameters(call, "lambda", operation)
    if "LayerName" in path:
        version = f":{path['VersionNumber']}" if "VersionNumber" in path else ""
        return [Demand(action, arn("lambda", f"layer:{path['LayerName']}{version}"))]
    name = path.get("FunctionName") or body.get("FunctionName")
    if name is None:
        return [Demand(action, path.get("Resource") or path.get("ARN") or "*")]
    qualifier = call.query.get("Qualifier")
    resource = name if name.startswith("arn:") else arn("lambda", f"function:{name.rpartition('function:')[2]}")
    return [Demand(action, f"{resource}:{qualifier}" if qualifier and resource.count(":") == 6 else resource)]


def scheduler(call: Call, operation: str, body: _Body) -> list[Demand]:
    action = f"scheduler:{operation}"
    path = path_parameters(call, "scheduler", operation)
    if operation in ("ListSchedules", "ListScheduleGroups"):
        return [Demand(action, "*")]
    if "ResourceArn" in path:
        return [Demand(action, path["ResourceArn"])]
    if operation.endswith("ScheduleGroup"):
        return [Demand(action, arn("scheduler", f"schedule-group/{path.get('Name', '')}"))]
    group = body.get("GroupName") or call.query.get("groupName", "default")
    return [Demand(action, arn("scheduler", f"schedule/{group}/{path.get('Name', '')}"))]


def opensearch(call: Call, operation: str, body: _Body) -> list[Demand]:
    """Data calls are on a path below the domain; management calls, `/2021-01-01/...`, on the domain."""
    if not call.path.startswith("/opensearch/"):
        path = path_parameters(call, "es", operation)
        name = path.get("DomainName") or body.get("DomainName")
        return [Demand(f"es:{operation}", arn("es", f"domain/{name}") if name else "*")]
    domain, _, rest = call.path.removeprefix("/opensearch/").partition("/")
    return [Demand(f"es:{operation}", arn("es", f"domain/{domain}/{rest}"))]


def http_api(call: Call, operation: str, body: _Body) -> list[Demand]:
    api, _, rest = call.path.removeprefix("/execute-api/").partition("/")
    return [Demand("execute-api:Invoke", arn("execute-api", f"{api}/$default/{call.method}/{rest}"))]


def api_gateway(call: Call, operation: str, body: _Body) -> list[Demand]:
    return [Demand(f"apigateway:{call.method}", f"arn:aws:apigateway:us-east-1::{call.path}")]


def xray(call: Call, operation: str, body: _Body) -> list[Demand]:
    return [Demand(f"xray:{operation}", "*")]


_SNS_ON_NOTHING = frozenset({"ListTopics", "ListSubscriptions"})
_SNS_ON_TOPIC = words(
    "Publish PublishBatch Subscribe ConfirmSubscription GetTopicAttributes SetTopicAttributes DeleteTopic "
    "ListSubscriptionsByTopic CreateTopic Unsubscribe GetSubscriptionAttributes SetSubscriptionAttributes TagResource "
    "UntagResource ListTagsForResource AddPermission RemovePermission"
)


def sns(call: Call, operation: str, body: _Body) -> list[Demand]:
    action = "sns:Publish" if operation == "PublishBatch" else f"sns:{operation}"
    if operation in _SNS_ON_NOTHING:
        return [Demand(action, "*")]
    if operation not in _SNS_ON_TOPIC:
        raise unknown_operation("sns", operation)
    topic = body.get("TopicArn") or body.get("TargetArn") or body.get("ResourceArn") or body.get("Name")
    if topic is None:
        topic = body.get("SubscriptionArn", "").rpartition(":")[0]  # a subscription's ARN is its topic's and an id
    return [Demand(action, arn("sns", topic))]


def iam(call: Call, operation: str, body: _Body) -> list[Demand]:
    action = f"iam:{operation}"
    if "PolicyArn" in body and "RoleName" not in body:
        return [Demand(action, body["PolicyArn"])]
    for field, kind in (("RoleName", "role"), ("UserName", "user"), ("PolicyName", "policy")):
        if field in body:
            return [Demand(action, arn("iam", f"{kind}/{body[field]}"))]
    return [Demand(action, "*")]


def cloudformation(call: Call, operation: str, body: _Body) -> list[Demand]:
    name = body.get("StackName")
    resource = "*" if not name else name if name.startswith("arn:") else arn("cloudformation", f"stack/{name}/*")
    return [Demand(f"cloudformation:{operation}", resource)]


def sts(call: Call, operation: str, body: _Body) -> list[Demand]:
    """GetCallerIdentity needs no right; whether AssumeRole needs one, the role's trust policy decides."""
    return []


def _second(path: str) -> str:
    """`name` of `/endpoints/name/invocations`."""
    return path.split("/")[2] if path.count("/") >= 2 else ""
