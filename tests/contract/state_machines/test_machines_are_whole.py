"""Every machine of state_machines/: no dangling or unreachable state, timeouts, known errors, all substitutions given."""

from __future__ import annotations

import ast
import builtins
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_account.step_functions import definition as definitions
from local_account.step_functions.definition_check import check

ROOT = Path(__file__).parents[3]
MACHINES = sorted((ROOT / "state_machines").glob("*.asl.yaml"))


class _TemplateLoader(yaml.SafeLoader):
    """Reads CloudFormation's short intrinsics as their plain value: only names are of interest here."""


def _plain(loader: yaml.SafeLoader, _tag: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return loader.construct_scalar(node)
    if isinstance(node, yaml.SequenceNode):
        return loader.construct_sequence(node, deep=True)
    assert isinstance(node, yaml.MappingNode)
    return loader.construct_mapping(node, deep=True)


_TemplateLoader.add_multi_constructor("!", _plain)


def substitutions_of(machine: Path) -> set[str] | None:
    """Names that template.yaml gives a machine; None where there is no template yet."""
    template = ROOT / "template.yaml"
    if not template.exists():
        return None
    resources = yaml.load(template.read_text(), Loader=_TemplateLoader)["Resources"]  # noqa: S506 - a SafeLoader
    for resource in resources.values():
        properties = resource.get("Properties", {})
        if properties.get("DefinitionUri") == f"state_machines/{machine.name}":
            return set(properties.get("DefinitionSubstitutions", {}))
    pytest.fail(f"no resource of template.yaml has DefinitionUri state_machines/{machine.name}")


def errors_of_ours() -> set[str]:
    """Classes that a function may raise by name: those of the layer and the doors, and Python's own."""
    files = [*(ROOT / "layers" / "understudy" / "python").rglob("*.py"), *(ROOT / "functions").rglob("*.py")]
    classes = {
        node.name for f in files for node in ast.walk(ast.parse(f.read_text())) if isinstance(node, ast.ClassDef)
    }
    pythons = {n for n, v in vars(builtins).items() if isinstance(v, type) and issubclass(v, Exception)}
    return classes | pythons | {"Sandbox.Timedout", "Runtime.ExitError"}


@pytest.mark.parametrize("machine", MACHINES, ids=lambda machine: machine.name)
def test_a_machine_is_whole(machine):
    problems = check(definitions.load(machine), substitutions=substitutions_of(machine), known_errors=errors_of_ours())
    assert [str(problem) for problem in problems] == []
