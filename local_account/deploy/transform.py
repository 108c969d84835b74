"""AWS's own SAM transform over a packaged template."""

from __future__ import annotations

import copy
import os
from pathlib import Path
from typing import Any

from samtranslator.translator.transform import transform
from samtranslator.yaml_helper import yaml_parse

from local_account.account import REGION


class _NoManagedPolicies:
    """Functions name their own roles here, so there is no policy name to look up."""

    def load(self) -> dict[str, str]:
        return {}


def read_template(path: Path) -> dict[str, Any]:
    """template.yaml with its short intrinsics (`!Ref`) in their long form."""
    return yaml_parse(path.read_text())


def expand(template: dict[str, Any]) -> dict[str, Any]:
    """Serverless types turned into what CloudFormation deploys.

    Raises
    ------
    samtranslator.model.exceptions.InvalidDocumentException
        The template is not valid SAM; every problem is in it.
    """
    os.environ.setdefault("AWS_DEFAULT_REGION", REGION)  # the translator asks boto3 for the partition
    return transform(copy.deepcopy(template), {}, _NoManagedPolicies())
