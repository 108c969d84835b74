"""What cfn-lint says of the template once SAM has expanded it: it reports nothing on Serverless types."""

from __future__ import annotations

import json
from pathlib import Path

from cfnlint.api import lint_by_config
from cfnlint.config import ManualArgs

from local_account.deploy.transform import expand, read_template

ROOT = Path(__file__).parents[2]


def packaged():
    """The template as if its code lay in a bucket."""
    template = read_template(ROOT / "template.yaml")
    for resource in template["Resources"].values():
        for name in ("CodeUri", "ContentUri", "DefinitionUri"):
            if name in resource.get("Properties", {}):
                resource["Properties"][name] = "s3://deployment-bucket/key"
    return template


def test_the_expanded_template_is_clean(tmp_path):
    file = tmp_path / "expanded.json"
    file.write_text(json.dumps(expand(packaged()), default=str))
    found = lint_by_config(ManualArgs(templates=[str(file)], regions=["us-east-1", "eu-central-1"]))
    assert [f"{match.rule.id} {match.message}" for match in found] == []


def test_the_layer_brings_the_versions_that_were_tested():
    pinned = dict(line.split("==") for line in (ROOT / "requirements.txt").read_text().splitlines() if "==" in line)
    wanted = (ROOT / "layers/understudy/python/requirements.txt").read_text().splitlines()
    assert [line for line in wanted if "==" in line and pinned[line.split("==")[0]] != line.split("==")[1]] == []
