"""A role for machines, and a way to run a definition to its end over the wire."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "states.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
ALLOWED = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "*", "Resource": "*"}]}


@pytest.fixture(scope="session")
def machine_role(account: Any) -> str:
    iam = account.client("iam")
    role = iam.create_role(RoleName="machine-test", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    iam.put_role_policy(RoleName="machine-test", PolicyName="all", PolicyDocument=json.dumps(ALLOWED))
    return str(role)


@pytest.fixture
def states(account: Any) -> Any:
    return account.client("stepfunctions")


@pytest.fixture
def make(states: Any, machine_role: str) -> Callable[[dict[str, Any]], str]:
    def make_machine(definition: dict[str, Any]) -> str:
        text = json.dumps({"QueryLanguage": "JSONata"} | definition)
        name = f"machine-{uuid.uuid4().hex[:8]}"
        return str(states.create_state_machine(name=name, definition=text, roleArn=machine_role)["stateMachineArn"])

    return make_machine


@pytest.fixture
def finish(states: Any) -> Callable[[str], dict[str, Any]]:
    def wait_for_end(arn: str) -> dict[str, Any]:
        for _ in range(400):
            found = states.describe_execution(executionArn=arn)
            if found["status"] != "RUNNING":
                return dict(found)
            time.sleep(0.025)
        pytest.fail(f"{arn} did not end within 10 s")

    return wait_for_end
