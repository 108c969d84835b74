"""The house keeps its own rules: arrows, names in every form, settings and template, rights without stars."""

from __future__ import annotations

import ast
import json
import re
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any

import pytest

from local_account.deploy.transform import read_template
from understudy import settings as settings_module

ROOT = Path(__file__).parents[2]
LAYER = ROOT / "layers/understudy/python/understudy"
TEMPLATE = read_template(ROOT / "template.yaml")
RESOURCES: dict[str, dict[str, Any]] = TEMPLATE["Resources"]
DOORS = sorted(folder.name for folder in (ROOT / "functions").iterdir() if (folder / "app.py").exists())
GLOBAL_VARIABLES = set(TEMPLATE["Globals"]["Function"]["Environment"]["Variables"])
# Actions that IAM can only allow on everything, by AWS's service authorisation reference.
WITHOUT_RESOURCE_TYPE = {
    "ecr:GetAuthorizationToken",
    "cloudwatch:PutMetricData",
    "cloudwatch:DescribeAlarms",  # by name it has one; a list by prefix is refused unless everything is allowed
    "application-autoscaling:DescribeScalableTargets",
    "application-autoscaling:DescribeScalingPolicies",
    "sagemaker:ListModelPackages",
    "sagemaker:ListModels",
    "sagemaker:ListEndpointConfigs",
    "xray:PutTraceSegments",
    "xray:PutTelemetryRecords",
    "xray:GetSamplingRules",
    "xray:GetSamplingTargets",
    "logs:CreateLogDelivery",
    "logs:GetLogDelivery",
    "logs:UpdateLogDelivery",
    "logs:DeleteLogDelivery",
    "logs:ListLogDeliveries",
    "logs:PutResourcePolicy",
    "logs:DescribeResourcePolicies",
    "logs:DescribeLogGroups",
}
ROOMS = {
    "cli",
    "local_account",
    "simulator",
    "benchmarks",
    "understudy",
    "two_tower",
    "ranker",
    "features",
    "item_index",
    "evaluation",
    "monitors",
    "scoring",
}
MODEL_ROOMS = {"two_tower", "ranker", "features", "item_index", "evaluation", "monitors", "scoring"}
# The daily lists are made by the recommender's own rules, which travel with them: docs/decisions/scoring-one-set-of-rules.md.
SHARED_RULES = {
    "understudy.domain.recommendation",
    "understudy.errors",
    "understudy.contracts.release",
    "understudy.contracts.traffic",
}


def camel(verb_noun: str) -> str:
    return "".join(part.capitalize() for part in verb_noun.split("_"))


