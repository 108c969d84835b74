"""Rules, schedules, APIs: what brings a call to its target."""

from __future__ import annotations

import json
from typing import Any

from local_account.deploy.resources.kind import Deployed, Kind, Made, arn, kind


def _rule(it: Deployed, properties: dict[str, Any]) -> Made:
    events = it.client("events")
    name = properties.get("Name") or it.name(64)
    wanted: dict[str, Any] = {
        "Name": name,
        "State": properties.get("State", "ENABLED"),
        "Description": properties.get("Description", ""),
    }
    if "EventPattern" in properties:
        wanted["EventPattern"] = json.dumps(properties["EventPattern"])
    if "ScheduleExpression" in properties:
        wanted["ScheduleExpression"] = properties["ScheduleExpression"]
    events.put_rule(**wanted)
    old = {target["Id"] for target in events.list_targets_by_rule(Rule=name)["Targets"]}
    targets = properties.get("Targets", [])
    if gone := old - {target["Id"] for target in targets}:
        events.remove_targets(Rule=name, Ids=sorted(gone))
    if targets:
        events.put_targets(Rule=name, Targets=targets)
    return Made(name, {"Arn": arn("events", f"rule/{name}")})


def _schedule(it: Deployed, properties: dict[str, Any]) -> Made:
    scheduler = it.client("scheduler")
    wanted = {**properties, "Name": properties.get("Name") or it.name(64)}
    wanted.setdefault("FlexibleTimeWindow", {"Mode": "OFF"})
    (scheduler.create_schedule if it.physical_id is None else scheduler.update_schedule)(**wanted)
    return Made(wanted["Name"], {"Arn": arn("scheduler", f"schedule/default/{wanted['Name']}")})


def _api(it: Deployed, properties: dict[str, Any]) -> Made:
    gateway = it.client("apigatewayv2")
    body = json.dumps(properties["Body"])
    if it.physical_id is None:
        made = gateway.import_api(Body=body)
    else:
        made = gateway.reimport_api(ApiId=it.physical_id, Body=body)
    return Made(made["ApiId"], {"ApiEndpoint": made["ApiEndpoint"], "ApiId": made["ApiId"]})


def _stage(it: Deployed, properties: dict[str, Any]) -> Made:
    if it.physical_id is None:
        it.client("apigatewayv2").create_stage(
            ApiId=properties["ApiId"],
            StageName=properties["StageName"],
            AutoDeploy=bool(properties.get("AutoDeploy", False)),
        )
    return Made(properties["StageName"])


def _permission(it: Deployed, properties: dict[str, Any]) -> Made:
    functions = it.client("lambda")
    wanted = {key: value for key, value in properties.items() if key not in {"FunctionName"}}
    statement = it.name(100)
    if it.physical_id is not None:
        functions.remove_permission(FunctionName=properties["FunctionName"], StatementId=statement)
    functions.add_permission(FunctionName=properties["FunctionName"], StatementId=statement, **wanted)
    return Made(statement)


def _event_source(it: Deployed, properties: dict[str, Any]) -> Made:
    functions = it.client("lambda")
    wanted = dict(properties)
    if it.physical_id is not None:
        del wanted["EventSourceArn"]
        return Made(functions.update_event_source_mapping(UUID=it.physical_id, **wanted)["UUID"])
    return Made(functions.create_event_source_mapping(**wanted)["UUID"])


def _event_invoke(it: Deployed, properties: dict[str, Any]) -> Made:
    it.client("lambda").put_function_event_invoke_config(**properties)
    return Made(it.name())


KINDS: dict[str, Kind] = {
    "AWS::Events::Rule": kind(_rule, "Name Description EventPattern ScheduleExpression State Targets"),
    "AWS::Scheduler::Schedule": kind(
        _schedule, "Name ScheduleExpression ScheduleExpressionTimezone State FlexibleTimeWindow Target Description"
    ),
    "AWS::ApiGatewayV2::Api": kind(_api, "Body"),
    # One machine has no fleet to throttle for; access logs are the front door's own.
    "AWS::ApiGatewayV2::Stage": kind(
        _stage, "ApiId StageName AutoDeploy", silent="DefaultRouteSettings AccessLogSettings"
    ),
    "AWS::Lambda::Permission": kind(_permission, "Action FunctionName Principal SourceArn SourceAccount"),
    "AWS::Lambda::EventSourceMapping": kind(
        _event_source,
        "EventSourceArn FunctionName BatchSize FunctionResponseTypes ScalingConfig Enabled MaximumBatchingWindowInSeconds",
    ),
    "AWS::Lambda::EventInvokeConfig": kind(
        _event_invoke, "FunctionName Qualifier MaximumRetryAttempts MaximumEventAgeInSeconds DestinationConfig"
    ),
}
