"""Functions, layers and state machines."""

from __future__ import annotations

import json
from typing import Any

from local_account.deploy.resources.kind import Deployed, Kind, Made, arn, kind, lower_first
from local_account.step_functions.definition import parse_text, substitute_text

_CONFIGURATION = (
    "Role",
    "Handler",
    "Runtime",
    "Timeout",
    "MemorySize",
    "Environment",
    "Layers",
    "Description",
    "LoggingConfig",
    "TracingConfig",
)


def _function(it: Deployed, properties: dict[str, Any]) -> Made:
    functions = it.client("lambda")
    name = properties.get("FunctionName") or it.name(64)
    configuration = {key: properties[key] for key in _CONFIGURATION if key in properties}
    if "Environment" in configuration:
        variables = {key: _text(value) for key, value in configuration["Environment"]["Variables"].items()}
        configuration["Environment"] = {"Variables": variables}
    for number in ("Timeout", "MemorySize"):
        if number in configuration:
            configuration[number] = int(configuration[number])
    if it.physical_id is None:
        functions.create_function(
            FunctionName=name,
            Code=properties["Code"],
            Architectures=properties.get("Architectures", ["x86_64"]),
            **configuration,
        )
    else:
        functions.update_function_configuration(FunctionName=name, **configuration)
        functions.update_function_code(FunctionName=name, **properties["Code"])
    if "ReservedConcurrentExecutions" in properties:
        functions.put_function_concurrency(
            FunctionName=name, ReservedConcurrentExecutions=int(properties["ReservedConcurrentExecutions"])
        )
    return Made(name, {"Arn": arn("lambda", f"function:{name}")})


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _remove_function(it: Deployed) -> None:
    it.client("lambda").delete_function(FunctionName=it.physical_id)


def _layer(it: Deployed, properties: dict[str, Any]) -> Made:
    made = it.client("lambda").publish_layer_version(
        LayerName=properties.get("LayerName") or it.name(140),
        Content=properties["Content"],
        CompatibleRuntimes=properties.get("CompatibleRuntimes", []),
    )
    return Made(made["LayerVersionArn"])


def _version(it: Deployed, properties: dict[str, Any]) -> Made:
    made = it.client("lambda").publish_version(FunctionName=properties["FunctionName"])
    return Made(made["FunctionArn"], {"Version": made["Version"], "FunctionArn": made["FunctionArn"]})


def _alias(it: Deployed, properties: dict[str, Any]) -> Made:
    functions = it.client("lambda")
    wanted = {
        "FunctionName": properties["FunctionName"],
        "Name": properties["Name"],
        "FunctionVersion": properties["FunctionVersion"],
    }
    made = (functions.create_alias if it.physical_id is None else functions.update_alias)(**wanted)
    if provisioned := properties.get("ProvisionedConcurrencyConfig"):
        functions.put_provisioned_concurrency_config(
            FunctionName=properties["FunctionName"],
            Qualifier=properties["Name"],
            ProvisionedConcurrentExecutions=int(provisioned["ProvisionedConcurrentExecutions"]),
        )
    return Made(made["AliasArn"], {"AliasArn": made["AliasArn"]})


def _state_machine(it: Deployed, properties: dict[str, Any]) -> Made:
    states = it.client("stepfunctions")
    name = properties.get("StateMachineName") or it.name(80)
    place = properties["DefinitionS3Location"]
    text = it.client("s3").get_object(Bucket=place["Bucket"], Key=place["Key"])["Body"].read().decode()
    substitutions = {key: str(value) for key, value in properties.get("DefinitionSubstitutions", {}).items()}
    wanted: dict[str, Any] = {
        "definition": json.dumps(parse_text(substitute_text(text, substitutions))),
        "roleArn": properties["RoleArn"],
    }
    if logging := properties.get("LoggingConfiguration"):
        wanted["loggingConfiguration"] = lower_first(logging)
    if it.physical_id is None:
        states.create_state_machine(name=name, type=properties["StateMachineType"], **wanted)
    else:
        states.update_state_machine(stateMachineArn=it.physical_id, **wanted)
    made = arn("states", f"stateMachine:{name}")
    return Made(made, {"Arn": made, "Name": name})


KINDS: dict[str, Kind] = {
    "AWS::Lambda::Function": kind(
        _function,
        "FunctionName Code Architectures ReservedConcurrentExecutions " + " ".join(_CONFIGURATION),
        remove=_remove_function,
    ),
    "AWS::Lambda::LayerVersion": kind(
        _layer, "LayerName Content CompatibleRuntimes", silent="Description CompatibleArchitectures"
    ),
    "AWS::Lambda::Version": kind(_version, "FunctionName", silent="Description"),
    "AWS::Lambda::Alias": kind(_alias, "FunctionName FunctionVersion Name ProvisionedConcurrencyConfig"),
    # Tracing has no X-Ray to go to here.
    "AWS::StepFunctions::StateMachine": kind(
        _state_machine,
        "StateMachineName StateMachineType DefinitionS3Location DefinitionSubstitutions RoleArn LoggingConfiguration",
        silent="TracingConfiguration",
    ),
}