def imports(file: Path) -> set[str]:
    """Dotted names that a file imports, wherever in it."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
    return names


def python_files(*folders: Path) -> list[Path]:
    return [file for folder in folders for file in sorted(folder.rglob("*.py"))]


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [
        pytest.param("layers", ROOMS - {"understudy"}, id="the layer imports no other room"),
        pytest.param("functions", ROOMS - {"understudy"}, id="a door imports the layer only"),
        pytest.param("model_code", ROOMS - MODEL_ROOMS, id="model code never imports the layer"),
        pytest.param(
            "simulator", ROOMS - {"simulator", "features"}, id="the simulator knows the canonical schema only"
        ),
    ],
)
def test_arrows_point_one_way(folder, forbidden):
    wrong = [
        f"{file.relative_to(ROOT)} imports {name}"
        for file in python_files(ROOT / folder)
        for name in imports(file)
        if name.split(".")[0] in forbidden
        and not (file.parent.name == "scoring" and name.startswith(tuple(SHARED_RULES)))
    ]
    assert wrong == []


def test_the_domain_knows_no_aws_no_environment_and_no_clock():
    forbidden = {"boto3", "botocore", "os", "time", "urllib3", "requests", "understudy.adapters", "understudy.settings"}
    wrong = [
        f"{file.name} imports {name}"
        for file in python_files(LAYER / "domain")
        for name in imports(file)
        if any(name == one or name.startswith(one + ".") for one in forbidden)
    ]
    assert wrong == []
    clocks = [
        file.name
        for file in python_files(LAYER / "domain")
        if re.search(r"datetime\.now\(|utcnow\(|time\.time\(", file.read_text())
    ]
    assert clocks == []


def test_nothing_but_console_and_proofs_imports_the_local_account():
    rooms = [ROOT / name for name in ("layers", "functions", "model_code", "simulator")]
    assert [f for f in python_files(*rooms) if any(name.split(".")[0] == "local_account" for name in imports(f))] == []


@pytest.mark.parametrize("door", DOORS)
def test_a_door_has_its_name_in_every_form(door):
    assert RESOURCES[f"{camel(door)}Function"]["Properties"]["CodeUri"] == f"functions/{door}/"
    assert hasattr(settings_module, f"{camel(door)}Settings")
    assert sorted((ROOT / "events" / door).glob("*.json")), f"events/{door}/ has no golden event"
    assert sorted((ROOT / "tests").rglob(f"test_{door}.py")), f"no tests/**/test_{door}.py"


@pytest.mark.parametrize("door", DOORS)
def test_a_door_opens_in_few_lines(door):
    tree = ast.parse((ROOT / "functions" / door / "app.py").read_text())
    lengths = {
        node.name: (node.end_lineno or 0) - node.lineno + 1
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef)
    }
    assert {name: lines for name, lines in lengths.items() if lines > 40} == {}


@pytest.mark.parametrize("door", DOORS)
def test_settings_and_template_name_the_same_variables(door):
    declared = fields(getattr(settings_module, f"{camel(door)}Settings"))
    given = set(RESOURCES[f"{camel(door)}Function"]["Properties"].get("Environment", {}).get("Variables", {}))
    names = {field.name.upper() for field in declared}
    needed = {field.name.upper() for field in declared if field.default is MISSING}
    assert given - names - GLOBAL_VARIABLES == set(), "variables that no field reads"
    assert needed - given == set(), "fields that the template does not give"


def test_every_function_folder_is_a_resource_and_the_other_way_round():
    named = {
        resource["Properties"]["CodeUri"].strip("/").split("/")[1]
        for resource in RESOURCES.values()
        if resource["Type"] == "AWS::Serverless::Function"
    }
    assert named == set(DOORS)
    assert {folder.name for folder in (ROOT / "events").iterdir()} == set(DOORS)


@pytest.mark.parametrize(
    "event", sorted((ROOT / "events").rglob("*.json")), ids=lambda path: f"{path.parent.name}/{path.stem}"
)
def test_a_golden_event_is_an_object(event):
    assert isinstance(json.loads(event.read_text()), dict)


def statements() -> list[tuple[str, dict[str, Any]]]:
    found = []
    for logical, resource in RESOURCES.items():
        properties = resource.get("Properties", {})
        documents = [policy["PolicyDocument"] for policy in properties.get("Policies", []) if isinstance(policy, dict)]
        if resource["Type"] == "AWS::IAM::ManagedPolicy":
            documents.append(properties["PolicyDocument"])
        found += [(logical, statement) for document in documents for statement in document["Statement"]]
    return found


def listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def test_no_right_is_wider_than_iam_can_say():
    wrong = []
    for logical, statement in statements():
        actions, resources = listed(statement["Action"]), listed(statement["Resource"])
        wrong += [f"{logical}: action {action}" for action in actions if action.endswith("*")]
        if "*" in resources and not set(actions) <= WITHOUT_RESOURCE_TYPE:
            wrong.append(f"{logical}: {sorted(set(actions) - WITHOUT_RESOURCE_TYPE)} on *")
        if "Sid" not in statement:
            wrong.append(f"{logical}: a statement without its reason (Sid)")
    assert wrong == []


def test_a_role_may_hand_over_only_named_roles_to_a_named_service():
    passing = [
        (logical, statement) for logical, statement in statements() if "iam:PassRole" in listed(statement["Action"])
    ]
    assert passing
    for logical, statement in passing:
        assert statement["Condition"]["StringEquals"]["iam:PassedToService"] == "sagemaker.amazonaws.com", logical
        assert all("Fn::GetAtt" in resource for resource in listed(statement["Resource"])), logical


def test_every_asynchronous_edge_ends_in_a_queue():
    for logical, resource in RESOURCES.items():
        properties = resource.get("Properties", {})
        for name, event in properties.get("Events", {}).items():
            if event["Type"] in {"EventBridgeRule", "ScheduleV2"}:
                assert "DeadLetterConfig" in event["Properties"], f"{logical}.{name}"
                assert "RetryPolicy" in event["Properties"], f"{logical}.{name}"
                assert (
                    resource["Type"] != "AWS::Serverless::Function"
                    or "OnFailure" in properties["EventInvokeConfig"]["DestinationConfig"]
                ), logical
        for target in properties.get("Targets", []) if resource["Type"] == "AWS::Events::Rule" else []:
            assert "DeadLetterConfig" in target, logical
            assert "RetryPolicy" in target, logical


def test_what_is_kept_is_encrypted_retained_and_closed():
    for logical, resource in RESOURCES.items():
        properties = resource.get("Properties", {})
        match resource["Type"]:
            case "AWS::S3::Bucket":
                assert properties["BucketEncryption"], logical
                assert all(properties["PublicAccessBlockConfiguration"].values()), logical
                assert resource["DeletionPolicy"] == "Retain", logical
            case "AWS::DynamoDB::Table":
                assert properties["SSESpecification"]["SSEEnabled"], logical
                assert properties["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"], logical
                assert resource["DeletionPolicy"] == "Retain", logical
            case "AWS::SQS::Queue":
                assert properties["SqsManagedSseEnabled"], logical
            case "AWS::Logs::LogGroup":
                assert properties["RetentionInDays"] == {"Ref": "LogRetentionDays"}, logical
            case "AWS::Serverless::Function":
                assert properties["LoggingConfig"]["LogGroup"] == {"Ref": logical.replace("Function", "Logs")}, logical


def test_every_parameter_has_a_sentence():
    for name, parameter in TEMPLATE["Parameters"].items():
        assert len(parameter.get("Description", "").split()) >= 4, name
        assert "Default" in parameter, name
